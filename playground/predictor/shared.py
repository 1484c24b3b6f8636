"""Several tiles in one frame: their pixels go to the predictor process through memory that both sides share.

The other side is ``app/playground_interfaces/several.py``.
"""

from __future__ import annotations

import array
import dataclasses
import fcntl
import logging
import mmap
import os
import select
import socket
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from playground.errors import PlaygroundError
from playground.predictor.session import Session, head_of, is_part, load_part
from playground.predictor.turns import Answer
from playground.predictor.unpacking import unpacked
from playground_interfaces import Tile
from playground_interfaces.several import INDEX, SINCE

logger = logging.getLogger(__name__)

HEADER = 4096
"""Bytes at the memory's start, which tell the tile that is predicted and since when."""
ALIGNED = 64
"""Bytes: where a part may begin."""
LARGEST = 64 * 2**20
"""Bytes of shared memory; a tile that needs more goes through the socket."""
LONGEST = 1.0
"""Seconds after which a frame is answered though not all of its tiles are predicted: little is lost in a crash."""
SURE = 0.001
"""Seconds between two looks at what is predicted, before the process is killed for it."""


class OverdueError(BlockingIOError):
    """A tile takes longer than it may.

    Args:
        index: which.
    """

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class Memory:
    """Memory that another process can be given.

    Args:
        size: bytes.

    Raises:
        OSError: there is not so much, or no such thing on this system.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.descriptor = os.memfd_create("tiles", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.posix_fallocate(self.descriptor, 0, size)
            # Whoever wrote beyond the end of a file that the predictor had cut off would be killed.
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self.map = mmap.mmap(self.descriptor, size)
        except BaseException:
            os.close(self.descriptor)
            raise

    def send(self, sock: socket.socket) -> None:
        """Give it to the process at the other end of a Unix socket."""
        sock.sendmsg([b"m"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self.descriptor]).tobytes())])
        os.close(self.descriptor)

    def write(self, start: int, value: Any, length: int) -> tuple[Any, ...]:
        """Write an array, or bytes; the array's shape and dtype."""
        if isinstance(value, np.ndarray):
            np.copyto(np.ndarray(value.shape, value.dtype, self.map, start), value)
            return value.shape, value.dtype.str
        self.map[start : start + length] = value
        return ()

    def note(self, index: int, since: float) -> None:
        SINCE.pack_into(self.map, INDEX.size, since)
        INDEX.pack_into(self.map, 0, index)

    def noted(self) -> tuple[int, float]:
        """Which tile is predicted, and since when."""
        return INDEX.unpack_from(self.map)[0], SINCE.unpack_from(self.map, INDEX.size)[0]


@dataclasses.dataclass
class Told:
    """What came of a frame.

    Attributes:
        answers: of its first tiles; an exception where a part could not be made.
        micros: microseconds that each took.
        error: how the process ended.
        index: the tile that was predicted then; None if none was.
        alone: so many of the next tiles could not be predicted together.
        read: the parts that the partner read of most tiles; None if it has no answer for any.
    """

    answers: list[Answer | Exception] = dataclasses.field(default_factory=list)
    micros: list[int] = dataclasses.field(default_factory=list)
    error: PlaygroundError | None = None
    index: int | None = None
    alone: int = 0
    read: list[str] | None = None


