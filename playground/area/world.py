"""The whole map as one image: where pieces of many tiles are put together and projected."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import mercantile
import numpy as np
import numpy.typing as npt
import orjson
import shapely

from playground import answers, geo

UNITS = 51_200
"""Along a tile's side: two hundred a pixel of 256-pixel tiles, a hundred of 512. Pixels come with two decimals."""
Shapes = npt.NDArray[np.object_]

PLAIN = {"category": "object", "confidence": 1.0}
"""Stands for an object's properties while it is projected: they were read when its tile was."""
BEFORE = b'{"type":"Feature","geometry":'
"""What stands before a geometry."""


@dataclasses.dataclass(frozen=True, slots=True)
class WorldFrame(answers.Frame):
    """The map at a zoom as one tile without padding, written with that zoom's decimals.

    Args:
        zoom: of the tiles that it is made of.
    """

    zoom: int = 0

    @property
    def decimals(self) -> int:
        return geo.coordinate_decimals(self.zoom)

    @staticmethod
    def of(zoom: int) -> WorldFrame:
        """The map of tiles of ``UNITS`` to a side: units are its pixels."""
        return WorldFrame(mercantile.Tile(0, 0, 0), UNITS * 2**zoom, 0, zoom)


def geometry_texts_of(shapes: Shapes, zoom: int) -> list[bytes | None]:
    """GeoJSON geometries in degrees of shapes in units of the whole map; None of those of which nothing is left."""
    features = [
        {"type": "Feature", "id": place, "geometry": geometry, "properties": PLAIN}
        for place, geometry in enumerate(_geometries(shapes))
    ]
    texts: list[bytes | None] = [None] * len(features)
    for text in answers.normalize(features, WorldFrame.of(zoom)).texts:
        head, _, place = text.rpartition(b',"id":')
        texts[int(place[:-1])] = head[len(BEFORE) : head.rindex(b',"properties":')]
    return texts


def shapes_of(geometries: Sequence[bytes], zoom: int) -> Shapes:
    """Shapes in units of the whole map, to the next whole one, of GeoJSON geometries in degrees."""
    shapes = np.asarray(shapely.from_geojson(geometries), dtype=object)
    frame = WorldFrame.of(zoom)
    assert frame.tile is not None

    def to_units(lnglat: geo.FloatArray) -> geo.FloatArray:
        u, v = geo.pixel_of_lnglat(frame.tile, lnglat[:, 0], lnglat[:, 1], frame.tile_size, 0)
        return np.column_stack((np.round(u), np.round(v)))

    return np.asarray(shapely.transform(shapes, to_units), dtype=object)


def _geometries(shapes: Shapes) -> list[dict[str, Any]]:
    """GeoJSON geometries; of polygons, which most objects are, without the way over text."""
    single = np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON)
    geometries: list[dict[str, Any]] = [{}] * len(shapes)
    if len(single):
        _, coords, (rings, polygons) = shapely.to_ragged_array(shapes[single])
        positions = coords.tolist()
        ends = rings.tolist()
        paths = [positions[start:end] for start, end in pairwise(ends)]
        firsts = polygons.tolist()
        for index, (start, end) in zip(single.tolist(), pairwise(firsts), strict=True):
            geometries[index] = {"type": "Polygon", "coordinates": paths[start:end]}
    others = [index for index, geometry in enumerate(geometries) if not geometry]
    for index, text in zip(others, shapely.to_geojson(shapes[others]).tolist(), strict=True):
        geometries[index] = orjson.loads(text)
    return geometries
