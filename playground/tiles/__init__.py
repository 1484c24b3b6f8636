"""Padded tiles: fetched together, shared, decoded no further than needed, joined.

``engine`` fetches and shares, ``assembly`` decodes and joins, ``parts`` decodes the part of a JPEG that padding
touches, ``walk`` goes over areas, ``image`` is what comes out.
"""

from playground.tiles.engine import EngineStats, TileEngine
from playground.tiles.image import TileImage
from playground.tiles.walk import Walked, walking_order

__all__ = ["EngineStats", "TileEngine", "TileImage", "Walked", "walking_order"]
