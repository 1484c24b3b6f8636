"""One predictor process, kept alive, and what goes to it and comes back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from playground.errors import (
    PlaygroundError,
    PredictorBusyError,
    PredictorCrashedError,
    PredictorNotReadyError,
    PredictorTimeoutError,
)
from playground.predictor.flight import BYTES, FLYING, QUICK, Flight, UnreadError
from playground.predictor.limits import Limits
from playground.predictor.poison import Poison
from playground.predictor.process import PredictorSpec
from playground.predictor.results import read_result
from playground.predictor.session import Session, encode, load_part
from playground.predictor.several import Several, attempt, most
from playground.predictor.shared import Frames, Told
from playground.predictor.supervisor import Supervisor
from playground.predictor.turns import Answer, Request
from playground_interfaces import Tile


def _nobody(what: object) -> None:
    """Observes nothing."""


class ProcessPredictor(Supervisor):
    """One predictor process, started again whenever it ends.

    Args:
        spec: what to load.
        limits: how long, how much, how many.
        warmup: a tile to predict before the first request, so that no client pays for lazy loading; None for none.
        observe: told the cause of every restart: crash, exit, timeout, memory, recycled.
        batched: told the number of tiles of every batch, where the partner's class takes batches.
        poison: the tiles that ended the predictor; one of its own if not given.
    """

    def __init__(
        self,
        spec: PredictorSpec,
        limits: Limits | None = None,
        warmup: Callable[[], Tile] | None = None,
        observe: Callable[[str], None] = _nobody,
        *,
        batched: Callable[[int], None] = _nobody,
        poison: Poison | None = None,
    ) -> None:
        super().__init__(spec, limits or Limits(), warmup, observe)
        self._frames: Frames | None = None
        self._flight: Flight | None = None
        self._poison = poison or Poison()
        self._batched = batched

    def close(self) -> None:
        super().close()
        self._frames = self._flight = None

    def admitted(self) -> contextlib.AbstractContextManager[None]:
        return self._queue.admitted()

    def waiting(self) -> int:
        return self._queue.waiting()

    def seconds(self) -> float:
        return self._queue.seconds()

    def predict(self, tile: Tile) -> Any:
        return self._predict_until(tile, getattr(tile, "deadline", None))

    def _predict_until(self, tile: Tile, deadline: float | None) -> Any:
        self._poison.check(tile)
        with self._queue.admitted():
            deadline = deadline or time.monotonic() + self.limits.predict_seconds
            request = self._request(tile, deadline)
            if self._queue.take(request):
                try:
                    self._predict(request)
                finally:
                    self._queue.give()
        timing = getattr(tile, "timing", {})
        timing["queue"] = request.began - request.asked
        timing["predict"] = request.ended - request.began
        answer = request.answer
        assert answer is not None
        if isinstance(answer, PlaygroundError):
            raise answer
        return read_result(*answer)

    def predict_several(self, tiles: Sequence[Tile]) -> list[Any]:
        several = Several(tiles, self._fit, self.limits.predict_seconds)
        try:
            with self._queue.admitted():
                while frame := several.next(most(self._queue.seconds(), self._left())):
                    if len(frame) == 1 or not self._predictions:  # the first shows which parts the partner reads
                        self._predict_first(several, frame)
                    else:
                        self._predict_frame(several, frame)
        except PredictorBusyError as error:
            return [error for _ in tiles]
        return several.answers

    def _fit(self, tile: Tile) -> None:
        """Refuse a tile that is not to be predicted, and make the parts that the partner reads."""
        self._poison.check(tile)
        for part in self._eager:
            load_part(tile, part)

    def _left(self) -> int:
        """Predictions until the process is replaced; 0 if it never is."""
        return max(1, self.limits.max_requests - self._predictions) if self.limits.max_requests else 0

    def _predict_frame(self, several: Several, tiles: list[Tile]) -> None:
        """Wait for a turn, and hand tiles over in one frame."""
        asked = time.monotonic()
        seconds = [several.seconds(tile) for tile in tiles]
        request = Request(Tile(""), asked + max(seconds))
        try:
            with self._queue.turn(request):
                began = time.monotonic()
                told = self._hand_over_frame(request, tiles, seconds, several.is_alone)
        except PlaygroundError as error:  # no turn, or no process: the first one's answer; the next try again
            several.answer_first(error)
        else:
            if told is None:
                self._predict_first(several, tiles)
            else:
                several.take(told, began - asked)

    def _predict_first(self, several: Several, tiles: list[Tile]) -> None:
        """Hand the first of the tiles over as if it were the only one."""
        deadline = time.monotonic() + several.seconds(tiles[0])
        several.answer_first(attempt(self._predict_until, tiles[0], deadline))

    def _hand_over_frame(self, request: Request, tiles: list[Tile], seconds: list[float], alone: bool) -> Told | None:
        """Predict tiles in one frame, as many as it takes; None if it cannot take any."""
        if self._queue.flying:  # the answers of others come first, as they do with a tile of its own
            return None
        session = self._ready_session(request.deadline)
        if self._frames is None or self._frames.session is not session:
            self._frames = Frames(session, self.limits.memory_mb)
        batch = self.limits.batch_size if self._batches and not alone else 1
        if batch > 1 and any(self._poison.is_suspect(tile) for tile in tiles):
            batch = 1
        began = time.monotonic()
        self._busy_since = time.time()
        try:
            told = self._frames.predict(tiles, self._eager, seconds, batch)
        finally:
            self._busy_since = None
        if told is None:
            return None
        count = len(told.answers)
        if count:
            self._crashes = 0
            self._queue.answered([request], (time.monotonic() - began) / count)
            self._eager = told.read if told.read is not None else self._eager
            for tile in tiles[:count]:
                self._poison.clear(tile)
        if told.error is None:
            self._recycle(session, count)
            return told
        self._lose(session)
        if told.index is None:
            self._account(told.error, [], 0.0)
            return told
        group = tiles[told.index : told.index + batch]
        self._account(told.error, group, seconds[told.index])
        if told.index:
            self._crashes = 0
        if len(group) > 1:  # each alone shows which it was
            told.error = None
        return told

    def _request(self, tile: Tile, deadline: float) -> Request:
        """A tile's request; its parts are made while another tile is predicted, not in its own turn."""
        if self._batches:
            for part in self._eager:
                load_part(tile, part)
            return Request(tile, deadline, alone=self._poison.is_suspect(tile))
        return Request(tile, deadline, encoded=encode(tile, self._eager))

    def _predict(self, request: Request) -> None:
        """Use the turn: hand the tile over, and others along with it where the partner's class takes several."""
        if request.encoded is not None:
            self._lead(request)
            return
        session = self._ready_session(request.deadline)
        if not request.alone:
            seconds = min(self.limits.batch_seconds, (request.deadline - time.monotonic()) / 2)
            taken = self._queue.company(self.limits.batch_size - 1, seconds)
            if taken:
                try:
                    self._hand_over(session, [request, *taken])
                except (PredictorCrashedError, PredictorTimeoutError):
                    if time.monotonic() >= request.deadline:
                        raise
                finally:
                    self._queue.again([each for each in taken if each.answer is None])
                if request.answer is not None:
                    return
                session = self._ready_session(request.deadline)
        self._hand_over(session, [request])

    def _lead(self, request: Request) -> None:
        """Use the turn: send the tile, if it was not sent ahead, and others whose turn is next; read its answer."""
        flying = self._queue.flying
        again = False
        while request.answer is None:
            new: list[Request] = []
            flight = self._flight
            if flight is None or not flying:
                session = self._ready_session(request.deadline, look=again)
                if flight is None or flight.session is not session:
                    self._flight = flight = Flight(session, flying)
                request.began = time.monotonic()
                new.append(request)
            if new or request in flying:  # else one is there for whom nobody waits any more
                new += self._ahead()
            current = flying[0] if flying else request
            deadline = min(request.deadline, current.began + self.limits.predict_seconds)
            self._busy_since = time.time()
            try:
                if new:
                    unsent, new = flight.send(new, deadline, is_quick=0 < self._queue.seconds() < QUICK), []
                    self._queue.again(unsent)
                answer = flight.receive(deadline)
            except BaseException as error:
                others = [each for each in dict.fromkeys([*flying, *new]) if each not in (current, request)]
                flying.clear()
                self._queue.again(others)
                self._lose(flight.session)
                if isinstance(error, UnreadError):
                    if not again:
                        again = True
                        continue
                    error = flight.session.failure(EOFError())
                self._account(error, [current.tile], deadline - current.began)
                if current is request or time.monotonic() >= request.deadline:
                    raise error
            else:
                self._busy_since = None  # before the process may be replaced, which is no crash then
                self._settle(flight, answer)
            finally:
                self._busy_since = None

    def _ahead(self) -> list[Request]:
        """Requests that can be sent ahead of their turn."""
        seconds, flying = self._queue.seconds(), self._queue.flying
        if not self._queue.waiting() or not seconds or self._batches or self.limits.memory_mb:
            return []
        most = min(FLYING, int(QUICK / seconds))
        if self.limits.max_requests:
            most = min(most, self.limits.max_requests - self._predictions)
        return self._queue.ahead(most - max(1, len(flying)), BYTES - sum(each.size() for each in flying))

    def _settle(self, flight: Flight, answer: Answer | None) -> None:
        """Give the first request its answer, and the next ones theirs, as far as they have come, too."""
        flying = flight.requests
        began, ended = flying[0].began, time.monotonic()
        done = []
        while answer is not None:
            each = flying.popleft()
            each.ended, each.answer = ended, answer
            done.append(each)
            if not flying:
                break
            flying[0].began = ended
            answer = flight.arrived()
        self._done(flight.session, done, ended - began)

    def _hand_over(self, session: Session, requests: list[Request]) -> None:
        """Predict tiles: one, or several at once. Those that could not be predicted together have no answer then."""
        began = time.monotonic()
        deadline = min(requests[0].deadline, began + self.limits.predict_seconds)
        tiles = [each.tile for each in requests]
        self._busy_since = time.time()
        if self._batches:
            self._batched(len(tiles))
        try:
            answers = (
                session.predict_batch(tiles, self._eager, deadline)
                if len(tiles) > 1
                else [session.predict(tiles[0], self._eager, deadline)]
            )
        except (PredictorCrashedError, PredictorTimeoutError) as error:
            # Here and not in the supervisor only: the next request must wait for the next process.
            self._lose(session)
            self._account(error, tiles, deadline - began)
            raise
        finally:
            self._busy_since = None
        if answers is None:
            self._crashes = 0
            return
        ended = time.monotonic()
        for each, answer in zip(requests, answers, strict=True):
            each.began, each.ended, each.answer = began, ended, answer
        self._done(session, requests, ended - began)

    def _account(self, error: BaseException, tiles: Sequence[Tile], seconds: float) -> None:
        """Blame the tiles that the predictor was at when it ended; they had so many seconds.

        Raises:
            PredictorNotReadyError: it was ended, because the server ends.
        """
        if self._state.phase == "stopped":
            raise PredictorNotReadyError("this server is shutting down", "try again elsewhere") from None
        # A tile whose deadline was near when its turn came did not hang the predictor.
        hung = isinstance(error, PredictorTimeoutError) and seconds > self.limits.predict_seconds / 2
        if len(tiles) > 1:
            self._poison.suspect(tiles)
        elif tiles and (hung or isinstance(error, PredictorCrashedError)):
            self._poison.add(tiles[0])

    def _done(self, session: Session, requests: Sequence[Request], seconds: float) -> None:
        """Let requests go that have their answer."""
        self._crashes = 0
        if len(requests) == 1:
            self._poison.clear(requests[0].tile)
        self._queue.answered(requests, seconds)
        answer = requests[0].answer
        if isinstance(answer, tuple):
            self._eager = answer[0].get("read", self._eager)
        self._recycle(session, len(requests))
