"""Scratch folders that go with the process that made them; if it was killed, as soon as the next one is made.

Each is held by a lock, which ends with the last process that has it open: a folder whose lock can be had is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LOCK = "held"
RUN = "playground-run-"
"""Prefix of folders with journals that nobody goes on with."""


def make(prefix: str, parent: str | None = None) -> tuple[Path, IO[str]]:
    """A new folder, and what holds it: it must stay open as long as the folder is used.

    Args:
        prefix: of the folder's name.
        parent: where; in the temporary folder if not given.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    lock = (folder / ".new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(lock.name, folder / LOCK)  # nobody sees it before it is held
    return folder, lock


def sweep(prefix: str, parent: str | None = None) -> list[Path]:
    """Take away folders that a killed process left.

    Args:
        prefix, parent: as given to ``make``; a folder with no lock is somebody else's.

    Returns:
        Those that are gone now.
    """
    gone = []
    for lock in Path(parent or tempfile.gettempdir()).glob(f"{prefix}*/{LOCK}"):
        with contextlib.suppress(OSError), lock.open("r+") as stream:  # another user's, or held
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
            gone.append(lock.parent)
    return gone


@contextlib.contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A folder for as long as the block runs."""
    sweep(prefix)
    path, lock = make(prefix)
    with lock:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
