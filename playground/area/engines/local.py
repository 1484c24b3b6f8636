"""Predictor processes of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import socket
import subprocess
from multiprocessing.connection import Connection, wait
from typing import cast

import msgspec

from playground.area.cover import BAND_ROWS
from playground.area.engines.forks import Fork, Forks
from playground.area.engines.worker import WorkerSpec
from playground.area.outcome import Job, Outcome
from playground.errors import PredictorCrashedError, PredictorNotReadyError
from playground.sources import SOURCES, kind_of

CHUNK = 256
"""Consecutive tiles that one worker gets: the more, the fewer tiles are decoded by two of them. Whole columns of a full
band, for the same reason."""
SHORT = 96
"""Jobs left to a worker when it gets the next ones: three times what it tells of at once."""
DEATHS = 3
"""A worker that died so often without an outcome in between is not started again."""

_decode_outcomes = msgspec.msgpack.Decoder(list[Outcome]).decode


@dataclasses.dataclass
class _Worker:
    process: Fork
    pipe: Connection
    jobs: dict[int, Job] = dataclasses.field(default_factory=dict)
    ready: bool = False


class LocalEngine:
    """Worker processes, each with a predictor process of its own.

    Args:
        spec: what they do.
        workers: how many.
        total: tiles to come, so that the last ones are shared out fairly.
    """

    def __init__(self, spec: WorkerSpec, workers: int, total: int) -> None:
        self._spec = spec
        self._count = max(1, workers)
        self._left = total
        self._workers: list[_Worker] = []
        self._forks: Forks | None = None
        self._deaths = 0
        self._outbox: list[Outcome] = []

    def start(self) -> None:
        self._workers = [self._launch() for _ in range(self._count)]
        while not any(worker.ready for worker in self._workers):
            self._receive(1.0)

    def room(self) -> int:
        if not any(worker.ready for worker in self._workers):  # all were lost at once, and nobody waits for outcomes
            self._receive(0)
        if self._shortest() is None:
            return 0
        share = min(CHUNK, self._left // (2 * self._count))
        return int(max(share // BAND_ROWS, 1) * BAND_ROWS)

    def submit(self, jobs: list[Job]) -> None:
        worker = self._shortest() or min(self._workers, key=lambda worker: len(worker.jobs))
        worker.jobs.update({job.seq: job for job in jobs})
        self._left = max(0, self._left - len(jobs))
        try:
            worker.pipe.send_bytes(msgspec.msgpack.encode(jobs))
        except OSError:
            self._bury(worker)

    def collect(self, seconds: float) -> list[Outcome]:
        if not self._outbox:
            self._receive(seconds)
        found, self._outbox = self._outbox, []
        return found

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            try:
                worker.process.wait(2)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers = []
        if self._forks is not None:
            self._forks.close()
            self._forks = None

    def _launch(self) -> _Worker:
        if self._forks is None or self._forks.is_gone():
            self._forks = Forks(*self._source_module())
        ours, theirs = socket.socketpair()
        with theirs:
            process = self._forks.fork(theirs.fileno())
        pipe = Connection(ours.detach())
        with contextlib.suppress(OSError):  # it is gone already; whoever reads is told
            pipe.send_bytes(pickle.dumps(self._spec))
        return _Worker(process, pipe)

    def _source_module(self) -> list[str]:
        """Where the tile source lives."""
        kind = kind_of(self._spec.settings.tiles or "")
        return [SOURCES[kind].target.partition(":")[0]] if kind else []

    def _shortest(self) -> _Worker | None:
        """The worker that needs jobs most; None if all have enough."""
        needy = [worker for worker in self._workers if worker.ready and len(worker.jobs) < SHORT]
        return min(needy, key=lambda worker: len(worker.jobs), default=None)

    def _receive(self, seconds: float) -> None:
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), seconds):
            worker = pipes[cast("Connection", pipe)]
            try:
                while worker.pipe.poll():
                    self._take(worker, worker.pipe.recv_bytes())
            except (EOFError, OSError):
                self._bury(worker)

    def _take(self, worker: _Worker, message: bytes) -> None:
        kind, data = message[:1], message[1:]
        if kind == b"O":
            outcomes = _decode_outcomes(data)
            for outcome in outcomes:
                worker.jobs.pop(outcome.job.seq, None)
            self._deaths = 0
            self._outbox += outcomes
        elif kind == b"R":
            worker.ready = True
        else:
            text, hint = msgspec.msgpack.decode(data)
            raise PredictorNotReadyError(text, hint)

    def _bury(self, worker: _Worker) -> None:
        """Start another worker for one that is gone; its jobs may be tried again."""
        worker.pipe.close()
        worker.process.kill()
        code = worker.process.wait()
        self._deaths += 1
        if self._deaths > DEATHS:
            raise PredictorCrashedError(f"workers end again and again (the last with code {code})", "is memory short?")
        for job in worker.jobs.values():
            self._outbox.append(
                Outcome(job, "failed", kind="WorkerGone", error=f"its worker ended with code {code}", transient=True)
            )
        self._workers[self._workers.index(worker)] = self._launch()
