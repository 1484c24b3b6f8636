"""How a server ends and is renewed: gunicorn's own ways, with what a service behind a load balancer needs besides.

The state below is one byte per question in memory that the master and its workers share; it exists once per server
process tree, like the tree itself.
"""

from __future__ import annotations

import mmap
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from playground.predictor import Predictor
from playground.serving import connections, exchange

SLOTS = 4096
"""Bytes of shared memory: the first tells whether the server drains, the others which workers have loaded."""
DRAIN_SECONDS = 19.0
"""From the signal until what is still being predicted is answered 503; App Engine ends the instance after 25."""
RELOAD_SECONDS = 600.0
"""How long the old workers go on at most while the new ones load."""

_shared = mmap.mmap(-1, SLOTS)
_slot = 0
_generation = 0


def generation() -> int:
    """How often the server had been reloaded when this worker was started: what is shared, is with the same ones."""
    return _generation


def is_draining() -> bool:
    """Whether this server was told to end."""
    return _shared[0] == 1


def post_fork(server: Any, worker: Any) -> None:
    """gunicorn's hook in a new worker."""
    global _slot  # noqa: PLW0603 - which worker this process is, is a fact of the process
    _slot = 1 + worker.age % (SLOTS - 1)
    _shared[_slot] = 0
    connections.install(worker)
    exchange.install(worker)


def when_ready(server: Any) -> None:
    """gunicorn's hook in the master: answer 503 for a while before the doors are shut."""
    linger = float(os.environ.get("DRAIN_LINGER") or 2.0)

    def drain() -> None:
        if is_draining() or linger <= 0:
            _shared[0] = 1
            raise StopIteration  # gunicorn's own way to end
        _shared[0] = 1
        server.log.info("Draining: newcomers get 503 for %g s, then no more connections are taken", linger)
        again = threading.Timer(linger, os.kill, [os.getpid(), signal.SIGTERM])
        again.daemon = True
        again.start()

    server.handle_term = drain


def on_reload(server: Any) -> None:
    """gunicorn's hook in the master on SIGHUP: the old workers go on until the new ones have loaded."""
    global _generation  # noqa: PLW0603 - the workers that are forked from now on have another one
    _generation += 1
    newest = server.worker_age
    manage = type(server).manage_workers

    def wait_and_manage() -> None:
        del server.manage_workers
        until = time.monotonic() + RELOAD_SECONDS
        while time.monotonic() < until and not _told_to_end(server):
            server.reap_workers()
            new = [worker for worker in list(server.WORKERS.values()) if worker.age > newest]
            if all(_shared[1 + worker.age % (SLOTS - 1)] for worker in new):
                break
            time.sleep(0.05)
        manage(server)

    server.manage_workers = wait_and_manage


def _told_to_end(server: Any) -> bool:
    """Whether a signal to end waits in gunicorn's queue; the queue stays as it was."""
    pending = []
    try:
        while True:
            pending.append(server.SIG_QUEUE.get_nowait())
    except queue.Empty:
        for sig in pending:
            server.SIG_QUEUE.put(sig)
    return any(sig in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT) for sig in pending)


def accompany(predictors: Sequence[Predictor], clock: Callable[[], float] = time.monotonic) -> None:
    """Tell the master when this worker's predictors have loaded; when draining has lasted, answer what still waits.

    Runs in a thread of its own, as long as the worker.
    """

    def run() -> None:
        for each in predictors:
            each.wait_ready(float("inf"))
        _shared[_slot] = 1
        while not is_draining():
            time.sleep(0.25)
        until = clock() + DRAIN_SECONDS
        while clock() < until:
            time.sleep(0.25)
        for each in predictors:
            each.close()

    threading.Thread(target=run, name="lifecycle", daemon=True).start()
