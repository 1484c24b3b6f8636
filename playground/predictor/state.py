"""What a predictor is doing, and what goes in and out of it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from playground.errors import PredictorNotReadyError
from playground_interfaces import Tile

LOADED = ("ready", "busy", "failed", "stopped")
"""The phases after loading; before them come starting, importing, constructing, warming, and resting after crashes."""


@dataclasses.dataclass(frozen=True)
class PredictorState:
    """What the predictor is doing, since when (seconds since the epoch), and what went wrong last.

    Attributes:
        phase: starting, importing, constructing, warming, ready, busy; resting (it crashed again and again and waits
            before the next try), failed (it could not be loaded), stopped.
        output: the last lines that the predictor printed, kept where they explain a failure.
    """

    phase: str
    since: float
    pid: int | None = None
    python: str | None = None
    restarts: int = 0
    error: str | None = None
    traceback: str | None = None
    output: tuple[str, ...] = ()


class ServedTile(Tile):
    """A tile on its way through the server: the partner's Tile, the request's deadline, and how long each step took.

    Attributes:
        deadline (float or None): on the clock of ``time.monotonic``.
        abandoned: tells whether nobody waits for the answer any more.
        timing (dict): seconds by step.
    """

    def __init__(
        self,
        url: str,
        image: Any = None,
        *,
        deadline: float | None = None,
        abandoned: Callable[[], bool] | None = None,
        **frame: Any,
    ) -> None:
        super().__init__(url, image, **frame)  # type: ignore[no-untyped-call]
        self.deadline = deadline
        self.abandoned = abandoned
        self.timing: dict[str, float] = {}


class Predictor(Protocol):
    """What the service needs of a predictor, wherever it runs."""

    def start(self) -> None:
        """Start loading, in the background."""

    def state(self) -> PredictorState:
        """What it is doing now."""

    def wait_ready(self, timeout: float) -> PredictorState:
        """The state once loading has ended, well or badly, or after ``timeout`` seconds."""

    def admitted(self) -> contextlib.AbstractContextManager[None]:
        """A place for one request, from before its tile is fetched.

        Raises:
            PredictorBusyError: all are taken.
        """

    def waiting(self) -> int:
        """How many requests wait for it."""

    def seconds(self) -> float:
        """How long one prediction has taken lately; 0 before the first."""

    def predict(self, tile: Tile) -> Any:
        """What the partner's ``predict(tile)`` returned: a geojson.FeatureCollection, or an OtherResult.

        Raises:
            PredictorError: one class for each cause, see ``playground.errors``.
            PlaygroundError: whatever making a part of the tile raised.
        """

    def predict_several(self, tiles: Sequence[Tile]) -> list[Any]:
        """What ``predict`` would return for each of these tiles, or the exception that it would raise, in their order.

        They go to the predictor together, at a fraction of the cost, and each may take as long as it may alone. The
        coordinates of polygons may be ``packed.Coordinates``, which are lists where somebody looks at them.
        """

    def close(self) -> None:
        """Stop it for good."""


class OtherResult:
    """What a predictor returned where it should have returned a PredictionResult or a FeatureCollection."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name


class Stateful:
    """A state that threads can wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._state = PredictorState("starting", time.time())

    def state(self) -> PredictorState:
        return self._state

    def wait_ready(self, timeout: float) -> PredictorState:
        with self._changed:
            self._changed.wait_for(lambda: self._state.phase in LOADED, min(max(timeout, 0.0), threading.TIMEOUT_MAX))
            return self._state

    def _set(self, **changes: Any) -> None:
        with self._changed:
            if self._state.phase == "stopped":
                return
            if changes.get("phase", self._state.phase) != self._state.phase:
                changes["since"] = time.time()
            self._state = dataclasses.replace(self._state, **changes)
            self._changed.notify_all()

    def _refuse(self) -> PredictorNotReadyError:
        state = self._state
        if state.phase == "failed":
            return PredictorNotReadyError(f"the predictor could not be loaded: {state.error}", "see /readiness_check")
        if state.phase == "resting":
            return PredictorNotReadyError(f"{state.error}, again and again", "see /readiness_check; try again later")
        return PredictorNotReadyError(f"the predictor is {state.phase}", "try again when /readiness_check answers 200")
