"""The whole map as one image: where pieces of many tiles are put together and projected."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import mercantile
import numpy as np
import numpy.typing as npt
import shapely

from playground import answers, geo

UNITS = 51_200
"""Along a tile's side: two hundred a pixel of 256-pixel tiles, a hundred of 512. Pixels come with two decimals."""
Shapes = npt.NDArray[np.object_]


@dataclasses.dataclass(frozen=True, slots=True)
class WorldFrame(answers.Frame):
    """The map at a zoom as one tile without padding, written with that zoom's decimals.

    Args:
        zoom: of the tiles that it is made of.
        step: units between the lines of a grid on which valid polygons may lie; 0 for none.
    """

    zoom: int = 0
    step: float = 0.0

    @property
    def decimals(self) -> int:
        return geo.coordinate_decimals(self.zoom)

    @property
    def grid(self) -> float:
        return self.step

    @staticmethod
    def of(zoom: int, step: float = 0.0) -> WorldFrame:
        """The map of tiles of ``UNITS`` to a side: units are its pixels."""
        return WorldFrame(mercantile.Tile(0, 0, 0), UNITS * 2**zoom, 0, zoom, step)


def shapes_of(geometries: Sequence[bytes], zoom: int) -> Shapes:
    """Shapes in units of the whole map, to the next whole one, of GeoJSON geometries in degrees."""
    shapes = np.asarray(shapely.from_geojson(geometries), dtype=object)
    frame = WorldFrame.of(zoom)
    assert frame.tile is not None

    def to_units(lnglat: geo.FloatArray) -> geo.FloatArray:
        u, v = geo.pixel_of_lnglat(frame.tile, lnglat[:, 0], lnglat[:, 1], frame.tile_size, 0)
        return np.column_stack((np.round(u), np.round(v)))

    return np.asarray(shapely.transform(shapes, to_units), dtype=object)
