"""A Dask cluster: one that runs, or one of this machine that lives as long as the run."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import pickle
import queue
import re
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import msgspec
from distributed import Client, Future, KilledWorker, LocalCluster
from distributed.versions import VersionMismatchWarning

from playground.area.engines.dask_worker import Order, decode_reply, end, work
from playground.area.engines.shipping import pack
from playground.area.engines.worker import WorkerSpec
from playground.area.outcome import Job, Outcome
from playground.errors import PredictorNotReadyError, RunError
from playground.version import __version__

CONNECT = 10.0
"""Seconds that a scheduler has to answer."""
AHEAD = 2
"""Tasks under way for each thread of the workers: one is at work, the next is there already."""
FIRST = 16
"""Tiles of a task as long as nobody knows how long they take: a column of a band."""
CHUNK = 256
FEW = 4
TASK_SECONDS = 4.0
"""How long a task should take: what the loss of a worker costs, and how long the others wait for the last one."""
ASK_EVERY = 1.0
"""Seconds between looks at which workers there are."""
FETCH = 5.0
"""Seconds to fetch a result; its worker may be gone, and then another one computes it again."""
CLOSING = 5.0
"""Seconds to leave the cluster in order."""
RESUME = "when the cluster is back run the same command with --resume: what is done is kept"
NO_INTERRUPT = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""For our own workers: the terminal's Ctrl-C is for the run, which then closes them."""

ADDRESS = re.compile(r"(\w+://)?[^\s/]+:\d+/?")

_logger = logging.getLogger(__name__)


