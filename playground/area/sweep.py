"""The sweep over an area in order: what is done so far, and which objects are whole by now."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterator

import mercantile

from playground.area.cover import BAND_ROWS, Addresses
from playground.area.journal import Journal
from playground.area.outcome import Outcome
from playground.area.parts import Pieces
from playground.area.seams import Key, Seams
from playground.formats.features import Features

BLOCK = 128
"""Tiles taken in at once."""
HELD = 32 * 2**20
"""Bytes of outcomes that wait in memory for their turn; of more there is the journal."""


class Done:
    """Which places of the order are done: those of an earlier run, and those of this one in any order."""

    def __init__(self, earlier: list[int]) -> None:
        self._earlier = array("q", earlier)
        self._ahead: set[int] = set()
        self.next = 0
        """All places before it are done."""
        self.advance([])

    def __contains__(self, seq: int) -> bool:
        place = bisect.bisect_left(self._earlier, seq)
        return seq < self.next or seq in self._ahead or (place < len(self._earlier) and self._earlier[place] == seq)

    def advance(self, finished: list[int]) -> None:
        """Note places as done."""
        self._ahead.update(finished)
        while self.next in self:
            self._ahead.discard(self.next)
            self.next += 1


class Window:
    """The addresses of three bands: those that a tile of the middle one may touch."""

    def __init__(self, bands: Iterator[Addresses]) -> None:
        self._bands = bands
        self._kept: dict[int, set[Key]] = {}
        self._at: int | None = None
        self._ended = False

    def around(self, y: int) -> Window:
        """Move on to the band of a row."""
        band = y // BAND_ROWS
        if band == self._at:
            return self
        self._at = band
        while not self._ended and not any(number > band for number in self._kept):
            addresses = next(self._bands, None)
            if addresses is None:
                self._ended = True
            elif len(addresses):
                self._kept[int(addresses[0, 1]) // BAND_ROWS] = set(map(tuple, addresses.tolist()))
        for number in [number for number in self._kept if number < band - 1]:
            del self._kept[number]
        return self

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, tuple)
        return key in self._kept.get(key[1] // BAND_ROWS, ())


class Sweep:
    """Objects of an area, as soon as all tiles that may add to them are in the journal.

    Args:
        bands: the addresses of its tiles, in order.
        journal: what becomes of them.
        seams: what makes objects.
    """

    def __init__(self, bands: Iterator[Addresses], journal: Journal, seams: Seams) -> None:
        self._journal = journal
        self._seams = seams
        self._window = Window(bands)
        self._at = 0
        self._held: dict[int, Outcome] = {}
        self._room = HELD

    def hold(self, outcomes: list[Outcome]) -> None:
        """Take outcomes that are in the journal, so that they need not be read from it when their turn comes."""
        for outcome in outcomes:
            size = _size(outcome)
            if size <= self._room:
                self._room -= size
                self._held[outcome.job.seq] = outcome

    def up_to(self, stop: int, last: bool, soon: bool = False) -> Iterator[Features]:
        """Sweep on to a place in the order, all before it being done; ``last`` if the area ends there.

        With ``soon`` objects are given though they are few.
        """
        while self._at < stop:
            block = range(self._at, min(stop, self._at + BLOCK))
            for x, y, data in self._outcomes(block):
                pieces = Pieces.loads(data) if data is not None else None
                tile = mercantile.Tile(x, y, self._seams.zoom)
                self._seams.add(tile, pieces, self._window.around(y))
                if joined := self._seams.take():
                    yield joined
            self._at = block.stop
        if soon and (joined := self._seams.take(soon=True)):
            yield joined
        if last and (joined := self._seams.take(all_of_them=True)):
            yield joined

    def _outcomes(self, block: range) -> list[tuple[int, int, bytes | None]]:
        """(x, y, pieces) of tiles."""
        held = [self._held.pop(seq) for seq in block if seq in self._held]
        self._room += sum(map(_size, held))
        if len(held) < len(block):
            return self._journal.pieces(block.start, block.stop)
        return [(outcome.job.x, outcome.job.y, outcome.pieces) for outcome in held]


def _size(outcome: Outcome) -> int:
    return 500 + len(outcome.pieces or b"")
