"""A worker as a process of its own, and the process that forks workers (``forks.py`` asks it to)."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import pickle
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection

import msgspec

from playground.area.engines.forks import ANSWER, REQUEST, STILL_RUNNING
from playground.area.engines.worker import TileWorker
from playground.area.outcome import Job
from playground.errors import PlaygroundError
from playground_interfaces.loop import die_with_parent, is_alone

GARBAGE = 50_000
"""Objects made until garbage is looked for: features of 32 tiles are many, and none of them is part of a cycle."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of glibc's mallopt."""
LARGE = 2**25
"""Bytes, the most that glibc takes: smaller arrays come from memory that it keeps."""
KEPT = 2**28
"""Bytes of it that are kept though nobody uses them."""


def main(descriptor: int, modules: Sequence[str] = ()) -> None:
    """Import modules, then fork workers until nobody asks for one any more; in each of them, work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the run, which then closes the socket
    die_with_parent()  # a run that is ended at once closes nothing
    for module in modules:
        with contextlib.suppress(ImportError):  # the worker that needs it says so
            importlib.import_module(module)
    gc.freeze()  # a collection would write to every object, and so copy it
    with socket.socket(fileno=descriptor) as control:
        worker = _serve(control)
    if worker is not None:
        die_with_parent()  # who loads a model does not listen
        jobs, outcomes = worker
        with socket.socket(fileno=jobs) as run:
            if not is_alone(run):
                _work(Connection(run.detach()), Connection(outcomes, readable=False))
                if sys.stdout:
                    sys.stdout.flush()
                os._exit(0)  # the run waits for it, and taking down all that is in memory takes long


def _serve(control: socket.socket) -> tuple[int, int] | None:
    """Do what is asked for; in a fork, the descriptors that its jobs come through, and its outcomes go through."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 2)
        if not request:
            return None
        kind, pid, milliseconds = REQUEST.unpack(request)
        if kind == b"w":
            answer = _end_of(pid, milliseconds / 1000)
        else:
            answer = os.fork()
            if answer == 0:
                return descriptors[0], descriptors[1]
            for each in descriptors:
                os.close(each)
        control.sendall(ANSWER.pack(answer))


def _end_of(pid: int, seconds: float) -> int:
    """The exit status of a fork, or STILL_RUNNING."""
    until = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return STILL_RUNNING
        time.sleep(0.001)


def _work(run: Connection, told: Connection) -> None:
    """A worker: jobs come in, outcomes go out, until the other ends are closed."""
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(list[Job]).decode
    jobs: deque[Job] = deque()

    def take(wait: bool) -> Job | None:
        while not jobs and (wait or run.poll()):
            jobs.extend(decode(run.recv_bytes()))
        return jobs.popleft() if jobs else None

    worker: TileWorker | None = None
    _keep_memory()
    try:
        try:
            worker = TileWorker(pickle.loads(run.recv_bytes()))  # noqa: S301 - from the process that started this one
            ahead = worker.ahead(take)
            worker.start(ahead)
        except PlaygroundError as error:
            told.send_bytes(b"E" + encode((error.message, error.hint)))
            return
        gc.freeze()
        gc.set_threshold(GARBAGE)
        gc.enable()
        told.send_bytes(b"R")
        for outcomes in worker.work(ahead):
            told.send_bytes(b"O" + encode(outcomes))
    except (EOFError, OSError):
        pass  # nobody listens any more
    finally:
        if worker is not None:
            worker.close()


def _keep_memory() -> None:
    """Use again what large arrays leave, instead of giving it back to the system and asking for it page by page."""
    with contextlib.suppress(OSError, AttributeError):  # not every C library has it
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
