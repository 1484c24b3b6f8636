"""Padded tiles: fetched together, shared, decoded no further than needed, joined.

``engine`` is the front door, ``encoded`` fetches and shares, ``image`` is what comes out. For one tile ``assembly``
decodes nine and joins them, for many ``columns`` has them decoded into strips (``strips``, ``strip``); ``parts``
decodes the part of a JPEG that padding touches, ``walk`` goes over areas.
"""

from playground.tiles.engine import EngineStats, TileEngine
from playground.tiles.image import TileImage
from playground.tiles.walk import Walked, walking_order

__all__ = ["EngineStats", "TileEngine", "TileImage", "Walked", "walking_order"]
