"""One process that holds the model for all workers of a server: each asks it for a predictor, and it forks one.

The other side is ``playground_interfaces/nursery.py``. The nursery lives as long as anybody is connected to it: so a
reload, whose workers use another socket, loads anew; and none is left when the server is gone, however it went.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from playground.predictor.process import PredictorSpec, StartedProcess
from playground_interfaces.wire import Wire

GRACE = 5.0
"""Seconds in which the nursery tells the end of a predictor that was killed."""


class Nursery:
    """A worker's way to it.

    Args:
        path: of its socket, in a folder that only this user can read; all workers that give the same one share.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: socket.socket | None = None

    def fork(self, spec: PredictorSpec, descriptor: int, stdout: int, stderr: int) -> ForkedProcess:
        """Ask for a predictor; where no nursery runs, start it first. It ends with this thread until it has loaded.

        Args:
            spec: what to load.
            descriptor: the predictor's end of the socket that tiles come through.
            stdout, stderr: where it prints.

        Raises:
            SettingsError: no such interpreter.
            OSError: it cannot be started.
        """
        started: StartedProcess | None = None
        try:
            control = self._connect()
        except OSError:
            with self._locked():
                try:
                    control = self._connect()
                except OSError:
                    control, started = self._start(spec, stdout, stderr)
        try:
            # One more connection, which nothing comes through: the nursery outlives this predictor.
            kept, self._kept = self._kept, self._connect()
            if kept is not None:
                kept.close()
            control.sendmsg(
                [b"f"],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor, stdout, stderr]).tobytes())],
            )
        except OSError:  # it has ended just now: ForkedProcess tells how
            pass
        return ForkedProcess(control, started)

    def close(self) -> None:
        """Let it end, if no other worker needs it."""
        if self._kept is not None:
            self._kept.close()

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(self.path))
        except OSError:
            sock.close()
            raise
        return sock

    def _start(self, spec: PredictorSpec, stdout: int, stderr: int) -> tuple[socket.socket, StartedProcess]:
        self.path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen(128)
            control = self._connect()  # so this worker's request is the first
            try:
                return control, StartedProcess(spec, "nursery", listener.fileno(), stdout, stderr)
            except BaseException:
                control.close()
                raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Among all workers, only one at a time looks whether there is a nursery and starts it."""
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class ForkedProcess:
    """A predictor that the nursery forked, or is going to.

    Args:
        control: the connection that the nursery tells its number and its end through; closed, the nursery ends it.
        nursery: the nursery, where this request started it.
    """

    def __init__(self, control: socket.socket, nursery: StartedProcess | None) -> None:
        self._control = control
        self._nursery = nursery
        self._status: int | None = None
        self._over = threading.Event()
        self._closing = threading.Lock()
        self._killed = False
        self.pid: int | None = None
        threading.Thread(target=self._listen, name="predictor-nursery", daemon=True).start()

    @property
    def is_lost(self) -> bool:
        """Whether the nursery, which another worker had started, ended before there was this process."""
        return self._over.is_set() and self.pid is None and self._nursery is None

    def poll(self) -> int | None:
        return self._status

    def has_ended(self) -> bool:
        return self._status is not None

    def is_known_as(self, pid: int) -> None:
        """It has told its number itself; the nursery may not have been so far."""
        self.pid = pid

    def wait(self, timeout: float | None = None) -> int:
        if not self._over.wait(GRACE if self._killed else timeout):
            if not self._killed:
                raise subprocess.TimeoutExpired("predictor", timeout or 0.0)
            self._status = -signal.SIGKILL
        assert self._status is not None
        return self._status

    def kill_group(self) -> None:
        if self.pid is None:
            if self._nursery is not None:
                self._nursery.kill_group()
            self._hang_up()
        else:  # when it has ended, too: what it forked may not have
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        with self._closing, contextlib.suppress(OSError):  # once it is closed, its number may be another file's
            self._control.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        wire = Wire(self._control)
        status = -int(signal.SIGKILL)  # what the kernel sends it when the nursery ends
        with contextlib.suppress(OSError, EOFError, ValueError):
            self.pid = wire.receive()[0]["pid"]
            status = wire.receive()[0]["status"]
        if self.pid is None and self._nursery is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._nursery.wait(GRACE)
        self._status = status
        self._over.set()
        with self._closing:
            self._control.close()
