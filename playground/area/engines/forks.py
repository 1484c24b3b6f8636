"""Workers as forks of one process that has imported what they need: an import costs more than hundreds of tiles.

That process has no threads of its own, so that it may fork. It lives in ``process.py`` and does what is asked of it
through a socket: ``f`` and a worker's descriptors gives the worker's number, ``w`` with that number and milliseconds
tells how the worker ended. Only then its number can go to another process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys

from playground import blas

START = """\
import gc, json, sys
gc.disable()  # modules are kept, and looking for garbage takes a sixth of the time that importing them takes
sys.path[:] = json.loads(sys.argv[1])
from playground.area.engines.process import main
main(int(sys.argv[2]), sys.argv[3:])
"""
"""Our path by argument, not by PYTHONPATH: that would reach the partner's interpreter, too."""
REQUEST = struct.Struct("!cqq")
ANSWER = struct.Struct("!q")
STILL_RUNNING = 1 << 32
"""No exit status."""


class Forks:
    """The process that forks workers.

    Args:
        modules: what all of them will import, too, if it is there.
    """

    def __init__(self, *modules: str) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START, json.dumps(sys.path), str(theirs.fileno()), *modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=blas.environment(),
            )

    def is_gone(self) -> bool:
        """Whether it has ended, and another one is needed."""
        return self._process.poll() is not None

    def fork(self, jobs: int, outcomes: int) -> Fork:
        """A worker, with the other ends of what its jobs come through, and its outcomes go through."""
        return Fork(self, self._ask(REQUEST.pack(b"f", 0, 0), jobs, outcomes))

    def ended(self, pid: int, seconds: float) -> int | None:
        """How a worker ended, as subprocess.Popen tells; None while it runs."""
        if pid:
            status = self._ask(REQUEST.pack(b"w", pid, int(seconds * 1000)))
            if status is not None:
                return None if status == STILL_RUNNING else status
        return -signal.SIGKILL  # its parent is gone, and took it along

    def close(self) -> None:
        """End it, and what is left of its workers."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, request: bytes, *descriptors: int) -> int | None:
        """What it answers; None if it has ended."""
        try:
            socket.send_fds(self._socket, [request], descriptors)
            answer = self._socket.recv(ANSWER.size, socket.MSG_WAITALL)
        except OSError:
            answer = b""
        if len(answer) < ANSWER.size:
            self._process.wait()  # nothing else closes its end
            return None
        return int(ANSWER.unpack(answer)[0])


class Fork:
    """A worker, as far as it is needed like a ``subprocess.Popen``."""

    def __init__(self, parent: Forks, pid: int | None) -> None:
        self._parent = parent
        self.pid = pid or 0
        self._status: int | None = None

    def kill(self) -> None:
        if self.pid and self._status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = 60.0) -> int:
        """How it ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        if self._status is None:
            self._status = self._parent.ended(self.pid, seconds)
        if self._status is None:
            raise subprocess.TimeoutExpired("worker", seconds)
        return self._status
