"""What a worker has to do next: its jobs, and what is fetched for them before their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any, NamedTuple

from playground.area.cover import BAND_ROWS
from playground.area.outcome import Job

AHEAD = 64
"""Requests to a tile server that are to be under way, also while a batch is decoded, predicted and cut and nobody looks
after them: those of the next batch wait for their turn then. Of a local source nothing is fetched ahead."""


class Begun(NamedTuple):
    """Jobs of one column, and what is being fetched for them."""

    jobs: list[Job]
    fetching: list[Future[Any]]


class Ahead:
    """Jobs as they come, those of a column together: what they show is then looked for, fetched and decoded once.

    Args:
        take: the next job; None if there is none at hand, or, told to wait for one, if there will be no more.
        fetch: begins to fetch what jobs need, and gives what was begun.
    """

    def __init__(self, take: Callable[[bool], Job | None], fetch: Callable[[Sequence[Job]], list[Future[Any]]]) -> None:
        self._take = take
        self._fetch = fetch
        self._held: Job | None = None
        self._begun: deque[Begun] = deque()
        self._fetching: list[Future[Any]] = []

    def __bool__(self) -> bool:
        """Whether there are jobs whose turn is to come."""
        return bool(self._begun)

    def fill(self, many: int, wait: bool = False) -> None:
        """Take jobs, and begin to fetch what they need.

        Args:
            many: of a batch; two are to be there, beside what is being fetched.
            wait: for the first job, if there is none.
        """
        self._fetching = [future for future in self._fetching if not future.done()]
        count = sum(len(begun.jobs) for begun in self._begun)
        while count < AHEAD + 2 * many and len(self._fetching) < 2 * AHEAD:
            jobs = self._column(wait and not count)
            if not jobs:
                return
            count += len(jobs)
            self._begun.append(Begun(jobs, self._fetch(jobs)))
            self._fetching += self._begun[-1].fetching

    def next(self, many: int) -> list[Job]:
        """The first jobs whose tiles are there, so that one slow answer holds up few; none if there are none such.

        Whole columns, unless there is no place for one: where a column is cut, tiles are decoded twice.
        """
        ready: list[Job] = []
        later: list[Begun] = []
        while self._begun and len(ready) < many:
            jobs, fetching = self._begun.popleft()
            if not all(future.done() for future in fetching):
                later.append(Begun(jobs, fetching))
                continue
            room = many - len(ready)
            if len(jobs) > room and ready:
                later.append(Begun(jobs, []))
                break
            if len(jobs) > room:
                later.append(Begun(jobs[room:], []))
            ready += jobs[:room]
        self._begun.extendleft(reversed(later))
        return ready

    def wait(self, seconds: float) -> None:
        """Wait until the first tiles are there."""
        wait_for(self._begun[0].fetching, seconds)

    def _column(self, wait: bool) -> list[Job]:
        """The next jobs of one column; none if there are none at hand, or, told to wait, if there will be no more."""
        first, self._held = self._held or self._take(wait), None
        if first is None:
            return []
        jobs = [first]
        while len(jobs) < BAND_ROWS and (job := self._take(False)) is not None:
            if job.x != first.x:
                self._held = job
                break
            jobs.append(job)
        return jobs
