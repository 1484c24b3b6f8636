"""One run of the partner's interpreter, from start to exit, and the frames that go to it and come back."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import socket
import struct
import subprocess
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from playground.errors import PlaygroundError, PredictorCrashedError, PredictorError, PredictorTimeoutError
from playground.predictor.nursery import ForkedProcess, Nursery
from playground.predictor.output import Output
from playground.predictor.process import PredictorSpec, Process, StartedProcess
from playground.predictor.turns import Answer
from playground.predictor.wires import ServerWire
from playground_interfaces import Tile

logger = logging.getLogger(__name__)


class Session:
    """A running predictor process.

    Args:
        spec: what to load.
        nursery: the process to fork it from; None for one that loads the model itself.

    Raises:
        SettingsError: no such interpreter.
        OSError: it cannot be started.
    """

    def __init__(self, spec: PredictorSpec, nursery: Nursery | None = None) -> None:
        self.spec = spec
        self._patience = 0.0
        self.ending: str | None = None
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            self._socket, sock = socket.socketpair()
            ours.callback(self._socket.close)
            theirs.callback(sock.close)
            pipes, descriptors = {}, [sock.fileno()]
            for name in ("stdout", "stderr"):
                pipes[name], write = os.pipe()
                ours.callback(os.close, pipes[name])
                theirs.callback(os.close, write)
                descriptors.append(write)
            process: Process = (
                nursery.fork(spec, *descriptors) if nursery else StartedProcess(spec, "loop", *descriptors)
            )
            ours.pop_all()
        self.process = process
        self.wire: Any = ServerWire(self._socket)
        self._output = Output(lambda: process.pid, pipes)

    def load(self) -> Iterator[dict[str, Any]]:
        """Tell the process what to load; yield what it says until it is ready, has failed, or is gone."""
        try:
            named = {"package": self.spec.package, "class": self.spec.class_name, "workdir": str(self.spec.workdir)}
            self.wire.send({"op": "load", **named, "hooks": dict(self.spec.hooks)})
            while True:
                head, _ = self.wire.receive()
                if "pid" in head and isinstance(self.process, ForkedProcess):
                    self.process.is_known_as(head["pid"])
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
        head, blobs = head_of(tile, eager)
        reply, blob, failures = self._ask(head, blobs, [tile], deadline)
        if failures:
            raise failures[0]
        return reply, blob

    def predict_batch(self, tiles: Sequence[Tile], eager: list[str], deadline: float) -> list[Answer] | None:
        """Send several tiles at once and wait for their answers.

        Args:
            tiles, eager, deadline: as for ``predict``.

        Returns:
            One answer for each tile, in their order; None when they could not be predicted together.

        Raises:
            PredictorTimeoutError, PredictorCrashedError, PlaygroundError: as ``predict``.
        """
        heads, blobs = [], []
        for tile in tiles:
            head, parts = head_of(tile, eager)
            heads.append(head)
            blobs += parts
        reply, blob, failures = self._ask({"op": "predict-batch", "tiles": heads}, blobs, tiles, deadline)
        if reply["op"] == "raised":
            logger.error("predict_batch() raised %s\n%s", reply["message"], reply["traceback"])
        if reply["op"] != "results":
            return None
        answers: list[Answer] = []
        start = 0
        for index, each in enumerate(reply["tiles"]):
            end = start + each["length"]
            answers.append(failures.get(index) or (each, blob[start:end]))
            start = end
        return answers

    def _ask(
        self, head: dict[str, Any], blobs: list[Any], tiles: Sequence[Tile], deadline: float
    ) -> tuple[dict[str, Any], bytearray, dict[int, PlaygroundError]]:
        """Send a frame; its answer, and which tiles' parts could not be made."""
        failures: dict[int, PlaygroundError] = {}
        try:
            self.bound(deadline)
            self.wire.send(head, blobs)
            while True:
                reply, blob = self.wire.receive()
                if reply["op"] != "need":
                    return reply, blob, failures
                self.give(reply, tiles, failures)
                self.bound(deadline)
        except (OSError, EOFError, ValueError) as error:
            raise self.failure(error) from error
        except BaseException:  # in the middle of a conversation that nobody could take up again
            self.kill()
            raise

    def failure(self, error: Exception) -> PredictorError:
        """End the process, where the connection to it failed; what is to be told instead."""
        if isinstance(error, BlockingIOError):
            self.end("timeout")
            return PredictorTimeoutError(
                "the prediction took longer than the deadline", "the predictor is started afresh; raise `timeout`"
            )
        self.kill()
        return PredictorCrashedError(
            f"the predictor process {self.wait()} during this request", "it is started afresh; try again"
        )

    def give(self, asked: dict[str, Any], tiles: Sequence[Tile], failures: dict[int, PlaygroundError]) -> None:
        """Send the part that the predictor reads."""
        index = asked.get("tile", 0)
        try:
            part, data = _part(tiles[index], asked["part"])
        except PlaygroundError as error:
            failures[index] = error
            self.wire.send({"op": "part-gone"})
        else:
            self.wire.send({"op": "part", "part": part}, [data])

    def bound(self, deadline: float) -> None:
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
        self.process.kill_group()
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

    def has_ended(self) -> bool:
        """Whether the process is known to have ended; the kernel is not asked."""
        return self.process.has_ended()

    def is_lost(self) -> bool:
        """Whether there never was a process, and not for a reason of its own: another one can be tried."""
        return isinstance(self.process, ForkedProcess) and self.process.is_lost and self.ending is None

    def end(self, why: str) -> None:
        """End the process at once, for a reason of the server's."""
        if not self.is_gone():
            self.ending = self.ending or why
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        if not self.is_gone():
            self.process.kill_group()

    def close(self) -> None:
        """Give the socket back; call it once ``wait`` has returned.

        Its number is free only when nobody holds the session any more: a thread that was about to read from it, or to
        wait for it, would do so with the next file of that number, which is the next process's socket.
        """
        weakref.finalize(self, os.close, self._socket.detach())
        self.process.close()


