"""The predictor to be checked, in a process of its own, with what only its parent can see."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from playground import answers, geo, imagery
from playground.acceptance.model import Observation, Sample
from playground.errors import (
    PlaygroundError,
    PredictorCrashedError,
    PredictorError,
    PredictorNotReadyError,
    PredictorTimeoutError,
)
from playground.predictor import Limits, PredictorSpec, ServedTile
from playground.predictor.session import Session
from playground_interfaces import Tile

INSIDE = Path(__file__).parent / "inside"
PRINTED = "playground.predictor.output"
TICKS = os.sysconf("SC_CLK_TCK")


class ProcessSubject:
    """A predictor process with a probe in it. One thread uses it.

    Args:
        spec: what to load.
        limits: how long loading and predicting may take.
        options: what the configuration asks of answers.
    """

    sees = "process"

    def __init__(self, spec: PredictorSpec, limits: Limits, options: answers.Options | None = None) -> None:
        self.limits = limits
        self.batches = False
        """Whether the class has ``predict_batch``; known once it is loaded."""
        self._options = options or answers.Options()
        self.load_seconds: list[float] = []
        self.printed = self.finished_printed = 0
        self.calls = self.finished_calls = 0
        """Predictions asked for, and signs printed: by all processes, and by those that have ended, which are read."""
        self._scratch = tempfile.TemporaryDirectory(prefix="playground-check-")
        self._report = Path(self._scratch.name) / "probe.json"
        self._spec = _with_probe(spec, self._report)
        self._session: Session | None = None
        self._counter = _Counter(self)

    def start(self) -> None:
        """Load the predictor.

        Raises:
            PredictorNotReadyError: it cannot be loaded; the hint is its traceback.
            SettingsError: no such interpreter.
        """
        logger = logging.getLogger(PRINTED)
        logger.setLevel(logging.INFO)
        if self._counter not in logger.handlers:
            logger.addHandler(self._counter)
        began = time.monotonic()
        session = Session(self._spec)
        watchdog = threading.Timer(self.limits.load_seconds, session.end, ("timeout",))
        watchdog.daemon = True
        watchdog.start()
        told = (list(session.load())[-1:] or [{}])[0]
        watchdog.cancel()
        if told.get("phase") != "ready":
            session.kill()
            how = session.wait()
            said = session.output()
            session.close()
            if told.get("op") == "failed":
                raise PredictorNotReadyError(told["message"], told["traceback"].strip())
            if session.ending == "timeout":
                raise PredictorNotReadyError(f"not loaded within {self.limits.load_seconds:g} s", "\n".join(said))
            raise PredictorNotReadyError(f"the predictor process {how} while loading", "\n".join(said))
        self.load_seconds.append(time.monotonic() - began)
        self._session = session
        self.batches = bool(told.get("batches"))

    def restart(self) -> None:
        """A fresh process: another load.

        Raises:
            PredictorNotReadyError: it cannot be loaded this time.
        """
        self.stop()
        self.start()

    def predict(self, sample: Sample) -> Observation:
        """One prediction; a process that has ended is started anew."""
        try:
            if self._session is None:
                self.start()
            assert self._session is not None
            self._report.unlink(missing_ok=True)
            tile = tile_of(sample)
            self.calls += 1
            began = time.monotonic()
            reply, blob = self._session.predict(tile, [], began + self.limits.predict_seconds)
        except (PredictorTimeoutError, PredictorCrashedError) as error:
            self.stop()
            return Observation(problem=error.message, ended=True)
        except PredictorError as error:
            return Observation(problem=error.message, ended=True)
        seen = self._observation(sample, reply, blob, time.monotonic() - began)
        with suppress(OSError, ValueError):
            seen = replace(seen, inside=json.loads(self._report.read_text()))
        return seen

    def predict_batch(self, samples: Sequence[Sample]) -> list[Observation] | None:
        """Several predictions by one call of ``predict_batch``; None where that failed as a whole.

        Raises:
            PredictorError: it crashed, or took too long.
        """
        if self._session is None:
            self.start()
        assert self._session is not None
        self.calls += len(samples)
        began = time.monotonic()
        deadline = began + len(samples) * self.limits.predict_seconds
        try:
            found = self._session.predict_batch([tile_of(sample) for sample in samples], [], deadline)
        except PredictorError:
            self.stop()
            raise
        if found is None:
            return None
        observations = []
        for sample, answer in zip(samples, found, strict=True):
            if isinstance(answer, PlaygroundError):
                raise answer
            observations.append(self._observation(sample, *answer, time.monotonic() - began))
        return observations

    def _observation(self, sample: Sample, reply: dict[str, Any], blob: bytearray, seconds: float) -> Observation:
        if reply["op"] == "rejected":
            return Observation(rejected=True, seconds=seconds)
        if reply["op"] not in ("result", "results") and "kind" not in reply:
            return Observation(problem=_last_place(reply), seconds=seconds)
        features = _loads(blob)
        side = sample.pixels.shape[1] - 2 * sample.padding
        report = answers.normalize(features, answers.Frame(None, side, sample.padding), self._options).report
        other = reply["type"] if reply["kind"] == "other" else ""
        return Observation(features, report, other, seconds=seconds, size=len(blob))

    def memory_mb(self) -> float:
        """Resident memory of the process now."""
        return self._session.memory_mb() if self._session is not None else 0.0

    def cpu_seconds(self) -> float:
        """Time that all cores have worked for the process so far."""
        if self._session is None:
            return 0.0
        fields = Path(f"/proc/{self._session.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def left_behind(self) -> dict[str, int]:
        """How many threads, open files and child processes it has now."""
        if self._session is None:
            return {}
        pid = self._session.process.pid
        proc = Path(f"/proc/{pid}")
        return {
            "threads": sum(1 for _ in (proc / "task").iterdir()),
            "open files": sum(1 for _ in (proc / "fd").iterdir()),
            "child processes": sum(group == pid for group in _groups()) - 1,
        }

    def signals(self) -> tuple[int, int]:
        """Bit masks of the signals that it ignores and that it catches; bit 0 is signal 1."""
        if self._session is None:
            return 0, 0
        lines = Path(f"/proc/{self._session.process.pid}/status").read_text().splitlines()
        masks = dict(line.split(":", 1) for line in lines)
        return int(masks["SigIgn"], 16), int(masks["SigCgt"], 16)

    def stop(self) -> None:
        """End the process, if there is one, and wait until all that it printed is counted."""
        session, self._session = self._session, None
        if session is not None:
            session.kill()
            session.wait()
            session.output()
            session.close()
            self.finished_printed, self.finished_calls = self.printed, self.calls

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        logging.getLogger(PRINTED).removeHandler(self._counter)
        self._scratch.cleanup()


class _Counter(logging.Handler):
    """Counts what the predictor prints."""

    def __init__(self, subject: ProcessSubject) -> None:
        super().__init__()
        self._subject = subject

    def emit(self, record: logging.LogRecord) -> None:
        self._subject.printed += len(record.getMessage()) + 1


def tile_of(sample: Sample) -> Tile:
    """The partner's Tile of a sample."""
    height, width = sample.pixels.shape[:2]
    frame: dict[str, Any] = {}
    if sample.address is not None:
        tile = geo.check_tile(*sample.address)
        size = width - 2 * sample.padding
        frame = {"z": tile.z, "x": tile.x, "y": tile.y, "bounds": geo.bounds(tile)}
        frame["resolution"] = geo.resolution(tile, size)
    valid = sample.valid if sample.valid is not None else np.ones((height, width), bool)
    return ServedTile(
        f"check:{sample.name}",
        padding=sample.padding,
        size=width - 2 * sample.padding if width == height else None,
        load_image=lambda: bytearray(encoded(sample)),
        load_array=lambda: sample.pixels,
        load_valid=lambda: valid,
        **frame,
    )


