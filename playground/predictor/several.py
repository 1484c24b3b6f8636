"""Several tiles of one caller: which go to the predictor next, and what came of each."""

from __future__ import annotations

import collections
import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from playground.predictor.results import read_result
from playground.predictor.shared import LONGEST, Told
from playground_interfaces import Tile

MOST = 16
"""Tiles in a frame: they share what it costs, and what was written first is in the processor's cache still when the
other process reads it."""


def attempt(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns, or the exception that it raises.

    Without its traceback, which would keep all that is at work here, and so many tiles, for the garbage collector.
    """
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this tile's answer
        return error.with_traceback(None)


def most(seconds: float, left: int) -> int:
    """How many tiles should go to the predictor at once.

    Args:
        seconds: how long it takes for one.
        left: until it is replaced; 0 if it never is.
    """
    count = MOST if seconds <= 0 else max(1, min(MOST, int(LONGEST / seconds)))
    return min(count, left) if left else count


@contextlib.contextmanager
def _one_collection() -> Iterator[None]:
    """Let Python look for garbage once afterwards, not again and again among thousands of new lists."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Several:
    """Tiles, and their answers so far.

    Args:
        tiles: in the order of their answers.
        fit: raises for a tile that is not to be predicted; makes the parts that the partner reads.
        longest: how long one may take, seconds.
    """

    def __init__(self, tiles: Sequence[Tile], fit: Callable[[Tile], None], longest: float) -> None:
        self.answers: list[Any] = [None] * len(tiles)
        self._tiles = tiles
        self._fit = fit
        self._longest = longest
        self._began = time.monotonic()
        self._left = collections.deque(range(len(tiles)))
        self._frame: list[int] = []
        self._alone = 0
        self._ends = 0

    def next(self, count: int) -> list[Tile]:
        """The next tiles, ``count`` at most; none when all are answered."""
        self._frame = []
        while self._left and len(self._frame) < (self._alone or count):
            index = self._left.popleft()
            try:
                self._fit(self._tiles[index])
            except Exception as error:  # noqa: BLE001 - as above
                self.answers[index] = error
                self._alone = max(0, self._alone - 1)
            else:
                self._frame.append(index)
        return [self._tiles[index] for index in self._frame]

    def seconds(self, tile: Tile) -> float:
        """How long a tile may take. Its deadline says that as if it were the first; it does not pay for others."""
        deadline: float | None = getattr(tile, "deadline", None)
        return self._longest if deadline is None else max(0.0, min(self._longest, deadline - self._began))

    @property
    def is_alone(self) -> bool:
        """Whether the tiles of this frame could not be predicted together."""
        return self._alone > 0

    def take(self, told: Told, waited: float = 0.0) -> None:
        """Note what came of the frame; tiles that have no answer come next.

        Args:
            told: what came of it.
            waited: seconds until its turn.
        """
        with _one_collection():
            for index, answer, micros in zip(self._frame, told.answers, told.micros, strict=False):
                timing = getattr(self._tiles[index], "timing", {})
                timing["queue"] = waited
                timing["predict"] = micros / 1e6
                self.answers[index] = answer if isinstance(answer, Exception) else attempt(read_result, *answer)
        left = self._frame[len(told.answers) :]
        self._alone = told.alone or max(0, self._alone - len(told.answers))
        if told.error is not None:
            self._ends += 1
            if told.index is not None:
                blamed: int | None = self._frame[told.index]
            else:  # nobody's fault, once
                blamed = left[0] if self._ends > 1 else None
            if blamed is not None:
                self.answers[blamed] = told.error
                left.remove(blamed)
                self._ends = 0
        self._left.extendleft(reversed(left))

    def answer_first(self, answer: Any) -> None:
        """Note the answer of the frame's first tile; the others come next."""
        self.answers[self._frame[0]] = answer
        self._alone = max(0, self._alone - 1)
        self._left.extendleft(reversed(self._frame[1:]))
