"""The figures of the demo: how many tiles, what became of them, and where the time went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from playground.demo.collect import Answer

FATES = ("ok", "empty", "missing", "failed")
STAGES = ("fetch", "queue", "predict", "format", "total", "http")
"""In the order of the pipeline; stages that are not known here come first."""


@dataclass(frozen=True)
class Figures:
    """Totals over the answers to all tiles.

    Attributes:
        seconds: from the first request to the last answer.
        iou: agreement with the coastlines, by the name of the area.
    """

    answers: Sequence[Answer]
    seconds: float
    iou: Mapping[str, float]

    @property
    def tiles(self) -> Counter[str]:
        """Fate to number of tiles."""
        return Counter(answer.fate for answer in self.answers)

    @property
    def features(self) -> int:
        return sum(len(answer.features) for answer in self.answers)

    @property
    def rate(self) -> float:
        """Tiles per second."""
        return len(self.answers) / self.seconds if self.seconds else 0.0

    def audit(self, name: str) -> Counter[str]:
        """``repairs`` or ``dropped`` of the service's reports, summed."""
        total: Counter[str] = Counter()
        for answer in self.answers:
            total.update(answer.report.get(name, {}))
        return total

    def stages(self) -> dict[str, tuple[float, float]]:
        """Stage to its mean and 95th percentile in milliseconds, over the tiles that were answered."""
        names = {name: None for answer in self.answers for name in answer.timing}  # a dictionary keeps their order
        values = {name: [answer.timing[name] for answer in self.answers if name in answer.timing] for name in names}
        return {name: (float(np.mean(each)), float(np.percentile(each, 95))) for name, each in values.items()}


def tables(figures: Figures) -> list[Table]:
    """What a person reads at the end."""
    return [_totals(figures), _stages(figures)]


def _totals(figures: Figures) -> Table:
    table = Table(title="What came of it", title_justify="left", show_header=False, min_width=52)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("tiles asked", f"{len(figures.answers):,}")
    for fate in FATES:
        count = figures.tiles[fate]
        table.add_row(f"  {fate}", f"{count:,}", style="bold red" if fate == "failed" and count else "")
    table.add_row("features", f"{figures.features:,}")
    for name in ("repairs", "dropped"):
        audit = figures.audit(name)
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(audit.items()))
        table.add_row(name, kinds or "none")
    table.add_row("rate", f"{figures.rate:.1f} tiles/s ({figures.seconds:.1f} s)", style="bold")
    for area, iou in figures.iou.items():
        table.add_row(f"IoU with the coastlines, {area}", f"{iou:.3f}", style="bold")
    return table


def _stages(figures: Figures) -> Table:
    table = Table(title="Where the time went, for one tile", title_justify="left", min_width=52)
    for heading in ("stage", "mean, ms", "95 %, ms"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    stages = figures.stages()
    known = [name for name in STAGES if name in stages]
    for name in [*(name for name in stages if name not in STAGES), *known]:
        mean, high = stages[name]
        words = "http, besides the total" if name == "http" else name
        table.add_row(words, f"{mean:.1f}", f"{high:.1f}", style="bold" if name == "total" else "")
    return table
