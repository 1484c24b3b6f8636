"""Seams: parts of one object, cut by tile edges, become one again. See docs/decisions/0006-seams.md.

Tiles come in the order of ``cover``; an object leaves as soon as no tile to come can add to it, so what is kept is the
frontier of the sweep and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import Any, Literal, cast, get_args

import mercantile
import numpy as np
import shapely

from playground.area.cover import order_of
from playground.area.parts import (
    EAST,
    OPPOSITE,
    STEPS,
    UNITS,
    WEST,
    Part,
    Pieces,
    Runs,
    Shapes,
    Whole,
    are_boxes,
    name,
    to_global,
)
from playground.area.parts import same_dimension as polygons_of
from playground.area.world import features_of
from playground.errors import SettingsError

Merge = Literal["union", "best-confidence", "best-area", "none"]
MERGES: dict[str, Merge] = {
    **{mode: mode for mode in get_args(Merge)},
    "NONE": "none",
    "SELECT_BASED_ON_CONFIDENCE": "best-confidence",
    "SELECT_BASED_ON_AREA": "best-area",
}
"""Ways to make one object of its parts, by name; the names of the Tile Geo Process API's ``apply_fusion`` too."""

AGREE = 0.5
"""Share of the shorter stretch along an edge that both tiles must see of one object."""
THIN = 1 / 256
"""Tiles: a part thinner than a pixel that nobody else knows is the rim of an object of the neighbour's."""
BATCH = 500
"""Objects projected at once."""

Key = tuple[int, int]
Feature = dict[str, Any]
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


@dataclasses.dataclass
class _Member:
    tile: mercantile.Tile
    part: Part
    group: _Group


@dataclasses.dataclass(eq=False)
class _Group:
    """Parts known to be one object; merged groups point to the one that took them."""

    members: list[_Member]
    waiting: int = 0
    """Edges whose other side is still to come."""
    into: _Group | None = None

    def root(self) -> _Group:
        group = self
        while group.into is not None:
            if group.into.into is not None:
                group.into = group.into.into
            group = group.into
        return group


