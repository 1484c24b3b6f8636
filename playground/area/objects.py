"""From parts that are one object to that object: its shape, its properties, its name."""

from __future__ import annotations

import dataclasses
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, get_args

import mercantile
import numpy as np
import shapely

from playground.area.outlines import BoolArray, Forms
from playground.area.parts import Part, name
from playground.area.splice import united
from playground.area.world import UNITS
from playground.errors import SettingsError
from playground.geo import FloatArray

Merge = Literal["union", "best-confidence", "best-area", "none"]
MERGES: dict[str, Merge] = {
    **{mode: mode for mode in get_args(Merge)},
    "NONE": "none",
    "SELECT_BASED_ON_CONFIDENCE": "best-confidence",
    "SELECT_BASED_ON_AREA": "best-area",
}
"""Ways to make one object of its parts, by name; the names of the Tile Geo Process API's ``apply_fusion`` too."""
VIEWS = ("best-confidence", "best-area")
"""Those in which it is one of them, as its tile saw it."""

THIN = 1 / 256
"""Tiles: a part thinner than a pixel that nobody else knows is the rim of an object of the neighbour's."""

Found = tuple[str, dict[str, Any]]
"""An object's id and its properties."""


def merge_named(text: str) -> Merge:
    """The way to merge that a name means.

    Raises:
        SettingsError: none.
    """
    if text not in MERGES:
        raise SettingsError(f"merge {text!r} is not known", f"known are {', '.join(MERGES)}")
    return MERGES[text]


@dataclasses.dataclass(eq=False, slots=True)
class Member:
    """A part. Those known to be one object hang on one of them, their root.

    Attributes:
        place: among all parts, in the order of tiles and, in each, of features.
        waiting: of a root, edges whose other side is still to come.
        others: of a root, the parts that hang on it.
        into: what it hangs on.
    """

    tile: mercantile.Tile
    part: Part
    place: int
    waiting: int = 0
    others: list[Member] | None = None
    into: Member | None = None

    def root(self) -> Member:
        member = self
        while member.into is not None:
            if member.into.into is not None:
                member.into = member.into.into
            member = member.into
        return member

    def take(self, other: Member) -> None:
        """Hang another root's parts on this one."""
        other.into = self
        self.waiting += other.waiting
        if self.others is None:
            self.others = []
        self.others.append(other)
        if other.others is not None:
            self.others += other.others
            other.others = None

    def team(self) -> list[Member]:
        """A root and what hangs on it, in order."""
        return [self] if self.others is None else sorted([self, *self.others], key=_place)


_place = operator.attrgetter("place")


def objects_of(
    roots: Sequence[Member], merge: Merge, provenance: bool, counts: Counter[str]
) -> tuple[list[Found | None], Forms]:
    """The objects of parts that are whole; None for one that is the neighbour's, or its rim.

    Args:
        roots: of the objects.
        merge: how parts become one object.
        provenance: write the tiles that an object comes from into its property ``tiles``.
        counts: ``joined``, ``beyond`` and ``rims`` are added to it.

    Returns:
        The objects, and the geometries of those that are any.
    """
    teams = [root.team() for root in roots]
    joined = [] if merge in VIEWS else [index for index, team in enumerate(teams) if len(team) > 1]
    parts = _forms([(member, member.part.own) for index in joined for member in teams[index]])
    sizes = np.array([len(teams[index]) for index in joined], dtype=np.int64)
    areas = iter(parts.areas().tolist())
    unions = united(parts, sizes)
    weights = {index: [next(areas) for _ in teams[index]] for index in joined}
    views = _views(teams, merge, dict(zip(joined, unions.are_boxes().tolist(), strict=True)))
    alone = [index for index, team in enumerate(teams) if index in views or len(team) == 1]
    seen = [(teams[index][views[index]], True) if index in views else (teams[index][0], False) for index in alone]
    singles = _forms([(member, member.part.seen if view else member.part.own) for member, view in seen])
    thin = dict(zip(alone, _are_thin(singles.bounds()).tolist(), strict=True))
    found: list[Found | None] = []
    for index, team in enumerate(teams):
        best = views.get(index)
        first = team[0].part
        if len(team) == 1 and first.whole and first.at != (0, 0) and (best is not None or thin[index]):
            # Its middle is in another tile, which speaks for it.
            counts["rims" if best is None else "beyond"] += 1
            found.append(None)
            continue
        counts["joined"] += len(team) > 1
        found.append((name(team[0].tile, first.index), _properties(team, weights.get(index, []), best, provenance)))
    stay = np.array([each is not None for each in found], dtype=bool)
    ranks = np.cumsum(stay) - 1
    whole, lone = np.array(joined, dtype=np.int64), np.array(alone, dtype=np.int64)
    whole_stay, lone_stay = np.array([index not in views for index in joined], dtype=bool), stay[lone]
    return found, Forms.together(
        unions.take(whole_stay), ranks[whole[whole_stay]], singles.take(lone_stay), ranks[lone[lone_stay]]
    )


