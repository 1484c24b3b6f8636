"""One run of the partner's interpreter, from start to exit, and the frames that go to it and come back."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import playground_interfaces
from playground.errors import PlaygroundError, PredictorCrashedError, PredictorTimeoutError, SettingsError
from playground.predictor.output import Output
from playground_interfaces import Tile
from playground_interfaces.wire import Wire

START = """\
import sys
if sys.version_info < (3, 6):
    sys.exit("the predictor needs Python 3.6 or later; " + sys.executable + " is " + sys.version.split()[0])
import importlib.util
spec = importlib.util.spec_from_file_location(
    "playground_interfaces", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]])
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
from playground_interfaces.loop import main
main(int(sys.argv[2]))
"""
"""The contract is loaded from its own folder: that folder's parent, and so the server, never lands on sys.path."""


@dataclasses.dataclass(frozen=True)
class PredictorSpec:
    """Which class to load, with which interpreter, in which folder.

    Attributes:
        package: dotted name of the module, as the partner would import it from ``workdir``.
        class_name: the class in it.
        workdir: the partner's project: the process's current directory, and first on its ``sys.path``.
        python: the partner's interpreter; empty for the first of python3 and python on PATH.
        environ: its environment; None for the server's own.
        hooks: additional_checks, preprocessor, postprocessor -> the dotted name of a function of the partner's.
    """

    package: str
    class_name: str
    workdir: Path
    python: str = ""
    environ: Mapping[str, str] | None = None
    hooks: Mapping[str, str] = dataclasses.field(default_factory=dict)


def find_python(python: str = "") -> str:
    """The path of the partner's interpreter.

    Raises:
        SettingsError: there is none.
    """
    for name in [python] if python else ["python3", "python"]:
        found = shutil.which(os.path.expanduser(name))
        if found:
            return found
    raise SettingsError(
        f"no Python at {python}" if python else "no python3 and no python on PATH",
        "set PREDICTOR_PYTHON (or --python) to the interpreter that has the predictor's packages",
    )


