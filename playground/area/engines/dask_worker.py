"""What runs inside a Dask worker: predictors that stay loaded from one task to the next."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from distributed import get_worker

from playground.area.engines.shipping import Shipment, unpack
from playground.area.engines.worker import TileWorker, WorkerSpec
from playground.area.outcome import Job, Outcome
from playground.errors import PlaygroundError
from playground.version import __version__

IDLE = 60.0
"""Seconds after which a predictor that nobody asks is closed: its client may have died."""
ATTRIBUTE = "playground_desks"


@dataclasses.dataclass(frozen=True)
class Order:
    """What a task belongs to.

    Attributes:
        run: names the run.
        version: of the client.
        spec: a WorkerSpec, pickled: another version may be unable to read it.
    """

    run: str
    version: str
    spec: bytes


class Reply(msgspec.Struct, array_like=True):
    """What a task gives: outcomes, or why this worker cannot predict at all.

    Attributes:
        outcomes: one a job.
        seconds: that the worker was busy with them, without loading.
        refusal: what is wrong, and what to do about it.
    """

    outcomes: list[Outcome] = []
    seconds: float = 0.0
    refusal: tuple[str, str] | None = None


decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_jobs = msgspec.msgpack.Decoder(list[Job]).decode


class _Seat:
    """One predictor process, and the threads that keep it busy."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._worker = TileWorker(spec)
        self._closed = False

    def start(self) -> None:
        self._worker.start()

    def predict(self, jobs: list[Job]) -> list[Outcome]:
        """Outcomes of jobs; none once it is closed."""
        try:
            found = [outcome for some in self._worker.predict_all(jobs) for outcome in some]
        except RuntimeError:  # of a pool of threads: predict itself never raises
            found = []
        return [] if self._closed else found

    def close(self) -> None:
        self._closed = True
        self._worker.close()


class Desk:
    """The predictors of one run on one Dask worker: as many as tasks ever ran at once, a process each.

    Args:
        spec: what they do.
        folder: of the partner, unpacked for this run; removed in the end.
        idle: seconds without a task after which it closes.
        on_close: called then.
    """

    def __init__(
        self, spec: WorkerSpec, folder: Path | None, idle: float = IDLE, on_close: Callable[[], object] = lambda: None
    ) -> None:
        self._spec = spec
        self._folder = folder
        self._idle = idle
        self._on_close = on_close
        self._lock = threading.Lock()
        self._seats: list[_Seat] = []
        self._free: list[_Seat] = []
        self._used = time.monotonic()
        self.closed = threading.Event()
        """Its predictors are ended."""
        threading.Thread(target=self._watch, name="desk", daemon=True).start()

    @contextlib.contextmanager
    def seat(self) -> Iterator[_Seat]:
        """A predictor that nobody else uses meanwhile.

        Raises:
            PlaygroundError: it cannot be loaded.
        """
        with self._lock:
            seat, fresh = (self._free.pop(), False) if self._free else (_Seat(self._spec), True)
            if fresh:
                self._seats.append(seat)
            late = fresh and self.closed.is_set()
        try:
            if late:  # this desk has just closed: nothing is predicted, and the task begins again
                seat.close()
            elif fresh:
                seat.start()
            yield seat
        except BaseException:
            with self._lock:
                self._seats.remove(seat)
            seat.close()
            raise
        else:
            with self._lock:
                self._free.append(seat)
                self._used = time.monotonic()

    def close(self) -> None:
        """End all predictors, also those that are at work."""
        with self._lock:
            if self.closed.is_set():
                return
            self.closed.set()
            seats = list(self._seats)
        self._on_close()
        for seat in seats:
            seat.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self) -> None:
        while not self.closed.wait(self._idle / 4):
            with self._lock:
                busy = len(self._free) < len(self._seats)
                idle = not busy and time.monotonic() - self._used > self._idle
            if idle:
                self.close()


class Desks:
    """The runs that a Dask worker works for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._desks: dict[str, Desk] = {}
        self._over: set[str] = set()

    def desk(self, order: Order, shipment: Shipment | None, scratch: Path) -> Desk | None:
        """The desk of a run; None if the run is over.

        Args:
            order: whose.
            shipment: the partner's folder; None where it is installed.
            scratch: where to unpack it.
        """
        with self._lock:
            if order.run in self._over:
                return None
            if order.run not in self._desks:
                folder = None if shipment is None else unpack(shipment, scratch / order.run)
                spec = at_home(pickle.loads(order.spec), folder, scratch)  # noqa: S301 - this client may run anything
                self._desks[order.run] = Desk(spec, folder, on_close=lambda: self._desks.pop(order.run, None))
            return self._desks[order.run]

    def end(self, run: str) -> None:
        """Close the desk of a run that is over."""
        with self._lock:
            self._over.add(run)
            desk = self._desks.pop(run, None)
        if desk is not None:
            desk.close()


def at_home(spec: WorkerSpec, shipped: Path | None, scratch: Path) -> WorkerSpec:
    """What a worker does, with the places of its machine.

    Args:
        spec: as the client wrote it; an interpreter that is not named is the one of this process.
        shipped: the partner's folder, if it came along.
        scratch: any folder, where the client's is not here either.
    """
    predictor = spec.predictor
    folder = shipped or (predictor.workdir if predictor.workdir.is_dir() else scratch)
    return dataclasses.replace(
        spec, predictor=dataclasses.replace(predictor, workdir=folder, python=predictor.python or sys.executable)
    )


def work(order: Order, shipment: Shipment | None, jobs: bytes) -> bytes:
    """A task: predict tiles, with a predictor that is loaded already or will be now.

    Args:
        order: what it belongs to.
        shipment: the partner's folder; None where it is installed.
        jobs: a list of Job, msgpack.

    Returns:
        A Reply, msgpack.
    """
    if order.version != __version__:
        refusal = (
            f"this worker has playground {__version__}, the client {order.version}",
            f"install tile-playground[dask]=={order.version} there",
        )
        return msgspec.msgpack.encode(Reply(refusal=refusal))
    home = get_worker()
    desks: Desks = vars(home).setdefault(ATTRIBUTE, Desks())
    try:
        desk = desks.desk(order, shipment, Path(home.local_directory))
        if desk is None:
            return msgspec.msgpack.encode(Reply())
        with desk.seat() as seat:
            began = time.monotonic()
            outcomes = seat.predict(_decode_jobs(jobs))
            return msgspec.msgpack.encode(Reply(outcomes, time.monotonic() - began))
    except PlaygroundError as error:
        return msgspec.msgpack.encode(Reply(refusal=(error.message, error.hint)))


def end(run: str, dask_worker: Any) -> None:
    """Close what a worker holds for a run; Dask calls it with the worker.

    Args:
        run: names the run.
        dask_worker: the distributed.Worker.
    """
    desks = vars(dask_worker).get(ATTRIBUTE)
    if desks is not None:
        # Beside Dask's own loop, which must go on meanwhile.
        threading.Thread(target=desks.end, args=(run,), daemon=True).start()
