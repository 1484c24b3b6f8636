"""The answers of an area's tiles as one, with nothing twice and nothing lost in silence."""

from __future__ import annotations

import collections
from typing import Any

import mercantile
import numpy as np
import numpy.typing as npt
import orjson
import shapely

from playground import geo
from playground.errors import PlaygroundError, RequestAbandonedError, TileNotFoundError
from playground.serving.area_tiles import Found
from playground.serving.areas import AskedArea
from playground.serving.errors import status_of

SAME = 0.5
"""Of their union, what two features of two tiles share when they are one object."""

Feature = dict[str, Any]


class Join:
    """Takes the tiles in, one after the other, and gives out what is the area's.

    A feature belongs to the tile whose core, its western and northern edges included, holds the feature's
    representative point. One whose tile is not asked for stays if it touches the area.

    Args:
        area: what is asked for.
        padding: of the tiles; without any, a feature belongs to the tile that shows it.
    """

    def __init__(self, area: AskedArea, padding: int) -> None:
        self._area = area
        self._padding = padding
        self._asked = np.array([_key(area.zoom, tile.x, tile.y) for tile in area.tiles])
        self._strangers: list[tuple[mercantile.Tile, object, shapely.Geometry]] = []
        self._sums = collections.Counter[str]()
        self._repairs = collections.Counter[str]()
        self._dropped = collections.Counter[str]()
        self._missing: list[str] = []
        self._missing_neighbours: list[str] = []
        self._warnings: dict[str, None] = {}
        self._errors: list[tuple[str, PlaygroundError]] = []

    @property
    def answered(self) -> int:
        """Tiles that were predicted."""
        return self._sums["ok"] + self._sums["empty"]

    @property
    def failed(self) -> bool:
        """Whether there is a tile without an answer that should have one."""
        return bool(self._errors)

    def add(self, tile: mercantile.Tile, found: Found) -> list[Feature]:
        """The features of the answer that this tile adds.

        Raises:
            RequestAbandonedError: nobody waits for the answer.
        """
        name = f"{tile.z}/{tile.x}/{tile.y}"
        if isinstance(found, RequestAbandonedError):
            raise found
        if isinstance(found, TileNotFoundError):
            self._missing.append(name)
            return []
        if isinstance(found, PlaygroundError):
            self._errors.append((name, found))
            return []
        report = found.report
        self._sums["ok" if report["features_out"] else "empty"] += 1
        self._sums["in"] += report["features_in"]
        self._repairs.update(report["repairs"])
        self._dropped.update(report["dropped"])
        self._warnings.update(dict.fromkeys(report.get("warnings", ())))
        self._missing_neighbours += [f"{name} {side}" for side in report.get("missing_neighbours", ())]
        features: list[Feature] = found.answer.features()
        kept = [feature for feature, keep in zip(features, self._choose(tile, features), strict=True) if keep]
        self._sums["out"] += len(kept)
        return kept

    def _choose(self, tile: mercantile.Tile, features: list[Feature]) -> list[bool]:
        """Which features of a tile are the answer's."""
        if not features:
            return []
        option = orjson.OPT_SERIALIZE_NUMPY
        shapes = shapely.from_geojson([orjson.dumps(feature["geometry"], option=option) for feature in features])
        owners = self._owners(shapes)
        here = owners == _key(tile.z, tile.x, tile.y) if self._padding else np.ones(len(features), bool)
        elsewhere = ~here & np.isin(owners, self._asked)
        touching = self._area.touches(shapes)
        self._dropped["in_neighbour"] += int(elsewhere.sum())
        self._dropped["outside_area"] += int((~elsewhere & ~touching).sum())
        keep: list[bool] = (here & touching).tolist()
        for index in np.flatnonzero(~here & ~elsewhere & touching).tolist():
            keep[index] = self._is_new(tile, features[index]["properties"].get("category"), shapes[index])
            self._dropped["duplicate"] += not keep[index]
        return keep

    def _owners(self, shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
        """The tile that holds the representative point of each."""
        zoom = self._area.zoom
        points = shapely.point_on_surface(shapes)
        u, v = geo.pixel_of_lnglat(mercantile.Tile(0, 0, zoom), shapely.get_x(points), shapely.get_y(points), 1, 0)
        columns, rows = np.floor(u).astype(np.int64) % 2**zoom, np.floor(v).astype(np.int64)
        owners: npt.NDArray[np.int64] = _key(zoom, columns, np.clip(rows, 0, 2**zoom - 1))
        return owners

    def _is_new(self, tile: mercantile.Tile, category: object, shape: shapely.Geometry) -> bool:
        """Whether no other tile has shown this feature, whose own tile is not asked for."""
        pixel = 360.0 / 2**self._area.zoom / 256
        for other, kind, known in self._strangers:
            if other == tile or kind != category or shapely.distance(shape, known) > pixel:
                continue
            union = shapely.union(shape, known).area
            if not union or shapely.intersection(shape, known).area > SAME * union:
                return False
        self._strangers.append((tile, category, shape))
        return True

    def report(self) -> dict[str, Any]:
        """The audit of all tiles: asked = ok + empty + missing + failed; features in = out + dropped."""
        report: dict[str, Any] = {
            "features_in": self._sums["in"],
            "features_out": self._sums["out"],
            "repairs": dict(self._repairs),
            "dropped": {kind: count for kind, count in self._dropped.items() if count},
            "tiles": {
                "asked": len(self._area.tiles),
                "ok": self._sums["ok"],
                "empty": self._sums["empty"],
                "missing": len(self._missing),
                "failed": len(self._errors),
                "missing_tiles": self._missing,
                "errors": [
                    {"tile": name, "status": status_of(error), "message": error.message, "hint": error.hint}
                    for name, error in self._errors
                ],
            },
        }
        if self._missing_neighbours:
            report["missing_neighbours"] = self._missing_neighbours
        if self._warnings:
            report["warnings"] = list(self._warnings)
        return report

    def check(self) -> None:
        """Fail as the first tile did, if there is no answer at all.

        Raises:
            PlaygroundError: no tile could be predicted.
        """
        if self.answered:
            return
        if self._errors:
            raise self._errors[0][1]
        raise TileNotFoundError("there is no imagery in this area", "ask for another one")


def _key(zoom: int, columns: Any, rows: Any) -> Any:
    """One number for each tile of a zoom."""
    return columns * 2**zoom + rows
