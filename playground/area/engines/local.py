"""Predictor processes of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pickle
import socket
import subprocess
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import cast

import msgspec

from playground.area.cover import BAND_ROWS, order_of
from playground.area.engines.ahead import AHEAD
from playground.area.engines.forks import Fork, Forks
from playground.area.engines.worker import WorkerSpec
from playground.area.outcome import Job, Outcome
from playground.errors import PredictorCrashedError, PredictorNotReadyError
from playground.sources import SOURCES, kind_of

CHUNK = 256
"""Consecutive tiles that one worker gets, at most: the more, the fewer tiles are decoded by two of them. Whole columns
of a full band, for the same reason."""
LEAST = 48
"""Of quick tiles at least so many, until there are too few left to be shared out."""
SHARE_SECONDS = 0.1
"""Tiles that take longer than that together are shared out, however few they are."""
AT_HAND = 192
"""Jobs that a worker needs to have, beside those whose tiles are being fetched: three times what it tells of at
once."""
AT_HAND_SECONDS = 0.5
"""More than it does in that time it need not have."""
ROOM = 2**20
"""Bytes of outcomes that a worker may tell while nobody listens, because what came is joined and written down: often
two times what it tells at once. A socket has room for less than half of that."""
DEATHS = 3
"""A worker that died so often without an outcome in between is not started again."""

_decode_outcomes = msgspec.msgpack.Decoder(list[Outcome]).decode


@dataclasses.dataclass
class _Worker:
    process: Fork
    pipe: Connection
    """Where its jobs go in."""
    told: Connection
    """Where its outcomes come out."""
    eager: bool
    """Takes jobs before its predictor is loaded."""
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
        self._stock: list[Job] = []
        self._pace = 0.0
        self._workers: list[_Worker] = []
        self._forks: Forks | None = None
        self._deaths = 0
        self._outbox: list[Outcome] = []

    def launch(self) -> None:
        self._workers = [self._fork(eager=True) for _ in range(self._count)]

    def start(self) -> None:
        while not any(worker.ready for worker in self._workers):
            self._receive(1.0)

    def room(self) -> int:
        if not any(worker.ready for worker in self._workers):  # all were lost at once, and nobody waits for outcomes
            self._receive(0)
        needy = len(self._needy())
        return max(0, needy * CHUNK + BAND_ROWS - len(self._stock)) if needy else 0

    def submit(self, jobs: list[Job]) -> None:
        self._left = max(0, self._left - sum(job.attempt == 1 for job in jobs))
        self._stock += jobs
        self._deal()

    def collect(self, seconds: float) -> list[Outcome]:
        self._deal()
        if not self._outbox:
            self._receive(seconds)
        found, self._outbox = self._outbox, []
        return found

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
            worker.told.close()
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

    def _fork(self, eager: bool) -> _Worker:
        if self._forks is None or self._forks.is_gone():
            self._forks = Forks(*self._source_module())
        ours, theirs = socket.socketpair()
        pipe = Connection(ours.detach())
        told, tells = os.pipe()
        with theirs, contextlib.closing(Connection(tells, readable=False)):
            with contextlib.suppress(OSError, AttributeError):  # it may be the user's share that is used up
                fcntl.fcntl(tells, fcntl.F_SETPIPE_SZ, ROOM)
            process = self._forks.fork(theirs.fileno(), tells)
        with contextlib.suppress(OSError):  # it is gone already; whoever reads is told
            pipe.send_bytes(pickle.dumps(self._spec))
        return _Worker(process, pipe, Connection(told, writable=False), eager)

    def _source_module(self) -> list[str]:
        """Where the tile source lives."""
        kind = kind_of(self._spec.settings.tiles or "")
        return [SOURCES[kind].target.partition(":")[0]] if kind else []

    def _needy(self) -> list[_Worker]:
        """The workers that need jobs, the one that needs them most first."""
        enough = AHEAD + self._within(AT_HAND_SECONDS, AT_HAND)
        needy = [worker for worker in self._workers if (worker.ready or worker.eager) and len(worker.jobs) < enough]
        return sorted(needy, key=lambda worker: len(worker.jobs))

    def _within(self, seconds: float, most: int) -> int:
        """Jobs that a worker does in some seconds, a column or more; as long as nobody knows, a column."""
        many = int(seconds / self._pace) if self._pace else 0
        return max(int(BAND_ROWS), min(most, many))

    def _deal(self) -> None:
        """Give jobs that were submitted to the workers that need them."""
        if not self._stock and not self._left:
            self._relieve()
        while self._stock and (needy := self._needy()):
            left = self._left + len(self._stock)
            fair = -(-left // self._count)
            size = min(CHUNK, max(left // (2 * self._count), min(fair, self._within(SHARE_SECONDS, LEAST))))
            size = whole_columns(self._stock[: size + BAND_ROWS], size)
            self._send(needy[0], self._stock[:size])
            del self._stock[:size]

    def _relieve(self) -> None:
        """Where all others have done their work, take that of those who still load their predictors."""
        late = [worker for worker in self._workers if worker.jobs and not worker.ready]
        ready = [worker for worker in self._workers if worker.ready]
        if late and ready and not any(worker.jobs for worker in ready):
            for worker in late:
                self._stock += worker.jobs.values()
                self._end(worker)
                self._workers.remove(worker)

    @staticmethod
    def _send(worker: _Worker, jobs: list[Job]) -> None:
        worker.jobs.update({job.seq: job for job in jobs})
        with contextlib.suppress(OSError):  # it is gone; whoever reads is told why
            worker.pipe.send_bytes(msgspec.msgpack.encode(jobs))

    def _receive(self, seconds: float) -> None:
        workers = {worker.told: worker for worker in self._workers}
        for told in wait(list(workers), seconds):
            worker = workers[cast("Connection", told)]
            try:
                while worker.told.poll():
                    self._take(worker, worker.told.recv_bytes())
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
            pace = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
            self._pace = (self._pace + pace) / 2 if self._pace else pace
        elif kind == b"R":
            worker.ready = True
        else:
            text, hint = msgspec.msgpack.decode(data)
            raise PredictorNotReadyError(text, hint)

    def _bury(self, worker: _Worker) -> None:
        """Start another worker for one that is gone; its jobs may be tried again."""
        code = self._end(worker)
        self._deaths += 1
        if self._deaths > DEATHS:
            raise PredictorCrashedError(f"workers end again and again (the last with code {code})", "is memory short?")
        new = self._fork(eager=False)
        self._workers[self._workers.index(worker)] = new
        if not worker.ready:  # it has not begun with any of them
            self._send(new, list(worker.jobs.values()))
            return
        for job in worker.jobs.values():
            self._outbox.append(
                Outcome(job, "failed", kind="WorkerGone", error=f"its worker ended with code {code}", transient=True)
            )

    @staticmethod
    def _end(worker: _Worker) -> int:
        """End a worker; how it ended."""
        worker.pipe.close()
        worker.told.close()
        worker.process.kill()
        return worker.process.wait()


def whole_columns(jobs: Sequence[Job], size: int) -> int:
    """About so many of the first jobs, so that no column is cut."""
    columns = [order_of(job.x, job.y)[:2] for job in jobs]
    ends = [place for place in range(1, len(jobs)) if columns[place] != columns[place - 1]] + [len(jobs)]
    return max((end for end in ends if end <= size), default=ends[0])