class Session:
    """A running predictor process.

    Args:
        spec: what to load.

    Raises:
        SettingsError: no such interpreter.
        OSError: it cannot be started.
    """

    def __init__(self, spec: PredictorSpec) -> None:
        self.spec = spec
        python = find_python(spec.python)
        contract = str(Path(playground_interfaces.__file__).parent)
        self._socket, theirs = socket.socketpair()
        self._wire = Wire(self._socket, orjson.dumps, orjson.loads)
        self._patience = 0.0
        pipes = {name: os.pipe() for name in ("stdout", "stderr")}
        with theirs:
            self.process = subprocess.Popen(
                [python, "-u", "-c", START, contract, str(theirs.fileno())],
                cwd=spec.workdir,
                env=None if spec.environ is None else dict(spec.environ),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=pipes["stdout"][1],
                stderr=pipes["stderr"][1],
                # A group of its own: a terminal's Ctrl-C is for the server, and what the predictor forks ends with it.
                start_new_session=True,
            )
        for _, write in pipes.values():
            os.close(write)
        self._output = Output(self.process.pid, {name: read for name, (read, _) in pipes.items()})
        self.ending: str | None = None

    def load(self) -> Iterator[dict[str, Any]]:
        """Tell the process what to load; yield what it says until it is ready, has failed, or is gone."""
        try:
            named = {"package": self.spec.package, "class": self.spec.class_name, "workdir": str(self.spec.workdir)}
            self._wire.send({"op": "load", **named, "hooks": dict(self.spec.hooks)})
            while True:
                head, _ = self._wire.receive()
                yield head
                if head["op"] == "failed" or head.get("phase") == "ready":
                    return
        except (OSError, EOFError, ValueError):
            return

    def predict(self, tile: Tile, eager: list[str], deadline: float) -> tuple[dict[str, Any], bytearray]:
        """Send one tile and wait for its answer.

        Args:
            tile: parts are read from it when the partner reads them.
            eager: the parts to send at once, because the partner read them last time.
            deadline: on the clock of ``time.monotonic``.

        Returns:
            The head and the blob of the answer.

        Raises:
            PredictorTimeoutError: not within the deadline; the process is killed.
            PredictorCrashedError: the process died.
            PlaygroundError: whatever making a part of the tile raised.
        """
        parts = [_part(tile, name) for name in eager]
        head = {"op": "predict", "url": tile.url, "frame": _frame(tile), "parts": [part for part, _ in parts]}
        try:
            self._bound(deadline)
            self._wire.send(head, [blob for _, blob in parts])
            return self._answer(tile, deadline)
        except BlockingIOError:
            self.end("timeout")
            raise PredictorTimeoutError(
                "the prediction took longer than the deadline", "the predictor is started afresh; raise `timeout`"
            ) from None
        except (OSError, EOFError, ValueError) as error:
            self.kill()
            raise PredictorCrashedError(
                f"the predictor process {self.wait()} during this request", "it is started afresh; try again"
            ) from error

    def _answer(self, tile: Tile, deadline: float) -> tuple[dict[str, Any], bytearray]:
        failure: PlaygroundError | None = None
        while True:
            reply, blob = self._wire.receive()
            if reply["op"] != "need":
                break
            try:
                part, data = _part(tile, reply["part"])
            except PlaygroundError as error:
                failure = error
                self._wire.send({"op": "part-gone"})
            else:
                self._wire.send({"op": "part", "part": part}, [data])
            self._bound(deadline)
        if failure is not None:
            raise failure
        return reply, blob

    def _bound(self, deadline: float) -> None:
        """Let no single read or write wait beyond the deadline, to a quarter of a second.

        By the kernel's own limits, because Python's cost a poll, and a turn of the interpreter lock, for each call; and
        as most requests have about the same time left, mostly nothing is to be done.
        """
        seconds = max(deadline - time.monotonic(), 0.01)
        if abs(seconds - self._patience) <= min(0.25, self._patience / 10):
            return
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._patience = seconds

    def wait(self, grace: float | None = None, memory_mb: int = 0) -> str:
        """Wait until the process is gone; how it went, in words: "was ended by SIGSEGV", "exited with status 1".

        Args:
            grace: seconds after which it is killed; None to let it live.
            memory_mb: resident memory at which it is killed; 0 for no limit.
        """
        until = float("inf") if grace is None else time.monotonic() + grace
        while memory_mb and not self._gone_within(min(until - time.monotonic(), 0.2)):
            if self.memory_mb() > memory_mb:
                self.end("memory")
            if time.monotonic() > until:
                break
        try:
            status = self.process.wait(None if grace is None else max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            status = self.process.wait()
        self._kill_group()
        # A grandchild may hold the other end open: only this makes sure that nobody waits for it.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.ending == "memory":
            return "used more memory than it may"
        return f"exited with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"

    def _gone_within(self, seconds: float) -> bool:
        try:
            self.process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def memory_mb(self) -> float:
        """Resident memory of the process, without what it forked; 0 when it is gone, or on a system without /proc."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def output(self) -> tuple[str, ...]:
        """The last lines that it printed."""
        return self._output.lines()

    def is_gone(self) -> bool:
        """Whether the process has ended."""
        return self.process.poll() is not None

    def end(self, why: str) -> None:
        """End the process at once, for a reason of the server's."""
        if not self.is_gone():
            self.ending = self.ending or why
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        if not self.is_gone():
            self._kill_group()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Give the socket back; call it once ``wait`` has returned."""
        self._socket.close()


def _frame(tile: Tile) -> dict[str, Any]:
    frame = {name: getattr(tile, name) for name in ("z", "x", "y", "padding", "size", "bounds", "resolution")}
    return {name: value for name, value in frame.items() if value is not None}


def _part(tile: Tile, name: str) -> tuple[dict[str, Any], Any]:
    """One part of a tile for the wire: what describes it, and its bytes."""
    value = getattr(tile, name)
    if isinstance(value, np.ndarray) and value.ndim > 1:
        value = np.ascontiguousarray(value)
        part = {"name": name, "length": value.nbytes, "shape": value.shape, "dtype": value.dtype.str}
        return part, value.reshape(-1).view(np.uint8)
    if value is None:
        value = b""
    view = memoryview(value).cast("B")
    return {"name": name, "length": len(view)}, view