class Seams:
    """Joins the parts of objects.

    Args:
        zoom: of all tiles.
        merge: how parts become one object.
        provenance: write the tiles that an object comes from into its property ``tiles``.
    """

    def __init__(self, zoom: int, merge: Merge = "union", provenance: bool = False) -> None:
        self.zoom = zoom
        self.merge = merge
        self.provenance = provenance
        self.counts: Counter[str] = Counter()
        """``joined``: objects made of several parts; ``beyond``: features that were a neighbour's; ``rims``: slivers
        left out."""
        self._columns = 2**zoom
        self._waiting: dict[Key, list[list[_Member]]] = {}
        self._ready: list[_Group | tuple[mercantile.Tile, Whole]] = []

    def add(self, tile: mercantile.Tile, pieces: Pieces | None, known: Container[Key]) -> None:
        """Take a tile in.

        Args:
            tile: the next in order.
            pieces: None for one that gave nothing.
            known: columns and rows of the area's tiles, those of this band and of the two beside it at least.
        """
        key = (tile.x, tile.y)
        members: list[_Member] = []
        if pieces is not None:
            self.counts["beyond"] += pieces.beyond
            self._ready += [(tile, whole) for whole in pieces.inside]
            members = [_Member(tile, part, _Group([])) for part in pieces.parts]
            for member in members:
                member.group.members.append(member)
        touched = list(members)
        for edge in range(4) if self.merge != "none" else ():
            other = self._neighbour(key, edge)
            if other == key or other not in known:
                continue
            touching = [member for member in members if member.part.inner[edge]]
            if order_of(*other) < order_of(*key):
                touched += self._meet(other, touching, OPPOSITE[edge])
            elif touching:
                self._waiting.setdefault(key, [[], [], [], []])[edge] = touching
                for member in touching:
                    member.group.root().waiting += 1
        groups = {id(group): group for group in (member.group.root() for member in touched)}
        self._ready += [group for group in groups.values() if group.waiting == 0]

    def take(self, all_of_them: bool = False) -> list[Feature]:
        """Objects that became whole since the last call, in degrees; a batch at a time unless ``all_of_them``."""
        if len(self._ready) < BATCH and not all_of_them:
            return []
        ready, self._ready = self._ready, []
        wholes = [entry for entry in ready if isinstance(entry, tuple)]
        shapes = iter(_shapes([whole.shape for _, whole in wholes], [tile for tile, _ in wholes]))
        found: list[Found] = []
        for entry in ready:
            if isinstance(entry, tuple):
                tile, whole = entry
                properties = {**whole.properties, "tiles": [_named(tile)]} if self.provenance else whole.properties
                found.append((name(tile, whole.index), next(shapes), properties))
            else:
                found += self._finish(entry)
        return features_of(found, self.zoom) if found else []

    @property
    def kept(self) -> int:
        """Tiles that something is remembered of."""
        return len(self._waiting)

    def _neighbour(self, key: Key, edge: int) -> Key:
        across, down = STEPS[edge]
        return (key[0] + across) % self._columns, key[1] + down

    def _meet(self, other: Key, after: list[_Member], edge: int) -> list[_Member]:
        """Join parts of a tile that came before with parts of the new one across ``edge``, as the first tile sees it.

        Returns:
            Those of the first tile, whose wait for this edge is over.
        """
        waited = self._waiting.get(other)
        if waited is None:
            return []
        before, waited[edge] = waited[edge], []
        if not any(waited):
            del self._waiting[other]
        for member in before:
            member.group.root().waiting -= 1
        for first, second in _contacts(before, after, edge):
            one, two = first.group.root(), second.group.root()
            if one is two or not _same(first, second, edge):
                continue
            if len(one.members) < len(two.members):
                one, two = two, one
            two.into = one
            one.members += two.members
            one.waiting += two.waiting
            two.members = []
        return before

    def _finish(self, group: _Group) -> Iterator[Found]:
        members = sorted(group.members, key=lambda member: (order_of(member.tile.x, member.tile.y), member.part.index))
        own = _shapes([member.part.own for member in members], [member.tile for member in members])
        chosen: int | None = None  # together
        if not self._is_union(members, own):
            chosen = self._choose(members)
            if len(members) == 1 and members[0].part.whole and members[0].part.at != (0, 0):
                self.counts["beyond"] += 1  # its middle is in another tile, which speaks for it
                return
        elif len(members) == 1 and _is_rim(members[0].part, own[0]):
            self.counts["rims"] += 1
            return
        self.counts["joined"] += len(members) > 1
        if chosen is not None:
            shape = _shapes([members[chosen].part.seen], [members[chosen].tile])[0]
        else:
            shape = own[0] if len(members) == 1 else _united(own)
        yield self._feature(members, shapely.area(own), shape, chosen)

    def _is_union(self, members: list[_Member], own: Shapes) -> bool:
        """Whether an object is all of its parts together; else it is one of them, as that tile saw it."""
        if self.merge in ("best-confidence", "best-area"):
            return False
        if not all(member.part.box for member in members) or not any(member.part.whole for member in members):
            return True
        # Rectangles that make one rectangle are parts of it; others are one detection, seen twice.
        return len(members) > 1 and bool(are_boxes(np.array([_united(own)], dtype=object))[0])

    def _choose(self, members: list[_Member]) -> int:
        """Which of several views of an object is taken: whole ones first, then by the mode, then the first tile's."""

        def worth(index: int) -> tuple[bool, bool, float, int]:
            part = members[index].part
            by_area = self.merge == "best-area"
            score = float(shapely.area(shapely.from_wkb(part.seen))) if by_area else _confidence(members[index])
            return part.whole, self.merge in ("union", "none") and part.at == (0, 0), score, -index

        return max(range(len(members)), key=worth)

    def _feature(self, members: list[_Member], areas: Any, shape: shapely.Geometry, best: int | None) -> Found:
        leading = members[int(np.argmax(areas)) if best is None else best]
        properties = dict(leading.part.properties)
        confidences = np.array([_confidence(member) for member in members])
        if best is None:
            weights = areas if areas.sum() > 0 else np.ones(len(members))
            mean = float(np.sum(confidences * weights) / np.sum(weights))
            properties["confidence"] = min(max(round(mean, 6), 0.0), 1.0)
            properties["score"] = properties["confidence"]
        properties["confidence_max"] = float(confidences.max())
        if self.provenance:
            properties["tiles"] = list(dict.fromkeys(_named(member.tile) for member in members))
        return name(members[0].tile, members[0].part.index), shape, properties


