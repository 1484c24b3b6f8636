"""A worker as a process of its own."""

from __future__ import annotations

import gc
import pickle
import signal
from collections import deque
from multiprocessing.connection import Connection

import msgspec

from playground.area.engines.worker import TileWorker
from playground.area.outcome import Job
from playground.errors import PlaygroundError
from playground_interfaces.loop import die_with_parent

GARBAGE = 50_000
"""Objects made until garbage is looked for: features of 32 tiles are many, and none of them is part of a cycle."""


def main(descriptor: int) -> None:
    """A worker process: jobs come in through a socket, outcomes go out; it ends with the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the run, which then closes the socket
    die_with_parent()  # a run that is ended at once closes nothing, and a worker that loads a model does not listen
    pipe = Connection(descriptor)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(list[Job]).decode
    jobs: deque[Job] = deque()

    def take(wait: bool) -> Job | None:
        while not jobs and (wait or pipe.poll()):
            jobs.extend(decode(pipe.recv_bytes()))
        return jobs.popleft() if jobs else None

    worker: TileWorker | None = None
    try:
        try:
            worker = TileWorker(pickle.loads(pipe.recv_bytes()))  # noqa: S301 - from the process that started this one
            worker.start()
        except PlaygroundError as error:
            pipe.send_bytes(b"E" + encode((error.message, error.hint)))
            return
        gc.freeze()
        gc.set_threshold(GARBAGE)
        pipe.send_bytes(b"R")
        for outcomes in worker.work(take):
            pipe.send_bytes(b"O" + encode(outcomes))
    except (EOFError, OSError):
        pass  # nobody listens any more
    finally:
        if worker is not None:
            worker.close()
