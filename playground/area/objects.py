"""From parts that are one object to that object: its shape, its properties, its name."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import mercantile
import numpy as np
import shapely

from playground.area.cover import order_of
from playground.area.parts import Part, are_boxes, name, to_global
from playground.area.parts import same_dimension as polygons_of
from playground.area.splice import IntArray, spliced
from playground.area.world import UNITS, Shapes
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

THIN = 1 / 256
"""Tiles: a part thinner than a pixel that nobody else knows is the rim of an object of the neighbour's."""

Found = tuple[str, shapely.Geometry, dict[str, Any]]
"""An object's id, its shape in units of the whole map, and its properties."""


def merge_named(text: str) -> Merge:
    """The way to merge that a name means.

    Raises:
        SettingsError: none.
    """
    if text not in MERGES:
        raise SettingsError(f"merge {text!r} is not known", f"known are {', '.join(MERGES)}")
    return MERGES[text]


@dataclasses.dataclass(slots=True)
class Member:
    """A part, and the group that it is in."""

    tile: mercantile.Tile
    part: Part
    group: Group


@dataclasses.dataclass(eq=False, slots=True)
class Group:
    """Parts known to be one object; merged groups point to the one that took them."""

    members: list[Member]
    waiting: int = 0
    """Edges whose other side is still to come."""
    into: Group | None = None

    def root(self) -> Group:
        group = self
        while group.into is not None:
            if group.into.into is not None:
                group.into = group.into.into
            group = group.into
        return group

    def take(self, other: Group) -> None:
        """Make another root's parts this one's."""
        other.into = self
        self.members += other.members
        self.waiting += other.waiting
        other.members = []


def objects_of(groups: Sequence[Group], merge: Merge, provenance: bool, counts: Counter[str]) -> list[Found | None]:
    """The objects of groups that are whole; None for one that is the neighbour's, or its rim.

    Args:
        groups: roots.
        merge: how parts become one object.
        provenance: write the tiles that an object comes from into its property ``tiles``.
        counts: ``joined``, ``beyond`` and ``rims`` are added to it.
    """
    teams = [sorted(group.members, key=_order) if len(group.members) > 1 else group.members for group in groups]
    members = [member for team in teams for member in team]
    own = placed([member.part.own for member in members], [member.tile for member in members])
    areas, bounds = shapely.area(own).tolist(), shapely.bounds(own)
    sizes = np.array([len(team) for team in teams], dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    shapes = own[starts]
    together = merge in ("union", "none")
    if together:
        many = np.flatnonzero(sizes > 1)
        shapes[many] = _united(own, starts[many], sizes[many])
    views = _views(teams, shapes, merge) if not together or any(member.part.box for member in members) else {}
    found: list[Found | None] = []
    for index, (team, start) in enumerate(zip(teams, starts.tolist(), strict=True)):
        first = team[0].part
        chosen, shape = views.get(index, (None, shapes[index]))
        if len(team) == 1 and first.whole and first.at != (0, 0):
            if chosen is not None:
                counts["beyond"] += 1  # its middle is in another tile, which speaks for it
                found.append(None)
                continue
            if _is_thin(bounds[start]):
                counts["rims"] += 1
                found.append(None)
                continue
        counts["joined"] += len(team) > 1
        told = _properties(team, areas[start : start + len(team)], chosen, provenance)
        found.append((name(team[0].tile, first.index), shape, told))
    return found


def placed(texts: Iterable[bytes], tiles: list[mercantile.Tile]) -> Shapes:
    """Shapes in units of the whole map, of WKB in units from their tiles' corners."""
    return to_global(np.asarray(shapely.from_wkb(list(texts)), dtype=object), tiles)


def named(tile: mercantile.Tile) -> str:
    """z/x/y."""
    return f"{tile.z}/{tile.x}/{tile.y}"


def _views(teams: list[list[Member]], shapes: Shapes, merge: Merge) -> dict[int, tuple[int, shapely.Geometry]]:
    """Of objects that are one of their parts, as that tile saw it: which one, and its shape; others are all together.

    Args:
        teams: the parts of each.
        shapes: all parts together, of each.
        merge: how parts become one object.
    """
    if merge in ("best-confidence", "best-area"):
        chosen = {index: _choose(team, merge) for index, team in enumerate(teams)}
    else:
        # Rectangles that make one rectangle are parts of it; others are one detection, seen twice.
        rectangles = [
            index
            for index, team in enumerate(teams)
            if all(member.part.box for member in team) and any(member.part.whole for member in team)
        ]
        whole = are_boxes(shapes[rectangles]).tolist()
        apart = [index for index, one in zip(rectangles, whole, strict=True) if not one or len(teams[index]) == 1]
        chosen = {index: _choose(teams[index], merge) for index in apart}
    taken = [teams[index][part] for index, part in chosen.items()]
    seen = placed([member.part.seen for member in taken], [member.tile for member in taken])
    return {index: (part, shape) for (index, part), shape in zip(chosen.items(), seen, strict=True)}


def _choose(team: list[Member], merge: Merge) -> int:
    """Which of several views of an object is taken: whole ones first, then by the mode, then the first tile's."""

    def worth(index: int) -> tuple[bool, bool, float, int]:
        part = team[index].part
        score = float(shapely.area(shapely.from_wkb(part.seen))) if merge == "best-area" else _confidence(team[index])
        return part.whole, merge in ("union", "none") and part.at == (0, 0), score, -index

    return max(range(len(team)), key=worth)


def _properties(team: list[Member], areas: list[float], best: int | None, provenance: bool) -> dict[str, Any]:
    leading = team[areas.index(max(areas)) if best is None and len(team) > 1 else best or 0]
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


def _order(member: Member) -> tuple[tuple[int, int, int], int]:
    return order_of(member.tile.x, member.tile.y), member.part.index


def _united(shapes: Shapes, starts: IntArray, counts: IntArray) -> Shapes:
    """The unions of shapes that belong together, each of so many from one on; those of as many in one call."""
    united = np.full(len(starts), None, dtype=object)
    twos = np.flatnonzero(counts == 2)
    united[twos] = spliced(shapes[starts[twos, None] + np.arange(2)])
    left = np.flatnonzero(shapely.is_missing(united))
    linear = np.zeros(len(united), bool)
    for count in sorted(set(counts[left].tolist())):
        these = left[counts[left] == count]
        teams = shapes[starts[these, None] + np.arange(count)]
        united[these] = shapely.union_all(teams, axis=1)
        linear[these] = (shapely.get_dimensions(teams) == 1).all(axis=1)
    lines = linear[left]
    united[left[lines]] = shapely.line_merge(united[left[lines]])
    wholes = united[left[~lines]]
    # Where edges were cut, vertices are left on straight lines.
    plain = np.asarray(shapely.simplify(wholes, 0.0, preserve_topology=True), dtype=object)
    broken = ~shapely.is_valid(plain)
    plain[broken] = wholes[broken]
    united[left[~lines]] = polygons_of(plain, np.ones(len(plain), bool))
    return united


def _is_thin(bounds: FloatArray) -> bool:
    """Whether a part is less than a pixel: the rim of an object of another tile, which does not know it."""
    west, south, east, north = bounds
    return bool(min(east - west, north - south) < THIN * UNITS)


def _confidence(member: Member) -> float:
    return float(member.part.properties["confidence"])