def head_of(tile: Tile, eager: Sequence[str]) -> tuple[dict[str, Any], list[Any]]:
    """What is sent for a tile: where it and its further images come from, their frames, and these parts of it."""
    images = tile.tiles
    described, blobs = [], []
    for name in eager:
        if _place(name)[0] < len(images):
            part, blob = _part(tile, name)
            described.append(part)
            blobs.append(blob)
    head = {"op": "predict", "url": tile.url, "frame": _frame(tile), "parts": described}
    if len(images) > 1:
        head["others"] = [{"url": other.url, "frame": _frame(other)} for other in images[1:]]
    return head, blobs


def encode(tile: Tile, eager: Sequence[str]) -> tuple[bytes, list[Any]]:
    """What is sent for a tile, made outside of its turn."""
    head, blobs = head_of(tile, eager)
    return orjson.dumps(head), blobs


def _frame(tile: Tile) -> dict[str, Any]:
    frame = {
        "z": tile.z,
        "x": tile.x,
        "y": tile.y,
        "padding": tile.padding,
        "size": tile.size,
        "bounds": tile.bounds,
        "resolution": tile.resolution,
    }
    if tile.metadata:
        frame["metadata"] = tile.metadata
    return frame


def is_part(tile: Tile, name: str) -> bool:
    """Whether a tile has so many images."""
    place = _place(name)[0]
    return not place or place < len(tile.tiles)


def load_part(tile: Tile, name: str) -> Any:
    """One part of a tile, or of its further images, made if it is not there yet; None where there is no such image."""
    place, attribute = _place(name)
    if place and place >= len(tile.tiles):
        return None
    return getattr(tile.tiles[place] if place else tile, attribute)


@functools.lru_cache(64)
def _place(name: str) -> tuple[int, str]:
    """Which of a request's images a part belongs to, and its attribute: "image" is (0, "image"), "1:image" the next."""
    place, _, attribute = name.rpartition(":")
    return int(place or 0), attribute


def _part(tile: Tile, name: str) -> tuple[dict[str, Any], Any]:
    """One part of a tile for the wire: what describes it, and its bytes."""
    place, attribute = _place(name)
    value = getattr(tile.tiles[place], attribute)
    if isinstance(value, np.ndarray) and value.ndim > 1:
        value = np.ascontiguousarray(value)
        part = {"name": name, "length": value.nbytes, "shape": value.shape, "dtype": value.dtype.str}
        return part, value.reshape(-1).view(np.uint8)
    if value is None:
        value = b""
    view = memoryview(value).cast("B")
    return {"name": name, "length": len(view)}, view
