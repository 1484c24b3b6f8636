"""A worker as a process of its own."""

from __future__ import annotations

import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import msgspec

from playground.area.engines.worker import TileWorker
from playground.area.outcome import Job
from playground.errors import PlaygroundError


def main(descriptor: int) -> None:
    """A worker process: jobs come in through a socket, outcomes go out; it ends with the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the run, which then closes the socket
    pipe = Connection(descriptor)
    encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(list[Job]).decode
    sending = threading.Lock()

    def say(kind: bytes, data: bytes) -> None:
        with sending:
            try:
                pipe.send_bytes(kind + data)
            except OSError:
                pass  # nobody listens any more; the main loop sees it, too

    worker: TileWorker | None = None
    try:
        try:
            worker = TileWorker(pickle.loads(pipe.recv_bytes()))  # noqa: S301 - from the process that started this one
            worker.start()
        except PlaygroundError as error:
            say(b"E", encode((error.message, error.hint)))
            return
        say(b"R", encode(worker.threads))
        predict = worker.predict

        def work(job: Job) -> None:
            say(b"O", encode(predict(job)))

        with ThreadPoolExecutor(worker.threads) as pool:
            try:
                while True:
                    for job in decode(pipe.recv_bytes()):
                        pool.submit(work, job)
            except (EOFError, OSError):
                worker.close()
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        if worker is not None:
            worker.close()
