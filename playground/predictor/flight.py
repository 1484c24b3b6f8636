"""The requests that a predictor's process has been sent: the one that it is at, and those sent ahead of their turn.

Without these, a quick predictor sleeps between any two requests, and to wake it takes longer than it predicts. A
process answers in the order in which it was sent, each request at once: so it is at the first that has no answer.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, cast

from playground.errors import PlaygroundError
from playground.predictor.session import Session
from playground.predictor.turns import Answer, Request, gone
from playground_interfaces.wire import frame

FLYING = 8
"""Requests that a process has at most; ``playground_interfaces.loop.MOST_AHEAD`` is the same number."""
QUICK = 0.01
"""Seconds: what is sent ahead should be predicted within them, all together."""
BYTES = 128 * 1024
"""What is sent ahead has no more, all together: the socket takes that much before anybody reads it."""
AHEAD = b',"ahead":true}'


class UnreadError(Exception):
    """The process had ended before it read the first request."""


class Flight:
    """What one process has in hand; used by whoever has the turn.

    Args:
        session: the process.
        requests: those it has; the first is being predicted.
    """

    def __init__(self, session: Session, requests: collections.deque[Request]) -> None:
        self.session = session
        self.requests = requests
        self._held: tuple[dict[str, Any], bytearray] | None = None
        self._alone = False

    def send(self, requests: Sequence[Request], deadline: float, *, is_quick: bool) -> list[Request]:
        """Send requests; where it has none, the first of them is its next.

        Args:
            requests: each with what is sent for it.
            deadline: on the clock of ``time.monotonic``.
            is_quick: whether it is likely to be done within ``QUICK``.

        Returns:
            Those that it cannot be sent, because it has just ended; what it answered before can be read.

        Raises:
            UnreadError: it had ended before.
            PredictorTimeoutError: it does not read.
        """
        parts: list[Any] = []
        size = 0
        for number, each in enumerate(requests):
            assert each.encoded is not None
            head, blobs = each.encoded
            more, length = frame(head[:-1] + AHEAD if number or self.requests else head, blobs)
            parts += more
            size += length
        try:
            self.session.bound(deadline)
            self.session.wire.is_quick = is_quick
            self.session.wire.write(parts, size)
        except BlockingIOError as error:
            raise self.session.failure(error) from error
        except OSError as error:
            if self.requests:
                return list(requests)
            self.session.kill()
            raise UnreadError from error
        self._alone = not self.requests and len(requests) == 1
        self.requests.extend(requests)
        return []

    def receive(self, deadline: float) -> Answer:
        """The answer for the first request that has none.

        Raises:
            UnreadError: the process had ended before it read the only request.
            PredictorTimeoutError: not within the deadline; the process is killed.
            PredictorCrashedError: the process died.
        """
        request = self.requests[0]
        wire = self.session.wire
        failures: dict[int, PlaygroundError] = {}
        try:
            while True:
                reply, blob = self._next(deadline)
                if reply["op"] == "need":
                    self._alone = False
                    self.session.give(reply, [request.tile], failures)
                elif reply["op"] != "wanted":
                    return failures.get(0) or (reply, blob)
                elif request.is_late or request.is_abandoned():
                    wire.send({"op": "no"})
                    return gone()
                else:
                    wire.send({"op": "yes"})
        except ConnectionResetError as error:
            if self._alone and self.session.ending is None:  # the kernel says so only where bytes were not read
                self.session.kill()
                raise UnreadError from error
            raise self.session.failure(error) from error
        except (OSError, EOFError, ValueError) as error:
            raise self.session.failure(error) from error
        except BaseException:  # in the middle of a conversation that nobody could take up again
            self.session.kill()
            raise

    def _next(self, deadline: float) -> tuple[dict[str, Any], bytearray]:
        """The next frame: often it is here already, even where what it answers was sent just now."""
        wire = self.session.wire
        if self._held is None and not wire.has_frame():
            wire.gather()
        if self._held is None:
            self.session.bound(deadline)
            return cast("tuple[dict[str, Any], bytearray]", wire.receive())
        held, self._held = self._held, None
        return held

    def arrived(self) -> Answer | None:
        """The answer for the next request, if it is here already."""
        wire = self.session.wire
        if self._held is None and not wire.has_frame():
            wire.gather()
        if self._held is None and wire.has_frame():
            try:
                self._held = wire.receive()
            except ValueError:  # something else writes to the socket; the next request's own thread finds it ended
                self.session.kill()
        if self._held is None or self._held[0]["op"] in ("need", "wanted"):  # its own thread knows
            return None
        answer, self._held = self._held, None
        return answer
