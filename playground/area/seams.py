"""Seams: parts of one object, cut by tile edges, become one again. See docs/decisions/0006-seams.md.

Tiles come in the order of ``cover``; an object leaves as soon as no tile to come can add to it, so what is kept is the
frontier of the sweep and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import Any

import mercantile
import numpy as np
import shapely

from playground.area.contact import contacts, same
from playground.area.cover import BAND_ROWS, order_of
from playground.area.objects import MERGES, Found, Group, Member, Merge, merge_named, named, objects_of, placed
from playground.area.parts import OPPOSITE, STEPS, UNITS, Pieces, Whole, name
from playground.area.suppression import Crowd, Future, Suppression
from playground.area.world import features_of

__all__ = ["MERGES", "Merge", "Seams", "merge_named"]

BATCH = 500
"""Objects projected at once."""

Key = tuple[int, int]
Feature = dict[str, Any]


class Seams:
    """Joins the parts of objects.

    Args:
        zoom: of all tiles.
        merge: how parts become one object.
        provenance: write the tiles that an object comes from into its property ``tiles``.
        suppression: which objects are the same though no seam joins them; None for none.
    """

    def __init__(
        self, zoom: int, merge: Merge = "union", provenance: bool = False, suppression: Suppression | None = None
    ) -> None:
        self.zoom = zoom
        self.merge = merge
        self.provenance = provenance
        self.counts: Counter[str] = Counter()
        """``joined``: objects made of several parts; ``beyond``: features that were a neighbour's; ``rims``: slivers
        left out; ``suppressed``: objects that a surer one stands for."""
        self._columns = 2**zoom
        self._waiting: dict[Key, list[list[Member]]] = {}
        self._ready: list[Group | tuple[mercantile.Tile, Whole]] = []
        self._crowd = Crowd(suppression, self._columns) if suppression else None
        self._last: Key = (0, 0)

    def add(self, tile: mercantile.Tile, pieces: Pieces | None, known: Container[Key]) -> None:
        """Take a tile in.

        Args:
            tile: the next in order.
            pieces: None for one that gave nothing.
            known: columns and rows of the area's tiles, those of this band and of the two beside it at least.
        """
        key = self._last = (tile.x, tile.y)
        members: list[Member] = []
        if pieces is not None:
            self.counts["beyond"] += pieces.beyond
            self._ready += [(tile, whole) for whole in pieces.inside]
            members = [Member(tile, part, Group([])) for part in pieces.parts]
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
        found = self._found()
        if self._crowd is not None:
            self._crowd.add(found)
            if not (all_of_them or self._crowd.grown):
                return []
            found = self._crowd.release(None if all_of_them else self._future())
            self.counts["suppressed"] = self._crowd.suppressed
        return features_of(found, self.zoom) if found else []

    @property
    def kept(self) -> int:
        """Tiles that something is remembered of."""
        return len(self._waiting)

    def _found(self) -> list[Found]:
        """Objects that became whole since the last call."""
        ready, self._ready = self._ready, []
        wholes = [entry for entry in ready if isinstance(entry, tuple)]
        shapes = iter(placed([whole.shape for _, whole in wholes], [tile for tile, _ in wholes]))
        groups = [entry for entry in ready if isinstance(entry, Group)]
        objects = iter(objects_of(groups, self.merge, self.provenance, self.counts))
        found: list[Found] = []
        for entry in ready:  # in their order
            if isinstance(entry, tuple):
                tile, whole = entry
                properties = {**whole.properties, "tiles": [named(tile)]} if self.provenance else whole.properties
                found.append((name(tile, whole.index), next(shapes), properties))
            elif (made := next(objects)) is not None:
                found.append(made)
        return found

    def _future(self) -> Future:
        """Where objects may still come: what is shown by tiles to come, and what waits for them."""
        x, y = self._last
        band = y // BAND_ROWS
        # A tile shows at most a tile's width of what is around it.
        boxes = [
            ((x - 1) * UNITS, (band * BAND_ROWS - 1) * UNITS, np.inf, np.inf),
            (-np.inf, ((band + 1) * BAND_ROWS - 1) * UNITS, np.inf, np.inf),
        ]
        waiting = [member for edges in self._waiting.values() for edge in edges for member in edge]
        roots = {id(root): root for root in (member.group.root() for member in waiting)}
        members = [member for root in roots.values() for member in root.members]
        shapes = placed([member.part.seen for member in members], [member.tile for member in members])
        return Future(np.concatenate([np.array(boxes), shapely.bounds(shapes).reshape(-1, 4)]))

    def _neighbour(self, key: Key, edge: int) -> Key:
        across, down = STEPS[edge]
        return (key[0] + across) % self._columns, key[1] + down

    def _meet(self, other: Key, after: list[Member], edge: int) -> list[Member]:
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
        for first, second in contacts(before, after, edge):
            one, two = first.group.root(), second.group.root()
            if one is two or not same(first, second, edge):
                continue
            if len(one.members) < len(two.members):
                one, two = two, one
            one.take(two)
        return before