class Frames:
    """Frames of several tiles to one predictor process.

    Args:
        session: the process.
        memory_mb: resident memory at which it answers before all tiles are predicted; 0 for no limit.
    """

    def __init__(self, session: Session, memory_mb: int = 0) -> None:
        self.session = session
        self._memory_mb = memory_mb
        self._memory: Memory | None = None
        self._refused = False
        self._count = 0

    def predict(
        self, tiles: Sequence[Tile], eager: Sequence[str], seconds: Sequence[float], batch: int = 1
    ) -> Told | None:
        """Predict as many of the tiles, from the first, as fit into memory and time.

        Args:
            tiles: their eager parts are there.
            eager: the parts to send along, because the partner read them last time.
            seconds: how long each may take.
            batch: how many to hand to ``predict_batch`` at once; 1 for ``predict``.

        Returns:
            What came of it; None where the process cannot share so much memory, or none.
        """
        if self._refused:
            return None
        told = Told()
        try:
            self.session.bound(time.monotonic() + max(seconds))
            head = self._write(tiles, eager)
            if head is None:
                return None
            head.update(batch=batch, seconds=LONGEST, memory_mb=self._memory_mb)
            self._ask(head, tiles, seconds, told)
        except OverdueError as error:
            told.error, told.index = self.session.failure(error), error.index
        except (OSError, EOFError, ValueError) as error:
            told.error = self.session.failure(error)
            told.error.__cause__ = error
            index = self._memory.noted()[0] if self._memory else -1
            told.index = index if 0 <= index < self._count else 0 if isinstance(error, BlockingIOError) else None
        except BaseException:  # in the middle of a conversation that nobody could take up again
            self.session.kill()
            raise
        return told

    def _ask(self, head: dict[str, Any], tiles: Sequence[Tile], seconds: Sequence[float], told: Told) -> None:
        """Send a frame, and take its answers."""
        assert self._memory is not None
        wire = self.session.wire
        self._count = len(head["tiles"])
        failures: dict[int, Exception] = {}
        self._memory.note(-1, time.monotonic())
        wire.send(head)
        while True:
            self._wait(seconds[: self._count])
            reply, blob = wire.receive()
            if reply["op"] != "need":
                break
            index = reply["tile"]
            try:
                load_part(tiles[index], reply["part"])
            except Exception as error:  # noqa: BLE001 - it is this tile's, and the others go on
                failures[index] = error
                wire.send({"op": "part-gone"})
            else:
                self.session.give(reply, tiles, {})
        heads = [reply["heads"][which] for which in reply["which"]]
        forms = [head["packed"] for head in heads if head["packed"]]
        polygons = iter(unpacked(forms, reply["polygons"], memoryview(blob)[sum(reply["lengths"]) :]))
        heads = [{**head, "polygons": next(polygons)} if head["packed"] else head for head in heads]
        start = 0
        for index, (answer, length) in enumerate(zip(heads, reply["lengths"], strict=True)):
            end = start + length
            told.answers.append(failures.get(index) or (answer, blob[start:end]))
            start = end
        told.micros = reply["micros"]
        results = [which for which in reply["which"] if reply["heads"][which]["op"] == "result"]
        if results:
            told.read = reply["heads"][max(set(results), key=results.count)]["read"]
        if reply["alone"]:
            told.alone = reply["alone"]["tiles"]
            if reply["alone"]["op"] == "raised":
                logger.error("predict_batch() raised %s\n%s", reply["alone"]["message"], reply["alone"]["traceback"])

    def _wait(self, seconds: Sequence[float]) -> None:
        """Wait for what the process says next.

        Raises:
            OverdueError: a tile takes longer than it may.
        """
        assert self._memory is not None
        poll = select.poll()
        poll.register(self.session._socket, select.POLLIN)
        timeout = min(seconds)
        while not poll.poll(max(timeout, SURE) * 1000):
            index, since = noted = self._memory.noted()
            allowed = seconds[index] if 0 <= index < len(seconds) else max(seconds)
            timeout = since + allowed - time.monotonic()
            if timeout <= 0:
                time.sleep(SURE)  # what is noted may have been half written
                if self._memory.noted() == noted:
                    raise OverdueError(max(0, min(index, len(seconds) - 1)))

    def _write(self, tiles: Sequence[Tile], eager: Sequence[str]) -> dict[str, Any] | None:
        """Write parts of the tiles to the memory; what tells the process about them. None where that cannot be."""
        gathered: list[list[tuple[str, Any, int]]] = []
        size = HEADER
        for tile in tiles:
            parts, needed = [], 0
            for name in eager:
                if is_part(tile, name):
                    value, length = _sized(load_part(tile, name))
                    parts.append((name, value, length))
                    needed += -(-length // ALIGNED) * ALIGNED
            if size + needed > LARGEST:
                break
            gathered.append(parts)
            size += needed
        if not gathered or not self._share(size):
            return None
        assert self._memory is not None
        kinds: dict[Any, int] = {}
        heads = []
        start = HEADER
        for tile, parts in zip(tiles, gathered, strict=False):
            places = []
            for name, value, length in parts:
                kind = (name, length, *self._memory.write(start, value, length))
                places.append((kinds.setdefault(kind, len(kinds)), start))
                start += -(-length // ALIGNED) * ALIGNED
            heads.append({**head_of(tile, ())[0], "parts": places})
        return {"op": "several", "kinds": [_described(*kind) for kind in kinds], "tiles": heads}

    def _share(self, size: int) -> bool:
        """Share so much memory; False where that cannot be."""
        if self._memory is not None and self._memory.size >= size:
            return True
        try:
            memory = Memory(min(LARGEST, -(-(size + size // 4) // 2**20) * 2**20))
        except (OSError, AttributeError) as error:
            self._refused = True
            logger.warning("no memory to share with the predictor process: %s", error)
            return False
        wire = self.session.wire
        wire.send({"op": "share", "size": memory.size})
        wire.receive()
        memory.send(self.session._socket)
        reply, _ = wire.receive()
        if reply["op"] == "shared":
            self._memory = memory
            return True
        self._refused = True
        logger.info("the predictor process cannot share memory: %s", reply["message"])
        return False


def _sized(value: Any) -> tuple[Any, int]:
    """What is to be written of a part, and how many bytes that is."""
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return value, value.nbytes
    view = memoryview(b"" if value is None else value).cast("B")
    return view, len(view)


def _described(name: str, length: int, *array: Any) -> dict[str, Any]:
    """What the process has to know of a part."""
    return {"name": name, "length": length, **dict(zip(("shape", "dtype"), array, strict=False))}
