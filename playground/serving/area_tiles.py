"""The predictions of an area's tiles: several at a time, within one deadline, and without taking all from others."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Iterator

import mercantile

from playground.errors import PlaygroundError, PredictorBusyError, PredictorTimeoutError, RequestAbandonedError
from playground.pipeline import Outcome, Pipeline

HELPERS = 3
"""Threads beside the request's own: they fetch the next tiles while the predictor is busy with one."""
PAUSE = 0.05
"""Seconds until a place is asked for again, in the middle of a request that had one already."""

Found = Outcome | PlaygroundError
"""What became of a tile."""


def predict_tiles(
    pipeline: Pipeline, tiles: tuple[mercantile.Tile, ...], deadline: float, gone: Callable[[], bool]
) -> Iterator[tuple[mercantile.Tile, Found]]:
    """What became of each tile, in their order.

    The caller's thread predicts, and a few others with it, in at most half of the places where requests wait, and only
    while these are free; other requests find their turn between these tiles.

    Args:
        pipeline: predicts a tile.
        tiles: each once.
        deadline: of all of them, on the clock of ``time.monotonic``.
        gone: tells whether the client is; asked from several threads.
    """
    run = _Run(pipeline, tiles, deadline, gone)
    for _ in range(min(HELPERS, pipeline.settings.backlog // 2, len(tiles) - 1)):
        threading.Thread(target=run.help_out, name="area", daemon=True).start()
    try:
        for tile in tiles:
            found = run.wait_for(tile)
            if not isinstance(found, Outcome | PlaygroundError):
                raise found
            yield tile, found
    finally:
        run.stop()


class _Run:
    """Tiles that wait, and what became of the others."""

    def __init__(
        self, pipeline: Pipeline, tiles: tuple[mercantile.Tile, ...], deadline: float, gone: Callable[[], bool]
    ) -> None:
        self._pipeline = pipeline
        self._deadline = deadline
        self._gone = gone
        self._left = collections.deque(tiles)
        self._done: dict[mercantile.Tile, Found | Exception] = {}
        self._changed = threading.Condition()
        self._longest = 0.0
        """Seconds that the predictor took for one of them."""

    def wait_for(self, tile: mercantile.Tile) -> Found | Exception:
        """What became of a tile; until that is known, predict others."""
        while tile not in self._done:
            mine = self._take()
            if mine is not None:
                self._predict(mine, patient=True)
                continue
            with self._changed:
                self._changed.wait_for(lambda: tile in self._done or self._left)
        return self._done.pop(tile)

    def help_out(self) -> None:
        """Predict tiles while there are any, and places for them."""
        while (tile := self._take()) is not None and self._predict(tile, patient=False):
            pass

    def stop(self) -> None:
        """Begin no more tiles."""
        with self._changed:
            self._left.clear()

    def _take(self) -> mercantile.Tile | None:
        with self._changed:
            return self._left.popleft() if self._left else None

    def _is_too_late(self) -> bool:
        """Whether a prediction that is begun now would pass the deadline.

        It is not begun then: a predictor that is ended in the middle of a tile is missed by everybody else.
        """
        return time.monotonic() + 1.5 * self._longest > self._deadline

    def _predict(self, tile: mercantile.Tile, patient: bool) -> bool:
        """Predict one; False where it was put back because there is no place."""
        found: Found | Exception
        late = PredictorTimeoutError("there was no time left for this tile", "ask for fewer tiles at a time")
        try:
            if self._is_too_late():
                raise late
            found = self._pipeline.predict_tile(
                tile.z,
                tile.x,
                tile.y,
                lambda: self._is_too_late() or self._gone(),
                self._deadline + 2 * self._longest,
            )
            self._longest = max(self._longest, found.timing.get("predict", 0.0) / 1000)
        except PredictorBusyError as error:
            if not patient or not self._is_too_late():
                with self._changed:
                    self._left.appendleft(tile)
                    self._changed.notify_all()
                if patient:
                    time.sleep(PAUSE)
                return False
            found = error
        except RequestAbandonedError as error:
            found = error if self._gone() else late
        except Exception as error:  # noqa: BLE001 - raised again where the tile's turn comes
            found = error
        with self._changed:
            self._done[tile] = found
            self._changed.notify_all()
        return True
