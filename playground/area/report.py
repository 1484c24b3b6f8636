"""What a run did, tile by tile and in all."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

from playground.area.journal import COLUMNS, Journal
from playground.area.outcome import FATES

FAILURES = 100
"""Failed tiles that a summary names; the table of tiles names all."""


@dataclasses.dataclass
class Report:
    """The account of a run: ``asked`` is the sum of ok, empty, missing, failed and left.

    Attributes:
        asked: tiles of the area.
        ok, empty, missing, failed: by fate; empty are those where nothing was found, missing those without imagery.
        left: not done yet, as the run was interrupted.
        features: objects written.
        joined: of them, those put together from several tiles.
        seconds: that this run took, without earlier ones that it resumed.
        predicted: tiles that this run predicted.
        details: retries, features seen, repairs, and so on.
        failures: the first failed tiles, and why.
    """

    asked: int
    ok: int = 0
    empty: int = 0
    missing: int = 0
    failed: int = 0
    left: int = 0
    features: int = 0
    joined: int = 0
    seconds: float = 0.0
    predicted: int = 0
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    failures: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether every tile has its answer; one without imagery has."""
        return not self.left and not self.failed

    def count(self, journal: Journal) -> None:
        """Take the tiles from the journal."""
        counts = journal.counts()
        self.ok, self.empty, self.missing, self.failed = (counts.get(fate, 0) for fate in FATES)
        self.left = self.asked - sum(counts.values())
        self.details.update(journal.totals())
        self.details["repairs"] = journal.repairs()
        self.failures = journal.failures(FAILURES)

    def as_dict(self) -> dict[str, Any]:
        told = dataclasses.asdict(self)
        details, failures = told.pop("details"), told.pop("failures")
        rate = self.predicted / self.seconds if self.seconds else 0.0
        return {**told, "tiles_per_second": round(rate, 2), **details, "failures": failures}

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n")


def write_table(journal: Journal, path: Path) -> None:
    """Write a line of CSV for each tile."""
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        table.writerows(journal.rows())