class DaskEngine:
    """Tasks of consecutive tiles for the workers of a Dask cluster, which keep the predictor loaded.

    Args:
        spec: what the workers do; an interpreter that is not named is the one that each of them runs with.
        total: tiles to come.
        scheduler: its address, like ``tcp://host:8786``; None for a cluster of this machine.
        workers: of that cluster of this machine; one a core if not given.
        preinstalled: the partner's code is on the workers; else the folder is sent.
        say: gets words for people.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        total: int,
        *,
        scheduler: str | None = None,
        workers: int | None = None,
        preinstalled: bool = False,
        say: Callable[[str], object] = _logger.info,
    ) -> None:
        self._spec = spec
        self._left = total
        self._scheduler = scheduler
        self._workers = workers or len(os.sched_getaffinity(0))
        self._preinstalled = preinstalled
        self._say = say
        self._run = uuid.uuid4().hex[:12]
        self._cluster: LocalCluster | None = None
        self._client: Client | None = None
        self._order: Order | None = None
        self._shipment: Future[Any] | None = None
        self._under_way: dict[str, tuple[Future[Any], list[Job]]] = {}
        self._arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._suspects: set[int] = set()
        """Tiles whose tasks saw too many workers end: one of them may be why."""
        self._quarantine: list[Job] = []
        """Suspects that wait: one at a time is tried, alone, so that it is known whose fault it was."""
        self._alone = ""
        """The task of the suspect that is tried."""
        self._tasks = 0
        self._slots = 0
        self._asked = -ASK_EVERY
        self._told_none = False
        self._tile_seconds = 0.0

    def launch(self) -> None:
        """Connect, and send what the workers need.

        Raises:
            RunError: no scheduler answers; the partner's folder cannot be sent.
        """
        tiles = self._spec.settings.tiles or ""
        spec = dataclasses.replace(self._spec, settings=dataclasses.replace(self._spec.settings, tiles=absolute(tiles)))
        self._order = Order(self._run, __version__, pickle.dumps(spec))
        shipment = None if self._preinstalled else pack(spec.predictor.workdir, [place_of(tiles)])
        client = self._client = self._connect()
        link = client.dashboard_link
        if link:
            self._say(f"dashboard: {link}")
        if shipment is not None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
                # A task, not scattered data: when the worker that holds it is lost it is made again.
                self._shipment = client.submit(type(shipment), *shipment, key=f"playground-project-{self._run}")

    def start(self) -> None:
        """Its workers load the predictor with their first task."""

    def room(self) -> int:
        slots = self._count_slots()
        if len(self._under_way) >= AHEAD * slots:
            return 0
        size = FIRST if not self._tile_seconds else int(TASK_SECONDS / self._tile_seconds)
        return max(1, min(size, CHUNK, max(FEW, self._left // (AHEAD * slots))))

    def submit(self, jobs: list[Job]) -> None:
        self._left = max(0, self._left - sum(job.attempt == 1 for job in jobs))
        self._send([job for job in jobs if job.seq not in self._suspects])
        self._quarantine += [job for job in jobs if job.seq in self._suspects]
        self._send_suspect()

    def collect(self, seconds: float) -> list[Outcome]:
        found: list[Outcome] = []
        with contextlib.suppress(queue.Empty):
            future = self._arrived.get(timeout=max(seconds, 0.001))
            while True:
                found += self._take(future)
                future = self._arrived.get_nowait()
        self._send_suspect()
        if not found and self._connected().status == "closed":
            raise self._gone()
        return found

    def close(self) -> None:
        client, cluster = self._client, self._cluster
        self._client = self._cluster = None

        def leave() -> None:
            if client is not None:
                with contextlib.suppress(Exception):
                    client.cancel([future for future, _ in self._under_way.values()], force=True)
                    if cluster is None:
                        client.run(end, self._run, on_error="ignore")
                with contextlib.suppress(Exception):
                    client.close(timeout=CLOSING)
            if cluster is not None:
                with contextlib.suppress(Exception):
                    cluster.close(timeout=CLOSING)

        # Aside, because a cluster that hangs must not keep us here.
        thread = threading.Thread(target=leave, name="dask-close", daemon=True)
        thread.start()
        thread.join(3 * CLOSING)

    def _connect(self) -> Client:
        """A client of the cluster, which is started if it is to be one of this machine."""
        if self._scheduler is None:
            self._cluster = LocalCluster(
                n_workers=self._workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                preload=[NO_INTERRUPT],
            )
        elif not ADDRESS.fullmatch(self._scheduler):
            raise RunError(f"{self._scheduler} is no address of a Dask scheduler", "it looks like tcp://HOST:8786")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                client = Client(
                    self._cluster or self._scheduler, timeout=CONNECT, set_as_default=False, name="playground-run"
                )
        except (OSError, ValueError, TypeError, asyncio.TimeoutError) as error:
            raise RunError(
                f"no Dask scheduler answers at {self._scheduler}: {error}",
                "is it running? it says its address as it starts: tcp://HOST:8786",
            ) from error
        for warning in caught:
            if issubclass(warning.category, VersionMismatchWarning):
                self._say(str(warning.message))
        return client

    def _connected(self) -> Client:
        assert self._client is not None
        return self._client

    def _send(self, jobs: list[Job]) -> str:
        """Make a task of jobs; its key."""
        if not jobs:
            return ""
        self._tasks += 1
        key = f"playground-{self._run}-{self._tasks}"
        data = msgspec.msgpack.encode(jobs)
        future = self._connected().submit(work, self._order, self._shipment, data, key=key, pure=False)
        self._under_way[key] = future, jobs
        future.add_done_callback(self._arrived.put)
        return key

    def _send_suspect(self) -> None:
        if self._quarantine and not self._alone:
            self._alone = self._send([self._quarantine.pop(0)])

    def _count_slots(self) -> int:
        """Threads of all workers, looked up now and then."""
        if time.monotonic() - self._asked >= ASK_EVERY:
            try:
                self._slots = sum(self._connected().nthreads().values())
            except Exception as error:
                raise self._gone() from error
            self._asked = time.monotonic()
            if not self._slots and not self._told_none:
                self._say("the cluster has no workers: waiting for the first")
            self._told_none = not self._slots
        return self._slots

    def _take(self, future: Future[Any]) -> list[Outcome]:
        """The outcomes of a task that ended, however it did; none if it begins again."""
        if future.key not in self._under_way:
            return []
        failure: BaseException | None = None
        data = b""
        try:
            if future.status == "finished":
                data = future.result(timeout=FETCH)
            elif future.status == "error":
                failure = future.exception(timeout=FETCH)
        except asyncio.TimeoutError:  # the worker that had the result is lost
            future.add_done_callback(self._arrived.put)
            return []
        except Exception as error:  # noqa: BLE001 - whatever became of it since then is told below
            failure = error
        _, jobs = self._under_way.pop(future.key)
        alone = future.key == self._alone
        if alone:
            self._alone = ""
        if data:
            return self._read(jobs, data)
        if isinstance(failure, KilledWorker):
            self._suspects.update(job.seq for job in jobs)
            words = f"workers ended again and again while it was tried, the last was {failure.last_worker.address}"
            # Alone it would take workers down for ever.
            return [Outcome(job, "failed", kind="WorkerGone", error=words, transient=not alone) for job in jobs]
        if self._connected().status != "running":
            raise self._gone()
        if failure is not None and not isinstance(failure, CancelledError):
            raise RunError(
                f"a Dask worker cannot do its work: {type(failure).__name__}: {' '.join(str(failure).split())}",
                f"scheduler and workers need tile-playground[dask]=={__version__}, and Dask and Python as here",
            ) from failure
        return [
            Outcome(job, "failed", kind="Cancelled", error="its task was cancelled", transient=True) for job in jobs
        ]

    def _read(self, jobs: list[Job], data: bytes) -> list[Outcome]:
        reply = decode_reply(data)
        if reply.refusal is not None:
            message, hint = reply.refusal
            raise PredictorNotReadyError(f"a Dask worker cannot predict: {message}", hint)
        if reply.outcomes:
            pace = reply.seconds / len(reply.outcomes)
            self._tile_seconds = (self._tile_seconds + pace) / 2 if self._tile_seconds else pace
        told = {outcome.job.seq for outcome in reply.outcomes}
        lost = [job for job in jobs if job.seq not in told]
        return reply.outcomes + [
            Outcome(job, "failed", kind="WorkerGone", error="its worker was stopped", transient=True) for job in lost
        ]

    def _gone(self) -> RunError:
        return RunError(f"the Dask scheduler {self._scheduler or ''} does not answer any more", RESUME)


def absolute(tiles: str) -> str:
    """A tile source as other folders name it: files by their whole path, addresses as they are."""
    return tiles if "://" in tiles or not tiles else os.path.join(os.getcwd(), os.path.expanduser(tiles))


def place_of(tiles: str) -> Path:
    """The file or folder that a tile source is in; the current folder if it is elsewhere."""
    if "://" in tiles:
        return Path()
    fixed, brace, _ = os.path.expanduser(tiles).partition("{")
    return Path(os.path.dirname(fixed) if brace else fixed)
