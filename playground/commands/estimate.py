"""How long a run will take, told by its first tiles."""

from __future__ import annotations

import time
from collections.abc import Callable

from playground.area.running import AreaRun
from playground.commands.console import console

ENOUGH = (2.0, 16)
"""Seconds and tiles after the first ones, which wait for connections and caches: then the rate is known."""
AT_MOST = 30.0
"""Seconds: then one tile is enough."""


class Estimate:
    """Observes a run, and says once how long the rest will take.

    Args:
        observe: told of the run, too.
    """

    def __init__(self, observe: Callable[[AreaRun], None]) -> None:
        self._observe = observe
        self._first: tuple[float, int] | None = None
        self._said = False

    def __call__(self, done: AreaRun) -> None:
        self._observe(done)
        predicted, left = done.report.predicted, done.report.left
        if self._said or not predicted or not left:
            return
        now = time.monotonic()
        if self._first is None:
            self._first = now, predicted
            return
        seconds, tiles = now - self._first[0], predicted - self._first[1]
        if tiles and (seconds >= AT_MOST or (seconds >= ENOUGH[0] and tiles >= ENOUGH[1])):
            self._said = True
            rate = tiles / seconds
            console.print(f"about {duration(left / rate)} to go, at {rate:,.1f} tiles/s", soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
