"""Memory for pixels that predictor processes can look into: what lies there need not be copied for them."""

from __future__ import annotations

import array
import contextlib
import fcntl
import logging
import math
import mmap
import os
import socket
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

logger = logging.getLogger(__name__)

LEAST = 2**20
"""Bytes: smaller arrays are not made here."""
LARGEST = 2**27
"""Bytes of all."""
MOST = 24
"""Arrays at a time; those after them are made elsewhere, and copied when they are handed over."""
PAGE = 4096
F_SEAL_FUTURE_WRITE = 0x10
"""Linux 5.1: who maps the memory from now on can only read it."""


class Pool:
    """Room for large arrays of about one size. Whose nobody looks at any more is used again."""

    def __init__(self) -> None:
        self.size = 0
        self._descriptor = -1
        self._map: mmap.mmap | None = None
        self._address = 0
        self._room = 0
        self._made = 0
        self._free: list[int] = []
        self._refused = False

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array as ``numpy.empty`` makes it; here, if there is room."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        start = self._take(size) if size >= LEAST else None
        if start is None:
            return np.empty(shape, dtype)
        assert self._map is not None
        made: npt.NDArray[Any] = np.ndarray(shape, dtype, self._map, start)
        # Every view of it, and of those, refers to this very array.
        weakref.finalize(made, self._free.append, start).atexit = False
        return made

    def place_of(self, value: npt.NDArray[Any]) -> int | None:
        """Where the bytes of an array begin; None if they are not here, or not in one piece."""
        if self._map is None or not value.flags.c_contiguous:
            return None
        start = int(value.__array_interface__["data"][0]) - self._address
        return start if 0 <= start <= self.size - value.nbytes else None

    def send(self, sock: socket.socket) -> None:
        """Give the memory to the process at the other end of a Unix socket."""
        sock.sendmsg([b"m"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self._descriptor]).tobytes())])

    def close(self) -> None:
        """Make no more arrays here; those that there are stay."""
        self._refused = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, size: int) -> int | None:
        """Where there is room for so many bytes."""
        if self._refused or (self._map is not None and size > self._room):
            return None
        with contextlib.suppress(IndexError):
            return self._free.pop()
        try:
            if self._map is None:
                self._make(size)
            start = self._made * self._room
            if start + self._room > self.size:
                return None
            os.posix_fallocate(self._descriptor, start, self._room)  # else whoever wrote where none is left is killed
        except (OSError, AttributeError) as error:
            self._refused = True
            logger.warning("no memory for pixels to share with the predictor process: %s", error)
            return None
        self._made += 1
        return start

    def _make(self, size: int) -> None:
        room = -(-size // PAGE) * PAGE
        total = min(MOST, LARGEST // room) * room
        if not total:
            self._refused = True
            return
        self._descriptor = os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._descriptor, total)
        self._map = mmap.mmap(self._descriptor, total)
        self.size, self._room = total, room
        self._address = int(np.frombuffer(self._map, np.uint8).__array_interface__["data"][0])
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, seals | F_SEAL_FUTURE_WRITE)
        except OSError:  # an older kernel
            fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, seals)
