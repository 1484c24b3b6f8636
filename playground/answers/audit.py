"""What was repaired and what was dropped, feature by feature, so that nothing vanishes in silence."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from playground.answers.table import IntArray


class Audit:
    """Repairs and losses of one answer. Features are known by their place in the predictor's list."""

    def __init__(self) -> None:
        self._repaired: dict[str, set[int]] = {}
        self._lost: dict[int, str] = {}

    def repair(self, kind: str, owners: Iterable[int]) -> None:
        """Note that features were repaired."""
        self._repaired.setdefault(kind, set()).update(owners)

    def lose(self, reason: str, owners: Iterable[int]) -> None:
        """Note that features lost their geometry or a part of it; the first reason of each counts."""
        for owner in owners:
            self._lost.setdefault(owner, reason)

    def touched(self) -> set[int]:
        """The features that anything was noted of."""
        return set(self._lost).union(*self._repaired.values())

    def report(self, features_in: int, kept: Collection[int]) -> dict[str, Any]:
        """The report of an answer.

        Args:
            features_in: features that the predictor gave.
            kept: those that are in the answer.

        Returns:
            features_in, features_out; ``repairs``, kind to how many features of the answer had it; ``dropped``, reason
            to how many features are not in the answer. ``features_in == features_out + sum(dropped.values())``.
        """
        survivors = set(kept)
        repaired = dict(self._repaired)
        if partly := self._lost.keys() & survivors:
            repaired["parts_dropped"] = set(partly)
        counts = {kind: len(owners & survivors) for kind, owners in sorted(repaired.items())}
        dropped: Counter[str] = Counter()
        if len(survivors) < features_in:
            dropped.update(self._lost.get(owner, "empty") for owner in range(features_in) if owner not in survivors)
        return {
            "features_in": features_in,
            "features_out": len(survivors),
            "repairs": {kind: count for kind, count in counts.items() if count},
            "dropped": dict(sorted(dropped.items())),
        }

    def reports(self, counts: Sequence[int], kept: IntArray) -> list[dict[str, Any]]:
        """The reports of several images whose features follow each other.

        Args:
            counts: features that the predictor gave of each.
            kept: those that are in the answers, in order.
        """
        ends = np.cumsum(counts)
        borders = [0, *np.searchsorted(kept, ends).tolist()]
        alone = self._apart(ends)
        reports = []
        for image, (count, end) in enumerate(zip(counts, ends.tolist(), strict=True)):
            start, stop = borders[image : image + 2]
            if image in alone or stop - start < count:
                inside = (kept[start:stop] - (end - count)).tolist()
                reports.append(alone.get(image, Audit()).report(count, inside))
            else:
                reports.append({"features_in": count, "features_out": count, "repairs": {}, "dropped": {}})
        return reports

    def _apart(self, ends: IntArray) -> dict[int, Audit]:
        """Images of which anything was noted, and what; features known by their place in their own image."""
        alone: defaultdict[int, Audit] = defaultdict(Audit)
        starts = [0, *ends.tolist()]
        for kind, owners in self._repaired.items():
            for owner in owners:
                image = bisect_right(starts, owner, 1) - 1
                alone[image].repair(kind, (owner - starts[image],))
        for owner, reason in self._lost.items():
            image = bisect_right(starts, owner, 1) - 1
            alone[image].lose(reason, (owner - starts[image],))
        return alone


def add_reports(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The report of several answers together."""
    total: dict[str, Any] = {"features_in": 0, "features_out": 0, "repairs": Counter(), "dropped": Counter()}
    for report in reports:
        for name in ("features_in", "features_out"):
            total[name] += report[name]
        for name in ("repairs", "dropped"):
            total[name].update(report[name])
    return {**total, **{name: dict(sorted(total[name].items())) for name in ("repairs", "dropped")}}
