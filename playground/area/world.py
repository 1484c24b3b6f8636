"""The whole map as one image: where pieces of many tiles are put together and projected."""

from __future__ import annotations

import dataclasses
from typing import Any

import mercantile
import orjson
import shapely

from playground import geo
from playground.answers import Frame
from playground.area.parts import UNITS


@dataclasses.dataclass(frozen=True, slots=True)
class WorldFrame(Frame):
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


def geometry_of(shape: shapely.Geometry) -> dict[str, Any]:
    """The GeoJSON geometry of a shape."""
    geometry: dict[str, Any] = orjson.loads(shapely.to_geojson(shape))
    return geometry
