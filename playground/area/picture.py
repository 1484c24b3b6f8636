"""An overview of an area: its imagery, what was found on it, and a legend; drawn while objects come, in flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import shapely
from PIL import Image

from playground.area import page
from playground.area.aoi import Area
from playground.area.backdrop import backdrop
from playground.area.cover import Shapes, clipped_to
from playground.area.page import PAPER, Words
from playground.area.view import TileGrid, View, winding
from playground.errors import RunError
from playground.sources import TileSource

MOST = 2048
"""Pixels along the longer side."""
TILE_MOST = 512
"""Pixels of a tile: more would show nothing new."""
FINE = 2
"""Objects are drawn so much finer, and averaged: smooth edges."""
DOT = 2.0
"""Pixels: the radius of a point, and of what would be smaller; it can be seen."""
FILL, OUTLINE = 0.30, 0.95
GRID = 0.08
"""What tile edges are lightened by, where tiles are large enough to be seen."""
GRID_LEAST = 48
DIM = 0.45
"""What is left of the light where nothing was asked for."""
CLASSES = 120
"""Categories told apart; the others share the last colour."""
OTHERS = "others"
HATCH = 12
"""Pixels from stripe to stripe."""
ASKED, MISSING, FAILED = 1, 2, 3
"""Numbers of tiles, the worst last."""
HOLES = {"missing": MISSING, "failed": FAILED}
HOLE_COLOURS = {"missing": (146, 163, 184), "failed": (255, 92, 92)}
BAND = 128
"""Rows blended at once."""
TOGETHER = 500
"""Features drawn at once: a few cost as much, if they are far apart."""
EDGE = 16.0
"""Fine pixels beyond the view that large objects are cut at."""

Labels = npt.NDArray[np.uint8]


class Picture:
    """An overview. Say which tiles there are in ``tiles``, write features as they come, then save it.

    Args:
        view: what is shown.
        most: pixels along the longer side of the whole page.
    """

    def __init__(self, view: View, most: int = MOST) -> None:
        self.view = view
        self.tiles = TileGrid(view)
        room = most - page.HEAD - page.FOOT_MOST
        self._a_tile = min(TILE_MOST, most / view.columns, room / view.rows)
        height, width = view.shape(self._a_tile)
        # 0 nothing; 1 to CLASSES inside; CLASSES more on the outline. The greater wins, whatever the order.
        self._labels = np.zeros((height * FINE, width * FINE), np.uint8)
        self._names: dict[str, int] = {}
        self._waiting: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        """Objects seen, by category."""

    @staticmethod
    def of_area(area: Area, zoom: int, most: int = MOST) -> Picture:
        """An empty overview of an area's tiles."""
        picture = Picture(View.around(area.bands(zoom), zoom), most)
        for band in area.bands(zoom):
            picture.tiles.mark(band, ASKED)
        return picture

    def mark_holes(self, holes: Iterable[tuple[int, int, str]]) -> Counter[str]:
        """Hatch tiles that gave nothing, (x, y, missing or failed); how many of each there are."""
        counts: Counter[str] = Counter()
        rows = iter(holes)
        while some := list(islice(rows, 10_000)):
            for fate, number in HOLES.items():
                places = [(x, y) for x, y, became in some if became == fate]
                counts[fate] += len(places)
                self.tiles.mark(np.array(places, np.int64).reshape(-1, 2), number)
        return counts

    def write(self, features: Iterable[dict[str, Any]]) -> None:
        """Draw features in degrees; their ``category`` will choose the colour."""
        self._waiting += [feature for feature in features if feature.get("geometry") is not None]
        if len(self._waiting) >= TOGETHER:
            self._draw_waiting()

    def _draw_waiting(self) -> None:
        chosen, self._waiting = self._waiting, []
        if not chosen:
            return
        texts = [orjson.dumps(feature["geometry"], option=orjson.OPT_SERIALIZE_NUMPY) for feature in chosen]
        fine = FINE * self._a_tile
        shapes, owners = self.view.seen(np.asarray(shapely.from_geojson(texts), dtype=object), fine)
        names = [str((chosen[owner].get("properties") or {}).get("category", "")) for owner in owners.tolist()]
        self.counts.update(dict(zip(owners.tolist(), names, strict=True)).values())
        numbers = np.array([self._number(name) for name in names], np.uint8)
        bounds = shapely.bounds(shapes)
        large = ((bounds[:, 2:] - bounds[:, :2]) > 2 * DOT * FINE).any(axis=1)
        self._dots((bounds[~large, :2] + bounds[~large, 2:]) / 2, numbers[~large])
        for number in np.unique(numbers[large]):
            self._draw(shapes[large & (numbers == number)], int(number))

    def _number(self, name: str) -> int:
        if name not in self._names and len(self._names) >= CLASSES - 1:
            return CLASSES
        return self._names.setdefault(name, len(self._names) + 1)

    def _dots(self, middles: npt.NDArray[np.float64], numbers: Labels) -> None:
        reach = int(DOT * FINE)
        dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        round_ = np.hypot(dx, dy) <= DOT * FINE
        x, y = np.floor(middles).astype(np.intp).T
        x, y = x[:, None] + dx[round_], y[:, None] + dy[round_]
        self._raise(x.ravel(), y.ravel(), np.repeat(numbers + CLASSES, round_.sum()))

    def _raise(self, x: npt.NDArray[np.intp], y: npt.NDArray[np.intp], labels: Labels) -> None:
        height, width = self._labels.shape
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        np.maximum.at(self._labels, (y[inside], x[inside]), labels[inside])

    def _draw(self, shapes: Shapes, number: int) -> None:
        """Large shapes of one category, in fine pixels."""
        height, width = self._labels.shape
        shapes = clipped_to(shapes, -EDGE, -EDGE, width + EDGE, height + EDGE)
        shapes = shapes[~shapely.is_empty(shapes)]
        if not len(shapes):
            return
        west, north, _, _ = np.maximum(np.floor(shapely.bounds(shapes).min(axis=0)), 0).astype(int)
        _, _, east, south = np.ceil(shapely.bounds(shapes).max(axis=0)).astype(int)
        labels = self._labels[north:south, west:east]
        if labels.size:
            parts = shapely.get_parts(shapely.get_parts(shapes))
            areal = shapely.transform(parts[shapely.get_type_id(parts) == 3], lambda xy: xy - (west, north))
            inside = winding(areal, np.ones(len(areal), np.int16), labels.shape) > 0
            np.maximum(labels, np.uint8(number), out=labels, where=inside)
        lines = shapely.segmentize(
            np.concatenate(
                [
                    shapely.boundary(shapes[shapely.get_dimensions(shapes) == 2]),
                    shapes[shapely.get_dimensions(shapes) < 2],
                ]
            ),
            0.75,
        )
        x, y = np.floor(shapely.get_coordinates(lines)).astype(np.intp).T
        self._raise(x, y, np.full(len(x), number + CLASSES, np.uint8))

    def save(self, path: Path, words: Words, source: TileSource | None = None) -> None:
        """Write the PNG.

        Args:
            words: what stands on it.
            source: of the imagery; None for none.

        Raises:
            RunError: it cannot be written.
        """
        self._draw_waiting()
        height, width = self._labels.shape[0] // FINE, self._labels.shape[1] // FINE
        empty = Image.new("RGB", (width, height), PAPER)
        canvas = np.array(empty if source is None else backdrop(source, self.view, (width, height), PAPER))
        self._mark_tiles(canvas)
        names = sorted(self._names)
        colours = {name: page.colour_of(place) for place, name in enumerate(names)}
        self._blend(canvas, colours)
        legend = [page.Key(name or "?", colours[name], f"{self.counts[name]:,}") for name in names]
        rest = sum(self.counts.values()) - sum(self.counts[name] for name in names)
        if rest:
            legend.append(page.Key(OTHERS, page.colour_of(CLASSES), f"{rest:,}"))
        legend += [
            page.Key(f"{fate} tiles", HOLE_COLOURS[fate], f"{count:,}", hatched=True)
            for fate, count in words.holes.items()
            if count
        ]
        drawn = page.compose(Image.fromarray(canvas), words, legend, page.scale_bar(self.view, self._a_tile))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn.save(path, "PNG")
        except OSError as error:
            raise RunError(
                f"the picture {path} cannot be written: {error.strerror or error}", "name another"
            ) from error

    def _mark_tiles(self, canvas: Labels) -> None:
        """Dim what was not asked for, hatch what gave nothing, and hint at the tiles."""
        height, width, _ = canvas.shape
        numbers = self.tiles.pixels((height, width))
        canvas[numbers == 0] = (canvas[numbers == 0] * DIM).astype(np.uint8)
        y, x = np.ogrid[:height, :width]
        stripes = (x + y) % HATCH < HATCH // 3
        for fate, number in HOLES.items():
            canvas[stripes & (numbers == number)] = HOLE_COLOURS[fate]
        if self._a_tile >= GRID_LEAST:
            for axis, tiles in ((0, self.view.rows), (1, self.view.columns)):
                lines = np.swapaxes(canvas, 0, axis)
                at = np.round(np.arange(1, tiles) * lines.shape[0] / tiles).astype(int)
                lines[at] += (GRID * (255 - lines[at])).astype(np.uint8)

    def _blend(self, canvas: Labels, colours: dict[str, page.Colour]) -> None:
        """Lay the objects over the imagery, a band of rows at a time."""
        table = np.zeros((2 * CLASSES + 1, 4), np.float32)  # red, green and blue times opacity, and opacity
        numbers = {**{self._names[name]: colour for name, colour in colours.items()}}
        numbers.setdefault(CLASSES, page.colour_of(CLASSES))
        for number, colour in numbers.items():
            for label, opacity in ((number, FILL), (number + CLASSES, OUTLINE)):
                table[label] = (*(opacity * value for value in colour), opacity)
        for top in range(0, canvas.shape[0], BAND):
            band = canvas[top : top + BAND]
            fine = self._labels[top * FINE : top * FINE + len(band) * FINE]
            over = table[fine].reshape(len(band), FINE, -1, FINE, 4).mean(axis=(1, 3))
            band[:] = np.rint(band * (1 - over[..., 3:]) + over[..., :3]).astype(np.uint8)
