"""What was repaired and what was dropped, feature by feature, so that nothing vanishes in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any


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


def add_reports(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The report of several answers together."""
    total: dict[str, Any] = {"features_in": 0, "features_out": 0, "repairs": Counter(), "dropped": Counter()}
    for report in reports:
        for name in ("features_in", "features_out"):
            total[name] += report[name]
        for name in ("repairs", "dropped"):
            total[name].update(report[name])
    return {**total, **{name: dict(sorted(total[name].items())) for name in ("repairs", "dropped")}}
