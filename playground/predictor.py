"""The predictor as the server sees it: a process of its own (or, for debuggers, an object in this one).

The partner's process can crash, hang or exit; here that is one failed request and a fresh process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

import geojson
import numpy as np
import orjson

from playground.errors import (
    PlaygroundError,
    PredictorBusyError,
    PredictorCrashedError,
    PredictorFailedError,
    PredictorNotReadyError,
    PredictorTimeoutError,
    TileRejectedError,
)
from playground.predictor_process import PredictorSpec, Session
from playground_interfaces import PredictError, Tile, loop

logger = logging.getLogger(__name__)

LOADED = ("ready", "busy", "failed", "stopped")
"""The phases after loading; before them come starting, importing, constructing."""


@dataclasses.dataclass(frozen=True)
class PredictorState:
    """What the predictor is doing, since when (seconds since the epoch), and what went wrong last."""

    phase: str
    since: float
    pid: int | None = None
    python: str | None = None
    restarts: int = 0
    error: str | None = None
    traceback: str | None = None


class ServedTile(Tile):
    """A tile on its way through the server: the partner's Tile, the request's deadline, and how long each step took.

    Attributes:
        deadline (float or None): on the clock of ``time.monotonic``.
        timing (dict): seconds by step.
    """

    def __init__(self, url: str, image: Any = None, *, deadline: float | None = None, **frame: Any) -> None:
        super().__init__(url, image, **frame)  # type: ignore[no-untyped-call]
        self.deadline = deadline
        self.timing: dict[str, float] = {}


class Predictor(Protocol):
    """What the service needs of a predictor, wherever it runs."""

    def start(self) -> None:
        """Start loading, in the background."""

    def state(self) -> PredictorState:
        """What it is doing now."""

    def wait_ready(self, timeout: float) -> PredictorState:
        """The state once loading has ended, well or badly, or after ``timeout`` seconds."""

    def predict(self, tile: Tile) -> Any:
        """What the partner's ``predict(tile)`` returned: a geojson.FeatureCollection, or an OtherResult.

        Raises:
            PredictorError: one class for each cause, see ``playground.errors``.
            PlaygroundError: whatever making a part of the tile raised.
        """

    def close(self) -> None:
        """Stop it for good."""


class OtherResult:
    """What a predictor returned where it should have returned a PredictionResult or a FeatureCollection."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name


class _Stateful:
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
        return PredictorNotReadyError(f"the predictor is {state.phase}", "try again when /readiness_check answers 200")


class ProcessPredictor(_Stateful):
    """One predictor process, started again whenever it dies.

    Args:
        spec: what to load.
        timeout: seconds that one prediction may take, waiting for the predictor included.
        backlog: requests that may wait for the predictor; one more is refused at once.
    """

    def __init__(self, spec: PredictorSpec, timeout: float = 60.0, backlog: int = 6) -> None:
        super().__init__()
        self.spec = spec
        self.timeout = timeout
        self._process: Session | None = None
        self._session: Session | None = None
        self._busy_since: float | None = None
        self._eager: list[str] = []
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(backlog + 1)
        self._supervisor = threading.Thread(target=self._supervise, name="predictor-supervisor", daemon=True)

    def start(self) -> None:
        self._supervisor.start()

    def state(self) -> PredictorState:
        state, since = self._state, self._busy_since
        if state.phase == "ready" and since is not None:
            return dataclasses.replace(state, phase="busy", since=since)
        return state

    def close(self) -> None:
        self._set(phase="stopped")
        with self._changed:
            process = self._process
        if process is not None:
            process.kill()
        if self._supervisor.is_alive():
            self._supervisor.join(5)

    def predict(self, tile: Tile) -> Any:
        asked = time.monotonic()
        deadline = min(asked + self.timeout, getattr(tile, "deadline", None) or float("inf"))
        with self._admitted(deadline):
            session = self._ready_session(deadline)
            began = time.monotonic()
            self._busy_since = time.time()
            try:
                reply, blob = session.predict(tile, self._eager, deadline)
            except (PredictorCrashedError, PredictorTimeoutError):
                # Here and not in the supervisor only: the next request must wait for the next process.
                self._lose(session)
                raise
            finally:
                self._busy_since = None
            self._eager = reply.get("read", self._eager)
        timing = getattr(tile, "timing", {})
        timing["queue"] = began - asked
        timing["predict"] = time.monotonic() - began
        return _result(reply, blob)

    @contextlib.contextmanager
    def _admitted(self, deadline: float) -> Iterator[None]:
        """Hold the predictor; before that, at most ``backlog`` requests wait."""
        if not self._places.acquire(blocking=False):
            raise PredictorBusyError("enough requests wait for the predictor already", "try again in a moment")
        try:
            if not self._turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise PredictorTimeoutError("the predictor was busy until the deadline", "try again later")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _ready_session(self, deadline: float) -> Session:
        session = self._session
        if session is not None and session.is_gone():  # ended between two requests, and the supervisor is not so far
            self._lose(session)
        if self._session is None:
            self.wait_ready(deadline - time.monotonic())
        session = self._session
        if session is None:
            raise self._refuse()
        return session

    def _lose(self, session: Session) -> None:
        with self._changed:
            if self._session is session:
                self._session = None
                self._set(phase="starting")

    def _supervise(self) -> None:
        """Keep one process alive. One thread does it from start to end, because the process dies with this thread."""
        while self._state.phase not in ("failed", "stopped"):
            try:
                session = Session(self.spec)
            except (OSError, PlaygroundError) as error:
                self._set(phase="failed", error=str(error))
                return
            with self._changed:
                self._process = session
                stopped = self._state.phase == "stopped"
            if stopped:
                session.kill()
            self._follow(session)
            session.close()

    def _follow(self, session: Session) -> None:
        """One process from its start to its end."""
        self._set(phase="starting", pid=session.process.pid, python=None, traceback=None)
        ready = False
        for head in session.load():
            if head["op"] == "failed":
                self._set(phase="failed", error=head["message"], traceback=head["traceback"])
            elif head["phase"] == "ready":
                ready = True
                with self._changed:
                    self._session = session
                    self._set(phase="ready", python=head["python"])
            else:
                self._set(phase=head["phase"])
        while_phase = self._state.phase
        # One that could not load has no more to do; threads of the partner's might keep it alive.
        cause = session.wait(None if ready else 2.0)
        self._lose(session)
        if self._state.phase == "stopped":
            return
        if not ready:
            if while_phase != "failed":
                self._set(phase="failed", error=f"the predictor process {cause} while {while_phase}")
            logger.error("the predictor could not be loaded: %s\n%s", self._state.error, self._state.traceback or "")
            return
        logger.error("the predictor process %s; starting another", cause)
        self._set(error=f"the predictor process {cause}", restarts=self._state.restarts + 1)


