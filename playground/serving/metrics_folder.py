"""Where the workers of one server keep what they share: gunicorn's hooks make it and take it away.

Besides the numbers, the tiles that ended a predictor, and the socket of the process that holds the model for all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playground import scratch

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Prometheus' library reads it. Predictor processes don't see it: what a partner counts is the partner's."""
PREFIX = "playground-metrics-"


def on_starting(server: Any) -> None:
    """A new folder for each start, in memory where there is a file system for that; a reload keeps it.

    What servers left there that were killed goes.
    """
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    for gone in scratch.sweep(PREFIX, memory):
        shutil.rmtree(answers_folder(str(gone)), ignore_errors=True)
    made, server.playground_folder_lock = scratch.make(f"{PREFIX}{os.getpid()}-", memory)
    os.environ[VARIABLE] = str(made)


def folder() -> Path | None:
    """Where it is; None in a process that no such server has started."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def child_exit(server: Any, worker: Any) -> None:
    """A worker has ended: what it counted stays counted, what it was doing it does no longer."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - not before the folder is there

    mark_process_dead(worker.pid, os.environ[VARIABLE])  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """The folder goes with the server that made it; after an upgrade on the fly, the other server has its own."""
    folder = Path(os.environ.get(VARIABLE, ""))
    if folder.name.startswith(f"{PREFIX}{os.getpid()}-"):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(answers_folder(str(folder)), ignore_errors=True)


def answers_folder(folder: str) -> Path:
    """Where the workers keep answers that may be asked for again: on a disk, as they can be large."""
    return Path(tempfile.gettempdir(), f"{Path(folder).name}-answers")
