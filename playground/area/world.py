"""The whole map as one image: where pieces of many tiles are put together and projected."""

from __future__ import annotations

import dataclasses
from typing import Any

import mercantile
import numpy as np
import orjson
import shapely

from playground import answers, geo
from playground.area.parts import UNITS


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
    texts = shapely.to_geojson(np.array([shape for _, shape, _ in found], dtype=object)).tolist()
    features = [
        {"type": "Feature", "id": name, "geometry": orjson.loads(text), "properties": properties}
        for (name, _, properties), text in zip(found, texts, strict=True)
    ]
    made = answers.normalize(features, WorldFrame.of(zoom)).features()
    for feature in made:
        feature["properties"].setdefault("confidence_max", feature["properties"]["confidence"])
    return made
