"""The whole map as one image: where pieces of many tiles are put together and projected."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import mercantile
import numpy as np
import orjson
import shapely

from playground import answers, geo
from playground.area.parts import UNITS, Shapes

PLAIN = {"category": "object", "confidence": 1.0}
"""Stands for an object's properties while it is projected: they were read when its tile was."""


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


def features_of(found: list[tuple[str, shapely.Geometry, dict[str, Any]]], zoom: int) -> list[dict[str, Any]]:
    """Features in degrees of (id, shape in units of the whole map, properties)."""
    geometries = _geometries(np.array([shape for _, shape, _ in found], dtype=object))
    features = [
        {"type": "Feature", "id": name, "geometry": geometry, "properties": PLAIN}
        for (name, _, _), geometry in zip(found, geometries, strict=True)
    ]
    made = answers.normalize(features, WorldFrame.of(zoom)).features()
    told = {name: properties for name, _, properties in found}
    for feature in made:
        properties = feature["properties"] = told[feature["id"]]
        properties.setdefault("confidence_max", properties["confidence"])
    return made


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