class InlinePredictor(_Stateful):
    """The partner's class in this very process: for debuggers. A crash takes the server down."""

    def __init__(self, spec: PredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        self._turn = threading.Lock()
        self._predictor: Any = None

    def start(self) -> None:
        # The server's own modules are imported by now: the partner's files can come first without hiding them.
        sys.path.insert(0, str(self.spec.workdir))
        self._set(phase="importing", pid=os.getpid(), python=sys.version.split()[0])
        try:
            module = importlib.import_module(self.spec.package)
            self._set(phase="constructing")
            self._predictor = loop.find_class(module, self.spec.class_name)()
        except Exception as error:  # the partner's code may raise anything
            told = loop.describe(error)
            logger.exception("the predictor could not be loaded")
            self._set(phase="failed", error=told["message"], traceback=told["traceback"])
        else:
            self._set(phase="ready")

    def close(self) -> None:
        self._set(phase="stopped")

    def predict(self, tile: Tile) -> Any:
        if self._predictor is None:
            raise self._refuse()
        asked = time.monotonic()
        with self._turn:
            began = time.monotonic()
            _own_array(tile)
            try:
                kind, features = loop.features_of(result := self._predictor.predict(tile))
            except PlaygroundError:
                raise
            except PredictError as error:
                raise TileRejectedError(error.message, error.hint) from error
            except Exception as error:
                raise _failed(loop.describe(error)) from error
        timing = getattr(tile, "timing", {})
        timing["queue"] = began - asked
        timing["predict"] = time.monotonic() - began
        return OtherResult(type(result).__name__) if kind == "other" else geojson.FeatureCollection(features)


def _own_array(tile: Tile) -> None:
    """Give the predictor an array that it may write to: the tile engine's are shared."""
    load = tile._loaders["array"]
    if load is not None:
        tile._loaders["array"] = lambda: np.array(load())


def _result(reply: dict[str, Any], blob: bytearray) -> Any:
    if reply["op"] == "rejected":
        raise TileRejectedError(reply["message"], reply["hint"])
    if reply["op"] == "raised":
        raise _failed(reply)
    if reply["kind"] == "other":
        return OtherResult(reply["type"])
    try:
        features = orjson.loads(blob)
    except orjson.JSONDecodeError:  # NaN and Infinity: the answer's audit counts them
        features = json.loads(blob)
    return geojson.FeatureCollection(features)


def _failed(told: dict[str, Any]) -> PredictorFailedError:
    logger.error("predict() raised %s\n%s", told["message"], told["traceback"])
    return PredictorFailedError(
        f"the predictor failed on this tile: {told['message']}", "its traceback is in the service's log"
    )
