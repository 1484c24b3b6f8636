"""Seams: parts of one object, cut by tile edges, become one again. See docs/decisions/0006-seams.md.

Tiles come in the order of ``cover``; an object leaves as soon as no tile to come can add to it, so what is kept is the
frontier of the sweep and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

import mercantile
import numpy as np
import orjson

from playground import answers
from playground.area.contact import contacts, same
from playground.area.cover import BAND_ROWS
from playground.area.objects import MERGES, Member, Merge, merge_named, named, objects_of
from playground.area.outlines import Forms
from playground.area.parts import NORTH, OPPOSITE, STEPS, Pieces
from playground.area.suppression import Crowd, Future, Held, Suppression
from playground.area.world import UNITS, WorldFrame, shapes_of
from playground.formats.features import BEFORE_PROPERTIES, FEATURE, SEPARATOR, Features

__all__ = ["MERGES", "Merge", "Seams", "merge_named"]

NOTHING = Features([])
BATCH = 1500
"""Objects made, projected and written at once: the more, the less of what each call of numpy and GEOS costs."""
FEW = 200
"""The same where there is time for them now, not later."""
CROWDED = 500
"""The same where they are held back to be compared: what leaves when goes by it, so by results, too."""

Key = tuple[int, int]
Own = tuple[mercantile.Tile, bytes, int]
"""A tile, the features of the objects that it alone has, and how many they are."""


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
        self._waiting: dict[tuple[Key, int], list[Member]] = {}
        self._ready: list[Member | Own] = []
        self._parts = 0
        self._count = 0
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
        touched: list[Member] = []
        touching: tuple[list[Member], ...] = ([], [], [], [])
        if pieces is not None:
            self.counts["beyond"] += pieces.beyond
            if pieces.count:
                self._ready.append((tile, pieces.inside, pieces.count))
                self._count += pieces.count
            for part in pieces.parts:
                member = Member(tile, part, self._parts)
                self._parts += 1
                touched.append(member)
                for edge in range(4):
                    if part.inner[edge]:
                        touching[edge].append(member)
        if self.merge != "none":
            touched += self._neighbours(key, touching, known)
        if touched:
            roots = dict.fromkeys([member.root() for member in touched])
            whole = [root for root in roots if not root.waiting]
            self._ready += whole
            self._count += len(whole)

    def take(self, all_of_them: bool = False, soon: bool = False) -> Features:
        """Objects that became whole since the last call, in degrees; a batch at a time unless ``all_of_them``.

        With ``soon`` a batch may be small.
        """
        least = CROWDED if self._crowd else FEW if soon else BATCH
        if self._count < least and not all_of_them:
            return NOTHING
        ready, self._ready, self._count = self._ready, [], 0
        features = self._features(ready)
        if self._crowd is None:
            return features
        self._crowd.add(self._held(features))
        if not (all_of_them or self._crowd.grown):
            return NOTHING
        found = self._crowd.release(None if all_of_them else self._future())
        self.counts["suppressed"] = self._crowd.suppressed
        return Features([each.text for each in found])

    @property
    def kept(self) -> int:
        """Tiles that something is remembered of."""
        return len({key for key, _ in self._waiting})

    def _features(self, ready: list[Member | Own]) -> Features:
        """The features of objects, in their order."""
        roots = [entry for entry in ready if isinstance(entry, Member)]
        objects, forms = objects_of(roots, self.merge, self.provenance, self.counts)
        for root in roots:
            root.others = None  # which point to it: so nothing is left for the garbage collector
        geometries = iter(answers.place_again(forms.layers(), WorldFrame.of(self.zoom), len(forms)))
        made_of = iter(objects)
        blocks: list[bytes] = []
        count = 0
        for entry in ready:
            if isinstance(entry, tuple):
                tile, block, several = entry
                count += several
                blocks.append(_with_tile(block, tile) if self.provenance else block)
            elif (made := next(made_of)) is not None and (geometry := next(geometries)) is not None:
                count += 1
                blocks.append(FEATURE % (geometry, orjson.dumps(made[1]), made[0].encode()))
        return Features(blocks, count)

    def _held(self, features: Features) -> list[Held]:
        """Features, and what suppression looks at."""
        told = list(features)
        shapes = shapes_of([orjson.dumps(feature["geometry"]) for feature in told], self.zoom)
        return [
            Held(text, shape, float(feature["properties"]["confidence"]), feature["properties"].get("category"))
            for text, shape, feature in zip(features.texts, shapes, told, strict=True)
        ]

    def _future(self) -> Future:
        """Where objects may still come: what is shown by tiles to come, and what waits for them."""
        x, y = self._last
        band = y // BAND_ROWS
        # A tile shows at most a tile's width of what is around it.
        boxes = [
            ((x - 1) * UNITS, (band * BAND_ROWS - 1) * UNITS, np.inf, np.inf),
            (-np.inf, ((band + 1) * BAND_ROWS - 1) * UNITS, np.inf, np.inf),
        ]
        waiting = [member for members in self._waiting.values() for member in members]
        members = [member for root in dict.fromkeys([member.root() for member in waiting]) for member in root.team()]
        seen = Forms.of_wkb([member.part.seen for member in members], [member.tile for member in members])
        return Future(np.concatenate([np.array(boxes), seen.bounds()]))

    def _neighbours(self, key: Key, touching: tuple[list[Member], ...], known: Container[Key]) -> list[Member]:
        """See what a tile's parts at its edges make with those of the neighbours there.

        Returns:
            The neighbours', whose wait for these edges is over. Neighbours whose turn is still to come are waited for.
        """
        met: list[Member] = []
        x, y = key
        for edge, (across, down) in enumerate(STEPS):
            other = ((x + across) % self._columns, y + down)
            # In the order of tiles the north comes first, and in a row of bands the west: but for the antimeridian.
            if edge == NORTH or (down == 0 and other[0] < x):
                before = self._waiting.pop((other, OPPOSITE[edge]), None)
                if before is not None:
                    self._meet(before, touching[edge], OPPOSITE[edge])
                    met += before
            elif touching[edge] and other != key and other in known:
                self._waiting[key, edge] = touching[edge]
                for member in touching[edge]:
                    member.root().waiting += 1
        return met

    @staticmethod
    def _meet(before: list[Member], after: list[Member], edge: int) -> None:
        """Join parts of a tile that came before with the new one's across ``edge``, as the first tile sees it."""
        for member in before:
            member.root().waiting -= 1
        for first, second in contacts(before, after, edge):
            one, two = first.root(), second.root()
            if one is two or not same(first, second, edge):
                continue
            if len(one.others or ()) < len(two.others or ()):
                one, two = two, one
            one.take(two)


def _with_tile(block: bytes, tile: mercantile.Tile) -> bytes:
    """Features with the tile that they are of, before the ``confidence_max`` that was added to them."""
    texts = []
    for text in block.split(SEPARATOR):
        start, end = text.index(BEFORE_PROPERTIES) + len(BEFORE_PROPERTIES), text.rindex(b',"id":')
        told = orjson.loads(text[start:end])
        last = {"confidence_max": told.pop("confidence_max")} if next(reversed(told)) == "confidence_max" else {}
        told.update(tiles=[named(tile)], **last)
        texts.append(text[:start] + orjson.dumps(told) + text[end:])
    return SEPARATOR.join(texts)
