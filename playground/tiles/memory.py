"""Memory for pixels, used again: fresh memory has to be handed out by the system page by page, at 1 to 3 ms a strip."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from playground.imagery import Pixels


class Memory:
    """The last arrays that were made. Used by one thread at a time; whoever looks at pixels may be another.

    Args:
        kept: arrays, at most.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._arrays: list[Pixels] = []
        self._alone = _holders([np.empty(0)], 0)

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
        """An array with whatever is in it: one that nobody looks at any more, neither it nor a part of it, or a new
        one."""
        for place in range(len(self._arrays)):
            if self._is_free(place) and (self._arrays[place].shape, self._arrays[place].dtype) == (shape, dtype):
                return self._arrays[place][:]
        if len(self._arrays) == self._kept:
            del self._arrays[next((place for place in range(self._kept) if self._is_free(place)), 0)]
        self._arrays.append(np.empty(shape, dtype))
        return self._arrays[-1][:]

    def _is_free(self, place: int) -> bool:
        return self._alone > 0 and _holders(self._arrays, place) == self._alone


def _holders(arrays: Sequence[Pixels], place: int) -> int:
    """How many hold an array; 0 where Python does not count them."""
    return sys.getrefcount(arrays[place]) if hasattr(sys, "getrefcount") else 0
