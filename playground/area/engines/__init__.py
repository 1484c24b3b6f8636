"""Who predicts the tiles of an area: one file an engine."""

from __future__ import annotations

from typing import Protocol

from playground.area.outcome import Job, Outcome

ENGINES = {
    "local": "playground.area.engines.local:LocalEngine",
    "service": "playground.area.engines.service:ServiceEngine",
    "dask": "playground.area.engines.dask:DaskEngine",
}
"""Name to engine."""


class Engine(Protocol):
    """Takes jobs, gives outcomes in any order; an outcome for every job, whatever happens to it."""

    def launch(self) -> None:
        """Begin to get ready. From now on it takes jobs, which it sees to as soon as it is.

        Raises:
            PlaygroundError: it never will be.
        """

    def start(self) -> None:
        """Wait until it is ready.

        Raises:
            PlaygroundError: it never will be.
        """

    def room(self) -> int:
        """Jobs that it would take now; it does best with consecutive ones, all of them at once."""

    def submit(self, jobs: list[Job]) -> None:
        """Take jobs."""

    def collect(self, seconds: float) -> list[Outcome]:
        """Outcomes that came; waits so long for the first.

        Raises:
            PlaygroundError: nobody is left to predict.
        """

    def close(self) -> None:
        """Stop now; what is under way is forgotten."""
