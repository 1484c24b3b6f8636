"""Tiles that end the predictor."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

import cachetools

from playground.errors import TilePoisonedError
from playground_interfaces import Tile

MARK = 8
"""Bytes that are others after each end of a predictor."""
KEPT = 1024
"""Tiles, or ends of the predictor, that are remembered; the oldest are forgotten first."""


class Poison:
    """What ended the predictor: after the second time a tile is not tried again.

    Args:
        folder: where the workers of one server remember it together, each end an empty file, so that a crash between
            any two steps does no harm; None to remember it in this process.
        tries: how often a tile may end the predictor.
    """

    def __init__(self, folder: Path | None = None, tries: int = 2) -> None:
        self.tries = tries
        self._folder = folder
        self._ends: dict[str, int] = {}
        self._suspects: cachetools.LRUCache[str, bool] = cachetools.LRUCache(KEPT)
        self._listed = b""
        if folder is not None:
            folder.mkdir(exist_ok=True)
            self._changed = _shared(folder.with_name(f"{folder.name}.changed"))

    def check(self, tile: Tile) -> None:
        """Refuse a tile that ended the predictor too often.

        Raises:
            TilePoisonedError: it did.
        """
        ends = self._read()
        if ends and ends.get(_name(tile), 0) >= self.tries:
            raise TilePoisonedError(
                f"this tile crashed or hung the predictor {self.tries} times; it is not tried again",
                "do not send it again; whoever runs the predictor finds the cause in the service's log",
            )

    def add(self, tile: Tile) -> None:
        """Remember that the predictor ended on this tile."""
        name = _name(tile)
        if self._folder is None:
            self._ends[name] = self._ends.pop(name, 0) + 1
            for forgotten in list(self._ends)[:-KEPT]:
                del self._ends[forgotten]
            return
        for number in range(self.tries):
            try:
                (self._folder / f"{name}.{number}").touch(exist_ok=False)
                break
            except FileExistsError:
                continue
            except OSError:  # no space, or the server ends: a tile more that is tried again
                return
        self._forget()
        self._changed[:] = os.urandom(MARK)

    def suspect(self, tiles: Iterable[Tile]) -> None:
        """The predictor ended on one of these, and nobody knows on which: from now on each is predicted alone."""
        for tile in tiles:
            self._suspects[_name(tile)] = True

    def is_suspect(self, tile: Tile) -> bool:
        """Whether a tile may have ended the predictor."""
        ends = self._read()
        if not ends and not self._suspects:
            return False
        name = _name(tile)
        return name in ends or name in self._suspects

    def clear(self, tile: Tile) -> None:
        """A tile was predicted alone, and nothing happened."""
        if self._suspects:
            self._suspects.pop(_name(tile), None)

    def _read(self) -> dict[str, int]:
        """How often each tile ended the predictor."""
        if self._folder is None:
            return self._ends
        changed = self._changed[:]
        if changed != self._listed:
            ends: dict[str, int] = {}
            try:
                for entry in os.listdir(self._folder):
                    name = entry.partition(".")[0]
                    ends[name] = ends.get(name, 0) + 1
            except OSError:  # the server ends, and its folder is gone
                return {}
            self._ends, self._listed = ends, changed
        return self._ends

    def _forget(self) -> None:
        assert self._folder is not None
        for old in sorted(self._folder.iterdir(), key=_age)[:-KEPT]:
            old.unlink(missing_ok=True)


def _shared(path: Path) -> mmap.mmap:
    """Bytes that all workers see change: reading them costs less than to ask the file system on each request."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < MARK:
            os.pwrite(descriptor, bytes(MARK), 0)
        return mmap.mmap(descriptor, MARK)
    finally:
        os.close(descriptor)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _name(tile: Tile) -> str:
    """What a tile is remembered by: its address, or its pixels."""
    if tile.z is not None:
        return f"{tile.z}-{tile.x}-{tile.y}"
    digest = hashlib.blake2b(tile.url.encode(), digest_size=16)
    for each in tile.tiles:
        digest.update(bytes(each.image or b""))
    return digest.hexdigest()
