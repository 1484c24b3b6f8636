"""Which tiles are asked for next: new ones in order, and failed ones again after a pause."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator

from playground.area.outcome import Job, Outcome


class Schedule:
    """Jobs still to be given out.

    Args:
        fresh: jobs in order.
        tries: at a tile that fails for reasons that may pass.
        pause: seconds before the second try; twice as long before each further one.
    """

    def __init__(self, fresh: Iterator[Job], tries: int, pause: float) -> None:
        self._fresh = fresh
        self._tries = tries
        self._pause = pause
        self._later: list[tuple[float, Job]] = []
        self.exhausted = False
        """All were given out once."""
        self.under_way = 0
        """Jobs given out whose outcome is still to come."""

    @property
    def over(self) -> bool:
        return self.exhausted and not self._later and not self.under_way

    def take(self, room: int) -> list[Job]:
        """Jobs to give out now, those that are tried again first."""
        chunk: list[Job] = []
        now = time.monotonic()
        while self._later and self._later[0][0] <= now and len(chunk) < room:
            chunk.append(heapq.heappop(self._later)[1])
        while not self.exhausted and len(chunk) < room:
            job = next(self._fresh, None)
            if job is None:
                self.exhausted = True
            else:
                chunk.append(job)
        self.under_way += len(chunk)
        return chunk

    def settle(self, outcome: Outcome) -> bool:
        """Whether an outcome is final; else its tile will be tried again."""
        self.under_way -= 1
        job = outcome.job
        if outcome.fate != "failed" or not outcome.transient or job.attempt >= self._tries:
            return True
        due = time.monotonic() + self._pause * 2 ** (job.attempt - 1)
        heapq.heappush(self._later, (due, job._replace(attempt=job.attempt + 1)))
        return False

    def patience(self, longest: float) -> float:
        """Seconds to wait for outcomes before a tile is due again."""
        return min(longest, max(0.0, self._later[0][0] - time.monotonic())) if self._later else longest
