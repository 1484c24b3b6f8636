"""Whose turn it is: the requests that wait for one predictor, and those that go to it together."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from playground.errors import PlaygroundError, PredictorBusyError, PredictorTimeoutError, RequestAbandonedError
from playground_interfaces import Tile

BRIEF = 0.01
"""Seconds: nobody looks whether the client of a request has gone that waited less, if the predictor is that quick."""
SOON = 1.0
"""Seconds: what must be answered sooner is not sent ahead of its turn."""

Answer = tuple[dict[str, Any], bytearray] | PlaygroundError
"""The head and the blob of an answering frame, or what went wrong."""


class Request:
    """A tile on its way to the predictor.

    Args:
        tile: what is to be predicted.
        deadline: on the clock of ``time.monotonic``.
        alone: whether it must not be handed over together with others.
        encoded: what is sent for it, the head and the blobs of a frame, where it may be sent ahead of its turn.
    """

    def __init__(
        self, tile: Tile, deadline: float, *, alone: bool = True, encoded: tuple[bytes, list[Any]] | None = None
    ) -> None:
        self.tile = tile
        self.deadline = deadline
        self.alone = alone
        self.encoded = encoded
        self.asked = self.began = self.ended = time.monotonic()
        self.answer: Answer | None = None
        self.is_late = False
        self.has_turn = False
        self.woken = threading.Lock()

    def size(self) -> int:
        """Bytes that are sent for it."""
        head, blobs = self.encoded or (b"", [])
        return len(head) + sum(memoryview(blob).nbytes for blob in blobs)

    def is_abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""
        abandoned = getattr(self.tile, "abandoned", None)
        return abandoned is not None and bool(abandoned())


class Queue:
    """The places of the requests under way, and whose turn it is: first come, first served.

    A plain lock gives the turn to whoever wakes first; under load some requests then wait many times as long as others.

    Args:
        backlog: requests that may wait while one is predicted.
    """

    def __init__(self, backlog: int) -> None:
        self._places = backlog + 1
        self._place = _Place(self)
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._taken = False
        self._waiting: collections.deque[Request] = collections.deque()
        self._seconds = 0.0
        self.flying: collections.deque[Request] = collections.deque()
        """Requests that the predictor's process has, the first being predicted; only who has the turn touches it."""

    def grow(self, places: int) -> None:
        """Admit so many more: a predictor that takes several at once has them in hand, not waiting."""
        with self._lock:
            self._places += places

    def admitted(self) -> contextlib.AbstractContextManager[None]:
        """A place for the request of this thread; within it, another one changes nothing.

        Raises:
            PredictorBusyError: all places are taken; it says when one should be free.
        """
        return self._place

    def take_place(self) -> None:
        with self._lock:
            if self._places > 0:
                self._places -= 1
                return
        error = PredictorBusyError("enough requests wait for the predictor already", "try again in a moment")
        error.retry_after = max(1.0, self._seconds * (self.waiting() + 1))
        raise error

    def leave_place(self) -> None:
        with self._lock:
            self._places += 1

    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting) + max(0, len(self.flying) - 1)

    def seconds(self) -> float:
        """How long the predictor has taken for one tile lately."""
        return self._seconds

    @contextlib.contextmanager
    def turn(self, request: Request) -> Iterator[bool]:
        """Hold the predictor (True), unless the turn of another request has answered this one too (False).

        Raises:
            PredictorTimeoutError: it was not this request's turn until the deadline.
            RequestAbandonedError: it is, but nobody waits for the answer any more.
        """
        if not self.take(request):
            yield False
            return
        try:
            yield True
        finally:
            self.give()

    def take(self, request: Request) -> bool:
        """Wait for the turn; whoever has it (True) must ``give`` it. The rest as for ``turn``."""
        if not self._take(request):
            raise PredictorTimeoutError("the predictor was busy until the deadline", "try again later")
        if request.answer is not None:
            return False
        if not self.flying and self._is_worth_a_look(request) and request.is_abandoned():
            self.give()
            raise gone()
        return True

    def _is_worth_a_look(self, request: Request) -> bool:
        """Whether it is likelier that the client has gone than cheaper to predict: a look costs a system call."""
        return not 0 < self._seconds < BRIEF or time.monotonic() - request.asked > BRIEF

    def company(self, count: int, seconds: float) -> list[Request]:
        """Take up to ``count`` waiting requests along in this turn, those that wait longest first.

        Args:
            count: how many at most.
            seconds: how long to wait until there are so many.
        """
        until = time.monotonic() + seconds
        found: list[Request] = []
        with self._lock:
            while True:
                for each in [each for each in self._waiting if not each.alone][: count - len(found)]:
                    self._waiting.remove(each)
                    if each.is_abandoned():
                        self._wake(each, gone())
                    else:
                        found.append(each)
                left = until - time.monotonic()
                if len(found) == count or left <= 0:
                    return found
                self._arrived.wait(left)

    def ahead(self, count: int, size: int) -> list[Request]:
        """Take the requests whose turn is next, as far as they can be sent ahead of it.

        Args:
            count: how many at most.
            size: bytes that they have at most, all together.
        """
        found: list[Request] = []
        with self._lock:
            now = time.monotonic()
            while self._waiting and len(found) < count:
                each = self._waiting[0]
                if each.encoded is None or each.deadline - now < SOON:
                    break
                size -= each.size()
                if size < 0:
                    break
                self._waiting.popleft()
                if self._is_worth_a_look(each) and each.is_abandoned():
                    self._wake(each, gone())
                else:
                    found.append(each)
        return found

    def answered(self, requests: Sequence[Request], seconds: float) -> None:
        """Let requests go that have their answer, this turn's own among them.

        Args:
            requests: each with its ``answer``.
            seconds: how long the predictor took for all of them.
        """
        with self._lock:
            self._seconds += 0.2 * (seconds / len(requests) - self._seconds)
            for each in requests:
                if not each.has_turn and not each.is_late:
                    each.woken.release()

    def again(self, requests: Sequence[Request]) -> None:
        """Put requests back that this turn had taken along: they are next, each alone."""
        with self._lock:
            for each in reversed(requests):
                if each.answer is None and not each.is_late:
                    each.alone = True
                    self._waiting.appendleft(each)

    def _wake(self, request: Request, answer: Answer) -> None:
        request.answer = answer
        request.woken.release()

    def _take(self, request: Request) -> bool:
        """Wait for the turn, or for an answer without it; False if neither came before the deadline."""
        with self._lock:
            if not self._taken:
                self._taken = request.has_turn = True
                return True
            request.woken.acquire()
            self._waiting.append(request)
            self._arrived.notify()
        if request.woken.acquire(timeout=max(0.0, request.deadline - time.monotonic())):
            return True
        with self._lock:
            if request.has_turn or request.answer is not None:  # at the very last moment
                return True
            request.is_late = True
            # Else it was taken along by another one, whose turn goes on without it.
            if request in self._waiting:
                self._waiting.remove(request)
            return False

    def give(self) -> None:
        """Give the turn to whoever waits longest."""
        with self._lock:
            heir = next((each for each in self.flying if not each.is_late), None)
            if heir is None and self._waiting:
                heir = self._waiting.popleft()
            if heir is None:
                self._taken = False
            else:
                heir.has_turn = True
                heir.woken.release()


class _Place:
    """A queue's ``admitted``: what each thread has of it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._here = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._here, "depth", 0)
        if not depth:
            self._queue.take_place()
        self._here.depth = depth + 1

    def __exit__(self, *_: object) -> None:
        self._here.depth -= 1
        if not self._here.depth:
            self._queue.leave_place()


def gone() -> RequestAbandonedError:
    """What a client gets that does not read it."""
    return RequestAbandonedError("the client is gone; nothing was predicted")