def encoded(sample: Sample) -> bytes:
    """The image of a sample as a file."""
    return sample.encoded if sample.encoded is not None else imagery.encode_png(sample.pixels)


def _with_probe(spec: PredictorSpec, report: Path) -> PredictorSpec:
    """The same, with the probe's hooks around the partner's."""
    environ = dict(os.environ if spec.environ is None else spec.environ)
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [environ.get("PYTHONPATH", ""), str(INSIDE)]))
    environ["PLAYGROUND_PROBE"] = str(report)
    environ["PLAYGROUND_PROBE_HOOKS"] = json.dumps(dict(spec.hooks))
    hooks = {**spec.hooks, "preprocessor": "playground_probe.before", "postprocessor": "playground_probe.after"}
    return replace(spec, environ=environ, hooks=hooks)


def _loads(blob: bytearray) -> list[Any]:
    try:
        features: list[Any] = orjson.loads(blob)
    except orjson.JSONDecodeError:  # NaN and Infinity
        features = json.loads(blob)
    return features


def _last_place(reply: dict[str, Any]) -> str:
    """What predict() raised, and the last place of the partner's in its traceback."""
    places = [line.strip() for line in reply.get("traceback", "").splitlines() if line.strip().startswith("File ")]
    places = [place for place in places if str(INSIDE) not in place]
    return str(reply["message"]) + (f" ({places[-1]})" if places else "")


def _groups() -> Iterator[int]:
    """The process group of every process."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                yield int((folder / "stat").read_text().rpartition(")")[2].split()[2])