def _contacts(before: list[_Member], after: list[_Member], edge: int) -> Iterator[tuple[_Member, _Member]]:
    """Parts of two sides that touch along the edge, in the order of the edge."""
    if not before or not after:
        return
    firsts = sorted((run, place) for place, member in enumerate(before) for run in member.part.inner[edge])
    seconds = sorted((run, place) for place, member in enumerate(after) for run in member.part.inner[OPPOSITE[edge]])
    start = 0
    longest = max(high - low for (low, high), _ in seconds)
    found: dict[tuple[int, int], None] = {}
    for (low, high), place in firsts:
        while start < len(seconds) and seconds[start][0][0] < low - longest:
            start += 1
        for index in range(start, len(seconds)):
            (other_low, other_high), other = seconds[index]
            if other_low > high:
                break
            if other_high >= low:
                found[(place, other)] = None
    for place, other in found:
        yield before[place], after[other]


def _same(first: _Member, second: _Member, edge: int) -> bool:
    """Whether two parts that touch are one object: of one category, and each side's view of the other agrees."""
    one, other = first.part, second.part
    if one.properties.get("category") != other.properties.get("category"):
        return False
    if one.box and other.box and one.outer is not None and other.outer is not None:
        return _same_box(first, second, edge)
    here, there = one.inner[edge], other.inner[OPPOSITE[edge]]
    views = []
    if one.outer is not None:
        views.append((one.outer[edge], there))
    if other.outer is not None:
        views.append((other.outer[OPPOSITE[edge]], here))
    for run in here:
        for beyond in there:
            length = min(run[1], beyond[1]) - max(run[0], beyond[0])
            if length < 0:
                continue
            agreeing = [_agree(view, actual, max(run[0], beyond[0]), min(run[1], beyond[1])) for view, actual in views]
            # A corner alone is a contact only if both tiles say so; without padding an edge says it all.
            if (length > 0 and (any(agreeing) or not views)) or (length == 0 and len(views) == 2 and all(agreeing)):
                return True
    return False


def _agree(view: Runs, actual: Runs, low: float, high: float) -> bool:
    """Whether what a tile sees beyond its edge is what the neighbour has there, near a contact."""
    for start, end in view:
        if end < low or start > high:
            continue
        for begin, stop in actual:
            if stop < low or begin > high:
                continue
            if min(end, stop) - max(start, begin) >= AGREE * min(end - start, stop - begin):
                return True
    return False


def _same_box(first: _Member, second: _Member, edge: int) -> bool:
    """Whether two rectangles are one, where both tiles look: they may overlap and yet be two."""
    one = shapely.bounds(shapely.from_wkb(first.part.seen))
    other = shapely.bounds(shapely.from_wkb(second.part.seen))
    # Along the edge both show all of it, across it each ends with its padding.
    axis = 1 if edge in (WEST, EAST) else 0
    lows, highs = (one[axis], other[axis]), (one[axis + 2], other[axis + 2])
    shared = min(highs) - max(lows)
    return bool(shared >= AGREE * (max(highs) - min(lows)))


def _united(shapes: Shapes) -> shapely.Geometry:
    if (shapely.get_dimensions(shapes) == 1).all():
        return shapely.line_merge(shapely.union_all(shapes))
    whole = shapely.union_all(shapes)
    # Where edges were cut, vertices are left on straight lines.
    plain = shapely.simplify(whole, 0.0, preserve_topology=True)
    if not shapely.is_valid(plain):
        plain = whole
    return cast("shapely.Geometry", polygons_of(np.array([plain], dtype=object), np.array([True]))[0])


def _shapes(texts: Iterable[bytes], tiles: list[mercantile.Tile]) -> Shapes:
    return to_global(np.asarray(shapely.from_wkb(list(texts)), dtype=object), tiles)


def _is_rim(part: Part, own: shapely.Geometry) -> bool:
    """Whether a part is less than a pixel of an object whose middle is in another tile, which does not know it."""
    west, south, east, north = shapely.bounds(own)
    return part.whole and part.at != (0, 0) and min(east - west, north - south) < THIN * UNITS


def _confidence(member: _Member) -> float:
    return float(member.part.properties["confidence"])


def _named(tile: mercantile.Tile) -> str:
    return f"{tile.z}/{tile.x}/{tile.y}"
