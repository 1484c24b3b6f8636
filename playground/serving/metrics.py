"""What is measured, for Prometheus; right with several workers, each of which answers for all.

Prometheus' own library decides when it is imported whether several processes share their numbers: this module is
imported by app.py, in the worker, when ``metrics_folder`` has said so, and never by gunicorn.conf.py.
"""

from __future__ import annotations

import collections
import os
import platform
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from playground.version import __version__

if TYPE_CHECKING:
    from playground.pipeline import Outcome
    from playground.serving.state import Service

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds."""
STEPS = ("fetch", "queue", "predict", "decode", "encode", "format")
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)
"""Tiles."""
SAMPLE_SECONDS = 1.0
"""How old the numbers may be that are read from time to time: readiness, the queue, tiles."""

Child = TypeVar("Child", Counter, Histogram)


class _Children(dict[str, Child], Generic[Child]):
    """A metric's children by the value of its one label: looking a label up in the library costs more than counting."""

    def __init__(self, metric: Child) -> None:
        super().__init__()
        self._metric: Child = metric

    def __missing__(self, label: str) -> Child:
        child: Child = self._metric.labels(label)
        self[label] = child
        return child


class _Collector(MultiProcessCollector):
    """Reads the files of all workers; one that a starting worker has only just made is still empty."""

    def collect(self) -> Iterable[Metric]:
        files = [str(each) for each in Path(self._path).glob("*.db") if _size(each)]
        found: Iterable[Metric] = self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        return found


class Metrics:
    """The numbers of this process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"playground_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str, mode: str = "livesum") -> Gauge:
            return Gauge(f"playground_{name}", text, labels, registry=registry, multiprocess_mode=mode)  # type: ignore[arg-type]

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"playground_{name}", text, labels, registry=registry, buckets=BUCKETS)

        self._requests = counter("requests_total", "Requests answered.", "endpoint", "outcome")
        self._by_outcome: dict[tuple[str, str], Counter] = {}
        self._seconds = histogram("request_seconds", "Seconds from a prediction's request to its answer.")
        self._steps = _Children(histogram("step_seconds", "Seconds of a prediction that came to its end.", "step"))
        for step in STEPS:
            _ = self._steps[step]
        self.in_progress = gauge("in_progress", "Predictions asked for and not answered yet.")
        self._waiting = gauge("waiting", "Requests that wait for a predictor.")
        self._ready = gauge("predictor_ready", "Predictors that can take a tile.")
        self._workers = gauge("workers", "Server processes, each with its predictor.")
        restarts = counter("predictor_restarts_total", "Predictor processes that ended and were replaced.", "cause")
        self._restarts = _Children(restarts)
        self._batch = Histogram(
            "playground_batch_size",
            "Tiles handed to a predictor at once, where it takes several.",
            registry=registry,
            buckets=BATCHES,
        )
        self._features = counter("features_total", "Features in answers.")
        self._repairs = _Children(counter("repairs_total", "Features repaired.", "kind"))
        self._dropped = _Children(counter("dropped_total", "Features left out of answers.", "kind"))
        self._missing = counter("missing_neighbours_total", "Neighbours of tiles without imagery.")
        self._tiles = _Children(
            counter("tiles_total", "Tiles that predictions needed, by where they came from.", "outcome")
        )
        self._fetches = _Children(
            counter("fetches_total", "Requests to the tile source, by how they ended.", "outcome")
        )
        self._build = gauge("build_info", "Which playground this is.", "version", "python", "service", mode="livemax")
        self._seen: dict[str, dict[str, int]] = {}
        self._sampling = threading.Lock()

    def answered(self, endpoint: str, outcome: str) -> None:
        """Count a request."""
        key = (endpoint, outcome)
        try:
            self._by_outcome[key].inc()
        except KeyError:
            child = self._by_outcome[key] = self._requests.labels(endpoint, outcome)
            child.inc()

    def predicted(self, seconds: float, result: Outcome | None) -> None:
        """Measure a request for a prediction; ``result`` is None where there was none."""
        self._seconds.observe(seconds)
        if result is None:
            return
        for step, milliseconds in result.timing.items():
            if step != "total":
                self._steps[step].observe(milliseconds / 1000)
        report = result.report
        if report["features_out"]:
            self._features.inc(report["features_out"])
        for kind, count in report["repairs"].items():
            self._repairs[kind].inc(count)
        for kind, count in report["dropped"].items():
            self._dropped[kind].inc(count)
        if "missing_neighbours" in report:
            self._missing.inc(len(report["missing_neighbours"]))

    def restarted(self, cause: str) -> None:
        """Count a predictor process that ended: crash, exit, timeout, memory, recycled."""
        self._restarts[cause].inc()

    def batched(self, tiles: int) -> None:
        """Count what was handed to the predictor at once."""
        self._batch.observe(tiles)

    def follow(self, name: str, services: Sequence[Service]) -> None:
        """From now on, look at the predictors and the tiles once a second; a thread of this process does it."""
        self._build.labels(__version__, platform.python_version(), name).set(1)
        self._workers.set(1)

        def sample() -> None:
            self.sample(services)

        threading.Thread(target=_every, args=[sample], name="metrics", daemon=True).start()

    def sample(self, services: Iterable[Service]) -> None:
        """Take over what others count."""
        tiles: collections.Counter[str] = collections.Counter()
        fetches: collections.Counter[str] = collections.Counter()
        ready = waiting = 0
        with self._sampling:
            for each in services:
                ready += each.predictor.state().phase in ("ready", "busy")
                waiting += each.predictor.waiting()
                for sums, counts in zip((tiles, fetches), each.pipeline.tile_counts(), strict=True):
                    sums.update(counts)
            self._ready.set(ready)
            self._waiting.set(waiting)
            self._advance(self._tiles, "tiles", tiles)
            self._advance(self._fetches, "fetches", fetches)

    def _advance(self, children: _Children[Counter], name: str, counts: Mapping[str, int]) -> None:
        """Add what has been counted since the last time."""
        seen = self._seen.get(name, {})
        for kind, count in counts.items():
            if more := count - seen.get(kind, 0):
                children[kind].inc(more)
        self._seen[name] = dict(counts)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The numbers of all workers, as Prometheus reads them, and their media type.

        Args:
            accept: the Accept header: the text format, or OpenMetrics for who asks for it.
        """
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            _Collector(registry)  # type: ignore[no-untyped-call]
        encode, media_type = choose_encoder(accept)
        return encode(registry), media_type


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # its worker has ended in this moment
        return 0


def _every(sample: Callable[[], None]) -> None:
    pause = threading.Event()
    while True:
        sample()
        pause.wait(SAMPLE_SECONDS)