def _forms(given: Sequence[tuple[Member, bytes]]) -> Forms:
    """Geometries of parts, of WKB in units from their tiles' corners."""
    return Forms.of_wkb([text for _, text in given], [member.tile for member, _ in given])


def named(tile: mercantile.Tile) -> str:
    """z/x/y."""
    return f"{tile.z}/{tile.x}/{tile.y}"


def _views(teams: list[list[Member]], merge: Merge, boxes: dict[int, bool]) -> dict[int, int]:
    """Of objects that are one of their parts, as that tile saw it: which one; others are all together.

    Args:
        teams: the parts of each.
        merge: how parts become one object.
        boxes: of those of several parts, whether these together are a rectangle.
    """
    if merge in VIEWS:
        return {index: _choose(team, merge) for index, team in enumerate(teams)}
    # Rectangles that make one rectangle are parts of it; others are one detection, seen twice.
    return {
        index: _choose(team, merge)
        for index, team in enumerate(teams)
        if all(member.part.box for member in team)
        and any(member.part.whole for member in team)
        and not boxes.get(index)
    }


def _choose(team: list[Member], merge: Merge) -> int:
    """Which of several views of an object is taken: whole ones first, then by the mode, then the first tile's."""

    def worth(index: int) -> tuple[bool, bool, float, int]:
        part = team[index].part
        score = float(shapely.area(shapely.from_wkb(part.seen))) if merge == "best-area" else _confidence(team[index])
        return part.whole, merge in ("union", "none") and part.at == (0, 0), score, -index

    return max(range(len(team)), key=worth)


def _properties(team: list[Member], areas: list[float], best: int | None, provenance: bool) -> dict[str, Any]:
    leading = team[areas.index(max(areas)) if areas and best is None else best or 0]
    properties = dict(leading.part.properties)
    confidences = [_confidence(member) for member in team]
    if best is None:
        mean = _mean(confidences, areas) if len(team) > 1 else confidences[0]
        properties["confidence"] = properties["score"] = min(max(round(mean, 6), 0.0), 1.0)
    properties["confidence_max"] = max(confidences)
    if provenance:
        properties["tiles"] = list(dict.fromkeys(named(member.tile) for member in team))
    return properties


def _mean(values: list[float], weights: list[float]) -> float:
    """The mean of values, weighted if there is any weight."""
    if len(values) == 2 and max(weights) > 0:  # nearly all: no arrays
        return (values[0] * weights[0] + values[1] * weights[1]) / (weights[0] + weights[1])
    shares = np.array(weights) if max(weights) > 0 else np.ones(len(weights))
    return float(np.sum(np.array(values) * shares) / np.sum(shares))


def _are_thin(bounds: FloatArray) -> BoolArray:
    """Whether parts are less than a pixel: rims of objects of other tiles, which do not know them."""
    return np.asarray((bounds[:, 2:] - bounds[:, :2]).min(axis=1) < THIN * UNITS)


def _confidence(member: Member) -> float:
    return float(member.part.properties["confidence"])
