"""Engines over small maps whose every level is known as one picture."""

from __future__ import annotations

import functools

import mercantile
import numpy as np
from tileserver import TileServer, cut_level, level_picture

from playground.fetching.policy import FetchPolicy
from playground.sources.xyz import XYZSource
from playground.tiles import TileEngine

SIZE = 16


def engine(server: TileServer, padding: int = 0, **options: object) -> TileEngine:
    source = XYZSource(server.template, FetchPolicy(attempts=2, backoff_seconds=0.001))
    return TileEngine(source, padding, **options)  # type: ignore[arg-type]


@functools.cache
def pyramid(zoom: int) -> tuple[np.ndarray, dict[mercantile.Tile, bytes]]:
    level = level_picture(zoom, SIZE)
    return level, dict(cut_level(level, zoom))


def expected(level: np.ndarray, tile: mercantile.Tile, padding: int, mode: str = "symmetric") -> np.ndarray:
    """The padded tile, cut from the whole level: wrapped in x, padded beyond the top and bottom."""
    whole = np.pad(level, ((0, 0), (padding, padding), (0, 0)), mode="wrap")
    whole = np.pad(whole, ((padding, padding), (0, 0), (0, 0)), mode=mode)  # type: ignore[call-overload]
    side = SIZE + 2 * padding
    return whole[tile.y * SIZE : tile.y * SIZE + side, tile.x * SIZE : tile.x * SIZE + side]
