"""Tiles of 512 pixels ({r}, "@2x"), and addresses where no tile is ever found."""

from __future__ import annotations

import mercantile
import numpy as np
import pytest
from tileserver import TileServer, cut_level, level_picture

from playground import imagery
from playground.errors import SourceSettingsError, TileNotFoundError
from playground.sources import open_source
from playground.tiles import TileEngine

LEVEL = level_picture(2, 512)
TILES = {f"/{tile.z}/{tile.x}/{tile.y}@2x": data for tile, data in cut_level(LEVEL, 2)}


def test_the_template_says_what_r_is() -> None:
    tile = mercantile.Tile(3, 1, 2)
    assert open_source("https://a.example/{z}/{x}/{y}{r}.png").url(tile) == "https://a.example/2/3/1.png"
    assert open_source("https://a.example/{z}/{x}/{y}{r}.png#@2x").url(tile) == "https://a.example/2/3/1@2x.png"
    with pytest.raises(SourceSettingsError, match=r"no \{r\} that could be @2x"):
        open_source("https://a.example/{z}/{x}/{y}.png#@2x")


@pytest.mark.parametrize("padding", [0, 24, 256])
def test_tiles_of_512_pixels_are_padded_by_their_own_pixels(padding: int) -> None:
    with TileServer(TILES) as server:
        engine = TileEngine(open_source(server.template + "{r}#@2x"), padding)
        image = engine.get(mercantile.Tile(1, 1, 2))
        assert image.size == 512
        around = slice(512 - padding, 1024 + padding)
        assert np.array_equal(image.array(), LEVEL[around, around])
        engine.close()


def test_neighbours_of_256_pixels_are_fitted_to_a_tile_of_512() -> None:
    flat = imagery.encode_png(np.full((256, 256, 3), 77, np.uint8))
    with TileServer({**TILES, "/2/2/1@2x": flat}) as server:
        engine = TileEngine(open_source(server.template + "{r}#@2x"), 24)
        array = engine.get(mercantile.Tile(1, 1, 2)).array()
        assert (array[24:-24, -24:] == 77).all()
        engine.close()


def test_a_404_says_whether_any_tile_was_ever_found() -> None:
    with TileServer(TILES) as server:
        engine = TileEngine(open_source(server.template + "{r}#@2x"))
        with pytest.raises(TileNotFoundError) as caught:
            engine.get(mercantile.Tile(0, 0, 9))
        assert "no tile was found yet: is this the right URL" in caught.value.hint
        engine.get(mercantile.Tile(1, 1, 2))
        with pytest.raises(TileNotFoundError) as caught:
            engine.get(mercantile.Tile(0, 0, 9))
        assert "right URL" not in caught.value.hint
        engine.close()
