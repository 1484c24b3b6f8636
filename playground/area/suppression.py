"""Objects that a predictor tells of more than once: of those that overlap, the surest stays.

Seams give every object once where two tiles agree on it. Detectors that see one thing as several boxes, or a little
otherwise from the next tile, need more: non-maximum suppression, by category, over the whole area, in the memory that
the frontier of the sweep takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import numpy.typing as npt
import shapely

from playground.area.globe import everywhere, on_the_map
from playground.area.parts import are_boxes
from playground.area.world import UNITS, Shapes
from playground.errors import SettingsError
from playground.geo import FloatArray

Measure = Literal["iou", "ios"]
NONE = "none"
HISTORIC = {
    "NMS": "iou:0.5",
    "LSNMS": "iou:0.5",
    "NMM": "ios:0.5",
    "GREEDYNMM": "ios:0.5",
    "GREEDY_NMM": "ios:0.5",
}
"""What others call it; theirs that merge boxes take the measure from here and the merging from the seams."""
THRESHOLD = 0.5

QUERIES = 4096
"""Objects whose neighbours are looked up at once."""
GROWN = 2000
"""Objects, or a quarter of those that are held, after which it is looked who may leave."""

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
Pairs = tuple[IntArray, IntArray]
"""Places of the ones, and of the others."""


@dataclasses.dataclass(frozen=True)
class Suppression:
    """When two objects of one category are one.

    Attributes:
        measure: what they share, over all that they cover (``iou``) or over the smaller one (``ios``).
        threshold: from which on the less sure one goes; more than 0, at most 1.
    """

    measure: Measure
    threshold: float

    def __str__(self) -> str:
        return f"{self.measure}:{self.threshold:g}"


def suppression_named(text: str) -> Suppression | None:
    """The suppression that a text means: ``iou:0.5``, ``ios:0.7``, ``nms``; None for ``none``.

    Raises:
        SettingsError: nothing.
    """
    named = HISTORIC.get(text.upper(), text).lower()
    if named == NONE:
        return None
    measure, _, number = named.partition(":")
    try:
        threshold = float(number) if number else THRESHOLD
    except ValueError:
        threshold = 0.0
    if measure not in get_args(Measure) or not 0.0 < threshold <= 1.0:
        raise SettingsError(
            f"suppression {text!r} is not known",
            f"it is iou:0.5, ios:0.7 (a share from 0 to 1), none, or one of {', '.join(HISTORIC)}",
        )
    return Suppression(cast("Measure", measure), threshold)


def survivors(
    shapes: Shapes, confidences: FloatArray, categories: Sequence[Any], suppression: Suppression
) -> BoolArray:
    """Which objects stay: from the surest on, each takes those away that are the same; of equally sure ones, the first.

    Args:
        shapes: valid, in any plane; points and lines stay.
        confidences: of each.
        categories: of each; objects of different ones are never compared.
        suppression: when two are the same.
    """
    pairs = _pairs(shapes, confidences, categories, suppression)
    return _judged(len(shapes), pairs)


class Future(NamedTuple):
    """Where objects may still come.

    Attributes:
        boxes: (n, 4) left, top, right, bottom in units of the whole map; infinite where there is no end.
    """

    boxes: FloatArray

    def touches(self, bounds: FloatArray) -> BoolArray:
        """Which of (m, 4) bounds reach there."""
        reached = np.zeros(len(bounds), bool)
        open_ended = ~np.isfinite(self.boxes).all(axis=1)
        for left, top, right, bottom in self.boxes[open_ended].tolist():
            reached |= (
                (bounds[:, 2] >= left) & (bounds[:, 0] <= right) & (bounds[:, 3] >= top) & (bounds[:, 1] <= bottom)
            )
        closed = self.boxes[~open_ended]
        if len(closed) and len(bounds):
            found = shapely.STRtree(_boxes(closed)).query(_boxes(bounds))[0]
            reached[found] = True
        return reached


class Held(NamedTuple):
    """An object: its feature, as results write it, and what is looked at."""

    text: bytes
    shape: shapely.Geometry
    confidence: float
    category: Any


class Crowd:
    """Objects held back until nothing to come can overlap them, nor those on which their fate hangs.

    Args:
        suppression: when two are the same.
        columns: tiles around the globe, where objects at both sides of the antimeridian meet; None in a plane.
    """

    def __init__(self, suppression: Suppression, columns: int | None = None) -> None:
        self._suppression = suppression
        self._width = columns * float(UNITS) if columns else None
        self._held: list[Held] = []
        self._looked = 0
        self.suppressed = 0
        """Objects taken away so far."""

    def add(self, found: list[Held]) -> None:
        self._held += found

    @property
    def grown(self) -> bool:
        """Whether it is time to look who may leave."""
        return len(self._held) - self._looked >= max(GROWN, self._looked // 4)

    def release(self, future: Future | None) -> list[Held]:
        """Those that stay and may leave, in the order in which they came.

        Args:
            future: where objects may still come; None for nowhere.
        """
        held = self._held
        if not held:
            return []
        shapes = np.array([each.shape for each in held], dtype=object)
        confidences = np.array([each.confidence for each in held])
        categories = [each.category for each in held]
        bounds = shapely.bounds(shapes)
        if self._width is not None:
            shapes = on_the_map(shapes, self._width)
            future = None if future is None else Future(everywhere(future.boxes, self._width, UNITS))
        pairs = _pairs(shapes, confidences, categories, self._suppression)
        waits = np.zeros(len(held), bool) if future is None else _spread(future.touches(bounds), pairs)
        stays = _judged(len(held), pairs)
        self.suppressed += int((~waits & ~stays).sum())
        self._held = [held[index] for index in np.flatnonzero(waits).tolist()]
        self._looked = len(self._held)
        return [held[index] for index in np.flatnonzero(~waits & stays).tolist()]


def _boxes(bounds: FloatArray) -> Shapes:
    return np.asarray(shapely.box(*bounds.T), dtype=object)


def _pairs(shapes: Shapes, confidences: FloatArray, categories: Sequence[Any], suppression: Suppression) -> Pairs:
    """(surer, less sure) places of objects that are the same, the surest first."""
    order = np.lexsort((np.arange(len(shapes)), -confidences))
    order = order[shapely.get_dimensions(shapes[order]) == 2]
    codes: dict[str, int] = {}
    kinds = np.array([codes.setdefault(repr(categories[index]), len(codes)) for index in order.tolist()])
    ranked = shapes[order]
    bounds, areas, boxes = shapely.bounds(ranked), shapely.area(ranked), are_boxes(ranked)
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for near in _neighbours(ranked):
        pair = _chosen(near, (near[0] < near[1]) & (kinds[near[0]] == kinds[near[1]]))
        one, other = bounds[pair[0]], bounds[pair[1]]
        width = np.minimum(one[:, 2], other[:, 2]) - np.maximum(one[:, 0], other[:, 0])
        height = np.minimum(one[:, 3], other[:, 3]) - np.maximum(one[:, 1], other[:, 1])
        # Of rectangles this is what they share; of others it is no less than that, which rules most of them out.
        shared = np.minimum(np.maximum(width, 0.0) * np.maximum(height, 0.0), areas[list(pair)].min(axis=0))
        alike = _alike(shared, areas[pair[0]], areas[pair[1]], suppression)
        pair, shared = _chosen(pair, alike), shared[alike]
        odd = ~(boxes[pair[0]] & boxes[pair[1]])
        if odd.any():
            shared[odd] = shapely.area(shapely.intersection(ranked[pair[0][odd]], ranked[pair[1][odd]]))
            pair = _chosen(pair, _alike(shared, areas[pair[0]], areas[pair[1]], suppression))
        found.append(pair)
    first, second = (np.concatenate(places) for places in zip(*found, strict=True))
    sorting = np.argsort(first, kind="stable")
    return order[first[sorting]], order[second[sorting]]


def _neighbours(shapes: Shapes) -> Iterator[Pairs]:
    """Places of objects whose bounds meet, some at a time."""
    tree = shapely.STRtree(shapes)
    start, count = 0, QUERIES // 16
    while start < len(shapes):
        first, second = tree.query(shapes[start : start + count])
        yield first + start, second
        start += count
        # A crowd has as many neighbours as it has members: the memory is what is kept level.
        count = max(16, min(QUERIES, count * 2 if len(first) < 64 * QUERIES else count // 2))


def _chosen(pairs: Pairs, which: BoolArray) -> Pairs:
    return pairs[0][which], pairs[1][which]


def _alike(shared: FloatArray, one: FloatArray, other: FloatArray, suppression: Suppression) -> BoolArray:
    whole = np.minimum(one, other) if suppression.measure == "ios" else one + other - shared
    return np.asarray((whole > 0) & (shared >= suppression.threshold * whole))


def _judged(count: int, pairs: Pairs) -> BoolArray:
    """Who stays. The surest come first, so that the fate of each is known when its turn comes."""
    gone = bytearray(count)
    for first, second in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True):
        if not gone[first]:
            gone[second] = 1
    return ~np.frombuffer(gone, bool)


def _spread(marked: BoolArray, pairs: Pairs) -> BoolArray:
    """Those marked, and all that hang on them, however many pairs away."""
    first, second = pairs
    while True:
        ends = marked[first] != marked[second]
        if not ends.any():
            return marked
        marked[first[ends]] = True
        marked[second[ends]] = True
