"""The figures of the demo: how many tiles, what became of them, and where the time went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from playground.area.outcome import FATES
from playground.area.report import Report

STEPS = ("queue", "fetch", "decode", "encode", "predict", "format", "total")
"""In the order of the pipeline."""
METRICS = {"playground_step_seconds": "step", "playground_request_seconds": ""}
"""Of the service: histogram to the label that names the step; without one it is the total."""


@dataclass(frozen=True)
class Figures:
    """What the run and the service tell.

    Attributes:
        iou: agreement with the coastlines, by the name of the area.
        steps: of one tile, to mean and 95th percentile in milliseconds.
    """

    report: Report
    iou: Mapping[str, float]
    steps: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Tiles per second."""
        return self.report.predicted / self.report.seconds if self.report.seconds else 0.0


def steps_of(metrics: str) -> dict[str, tuple[float, float]]:
    """Step to its mean and 95th percentile in milliseconds.

    Args:
        metrics: of the service, in Prometheus' text format. Its histograms tell a percentile as exactly as their
            buckets are fine; inside a bucket it is interpolated, as Prometheus' histogram_quantile does.
    """
    counts: defaultdict[str, float] = defaultdict(float)
    sums: defaultdict[str, float] = defaultdict(float)
    buckets: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for family in text_string_to_metric_families(metrics):
        if family.name not in METRICS:
            continue
        for sample in family.samples:
            step = sample.labels.get(METRICS[family.name], "total")
            if sample.name.endswith("_count"):
                counts[step] = sample.value
            elif sample.name.endswith("_sum"):
                sums[step] = sample.value
            elif sample.name.endswith("_bucket"):
                buckets[step].append((float(sample.labels["le"]), sample.value))
    return {
        step: (1000 * sums[step] / counts[step], 1000 * _percentile(sorted(buckets[step]), 0.95))
        for step in STEPS
        if counts[step]
    }


def _percentile(buckets: list[tuple[float, float]], share: float) -> float:
    wanted = share * buckets[-1][1]
    below, so_far = 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            return below + (bound - below) * (wanted - so_far) / (count - so_far) if bound != float("inf") else below
        below, so_far = bound, count
    return below


def tables(figures: Figures) -> list[Table]:
    """What a person reads at the end."""
    return [_totals(figures), _steps(figures)]


def _totals(figures: Figures) -> Table:
    report = figures.report
    table = Table(title="What came of it", title_justify="left", show_header=False, min_width=52)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("tiles asked", f"{report.asked:,}")
    for fate in FATES:
        count = getattr(report, fate)
        table.add_row(f"  {fate}", f"{count:,}", style="bold red" if fate == "failed" and count else "")
    table.add_row("pieces of water, tile by tile", f"{report.details.get('features_seen', 0):,}")
    table.add_row("pieces of water, joined", f"{report.features:,}", style="bold")
    table.add_row("  of them over several tiles", f"{report.joined:,}")
    repairs = ", ".join(f"{kind} {count}" for kind, count in report.details.get("repairs", {}).items())
    table.add_row("repairs", repairs or "none")
    table.add_row("rate", f"{figures.rate:.1f} tiles/s ({report.seconds:.1f} s)", style="bold")
    for area, iou in figures.iou.items():
        table.add_row(f"IoU with the coastlines, {area}", f"{iou:.3f}", style="bold")
    return table


def _steps(figures: Figures) -> Table:
    table = Table(title="Where the time went, for one tile", title_justify="left", min_width=52)
    for heading in ("step", "mean, ms", "95 %, ms"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for name, (mean, high) in figures.steps.items():
        table.add_row(name, f"{mean:.1f}", f"{high:.1f}", style="bold" if name == "total" else "")
    return table
