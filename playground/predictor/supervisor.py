"""The life of a predictor's process: started, loaded, warmed up, followed to its end, and started again."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable

from playground.errors import PlaygroundError, PredictorCrashedError, PredictorNotReadyError, PredictorTimeoutError
from playground.predictor.limits import Limits
from playground.predictor.nursery import Nursery
from playground.predictor.process import PredictorSpec
from playground.predictor.session import Session
from playground.predictor.state import LOADED, PredictorState, Stateful
from playground.predictor.turns import Queue
from playground_interfaces import Tile

logger = logging.getLogger(__name__)

CRASHES = 3
"""After so many crashes in a row, with no prediction in between, the next process waits: 1 s, 2 s, 4 s … 60 s."""
LONGEST_REST = 60.0


class Supervisor(Stateful):
    """Keeps one predictor process alive. What it is asked is ``ProcessPredictor``'s.

    Args:
        spec, limits, warmup, observe: see ``ProcessPredictor``.
    """

    def __init__(
        self,
        spec: PredictorSpec,
        limits: Limits,
        warmup: Callable[[], Tile] | None,
        observe: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.spec = spec
        self.limits = limits
        self._warmup = warmup
        self._observe = observe
        self._process: Session | None = None
        self._session: Session | None = None
        self._busy_since: float | None = None
        self._eager: list[str] = []
        self._queue = Queue(limits.backlog)
        self._nursery = Nursery(spec.nursery) if spec.nursery else None
        self._batches = False
        self._predictions = 0
        self._crashes = 0
        self._rested = 0.0
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
        if self._nursery is not None:
            self._nursery.close()

    def _ready_session(self, deadline: float, *, look: bool = True) -> Session:
        """The process, as soon as there is one that has loaded; ``look`` whether it still lives, by a system call."""
        session = self._session
        # Ended between two requests, and the supervisor is not so far.
        if session is not None and (session.is_gone() if look else session.has_ended()):
            self._lose(session)
        if self._session is None:
            with self._changed:
                left = max(deadline - time.monotonic(), 0.0)
                self._changed.wait_for(lambda: self._state.phase in (*LOADED, "resting"), left)
        session = self._session
        if session is None:
            raise self._refuse()
        return session

    def _refuse(self) -> PredictorNotReadyError:
        error = super()._refuse()
        error.retry_after = max(1.0, self._rested - time.monotonic())
        return error

    def _recycle(self, session: Session, predictions: int) -> None:
        """End a process that has had its share, between two requests."""
        self._predictions += predictions
        if self._queue.flying:
            return
        if self.limits.max_requests and self._predictions >= self.limits.max_requests:
            session.end("recycled")
        elif self.limits.memory_mb and session.memory_mb() > self.limits.memory_mb:
            session.end("memory")
        else:
            return
        self._lose(session)

    def _lose(self, session: Session) -> None:
        with self._changed:
            if self._session is session:
                self._session = None
                self._set(phase="starting")

    def _supervise(self) -> None:
        """Keep one process alive. One thread does it from start to end, because the process dies with this thread."""
        while self._state.phase not in ("failed", "stopped"):
            try:
                session = Session(self.spec, self._nursery)
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
            with self._changed:
                self._process = None
            del session
            self._rest()

    def _follow(self, session: Session) -> None:
        """One process from its start to its end."""
        self._set(phase="starting", pid=session.process.pid, python=None, traceback=None, output=())
        overdue = threading.Timer(self.limits.load_seconds, session.end, ["timeout"])
        overdue.daemon = True
        overdue.start()
        ready = self._load(session)
        overdue.cancel()
        phase = self._state.phase
        if ready:
            self._predictions = 0
            with self._changed:
                self._session = session
                self._set(phase="ready")
        # One that could not load has no more to do; threads of the partner's might keep it alive.
        how = session.wait(None if ready else 2.0, 2 * self.limits.memory_mb)
        self._lose(session)
        said = session.output()  # waits until all of it is in the log
        if self._state.phase == "stopped":
            return
        if ready:
            self._ended(session, how, said)
            return
        if phase != "failed" and session.is_lost():
            logger.warning("the process that held the model ended while %s; starting another", phase)
            self._crashes += 1
            return
        if phase != "failed":
            took = f"within {self.limits.load_seconds:g} seconds" if session.ending == "timeout" else ""
            how = f"was not done {phase} {took}" if took else f"{how} while {phase}"
            self._set(phase="failed", error=": ".join([f"the predictor process {how}", *said[-1:]]))
        self._set(output=said)
        logger.error("the predictor could not be loaded: %s\n%s", self._state.error, self._state.traceback or "")

    def _load(self, session: Session) -> bool:
        """Follow a process until it can take a tile; False when it never will."""
        for head in session.load():
            if head["op"] == "failed":
                self._set(phase="failed", error=head["message"], traceback=head["traceback"])
                return False
            if head["phase"] != "ready":
                self._set(phase=head["phase"])
                continue
            self._set(python=head["python"], pid=head["pid"], phase="warming" if self._warmup else self._state.phase)
            if head["batches"] and self.limits.batch_size > 1 and not self._batches:
                self._batches = True
                self._queue.grow(self.limits.batch_size - 1)
            return self._warmup is None or self._warm_up(session, self._warmup())
        return False

    def _warm_up(self, session: Session, tile: Tile) -> bool:
        until = time.monotonic() + self.limits.load_seconds
        try:
            reply, _ = session.predict(tile, [], until)
            if self._batches:
                session.predict_batch([tile, tile], [], until)
        except (PredictorCrashedError, PredictorTimeoutError):
            return False
        if reply["op"] == "raised":
            logger.warning("the warm-up tile failed: %s\n%s", reply["message"], reply["traceback"])
        self._eager = reply.get("read", [])
        return True

    def _ended(self, session: Session, how: str, said: tuple[str, ...]) -> None:
        """Account for a process that had been ready."""
        cause = session.ending or ("exit" if how.startswith("exited") else "crash")
        self._observe(cause)
        self._set(restarts=self._state.restarts + 1)
        if cause in ("recycled", "memory") and self._busy_since is None:
            logger.info("the predictor process is replaced: %s", cause)
            return
        self._crashes += 1
        logger.error("the predictor process %s; starting another", how)
        self._set(error=f"the predictor process {how}", output=said)

    def _rest(self) -> None:
        """Wait before the next try, after crashes in a row."""
        if self._crashes < CRASHES or self._state.phase in ("failed", "stopped"):
            return
        seconds = min(2.0 ** (self._crashes - CRASHES), LONGEST_REST)
        self._rested = time.monotonic() + seconds
        self._set(phase="resting")
        with self._changed:
            self._changed.wait_for(lambda: self._state.phase == "stopped", seconds)
