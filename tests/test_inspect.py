"""playground inspect: what a person learns of a source before a predictor is pointed at it."""

from __future__ import annotations

import json

import mercantile
import numpy as np
import pytest
from PIL import Image
from test_commands import playground
from tileserver import TileServer, cut_level, paths

from playground.sources.mbtiles import write_mbtiles

ZOOM = 3
NOISE = np.random.default_rng(5).integers(0, 255, (64, 64, 3), dtype=np.uint8)
SMOOTH = np.asarray(Image.fromarray(NOISE).resize((256 * 2**ZOOM,) * 2, Image.Resampling.BICUBIC))
"""Neighbouring rows are alike, as in imagery."""
PICTURES = dict(cut_level(SMOOTH, ZOOM))
METADATA = {"name": "world", "format": "png", "attribution": "© nobody", "minzoom": "3", "maxzoom": "3"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("inspect") / "world.mbtiles"
    write_mbtiles(path, METADATA, PICTURES.items())
    return str(path)


def test_what_a_source_holds(world):
    told = playground("inspect", world)
    assert told.returncode == 0, told.stderr
    for words in ("world", "256, 256", "png", "© nobody", "uint8"):
        assert words in told.stdout
    as_json = json.loads(playground("inspect", world, "--zoom", "3", "--at", "-3.7,40.4", "--json").stdout)
    assert (as_json["sample"], as_json["size"], as_json["minzoom"], as_json["warnings"]) == ("3/3/3", [256, 256], 3, [])


def test_the_picture_shows_the_sample_and_its_neighbours(world, tmp_path):
    path = tmp_path / "look.png"
    assert playground("inspect", world, "--at", "-3.7,85", "--picture", str(path)).returncode == 0
    drawn = np.asarray(Image.open(path))
    assert drawn.shape == (768, 768, 3)
    assert (drawn[:256] == 128).all(), "beyond the northern edge there is nothing"
    assert np.array_equal(drawn[256:], SMOOTH[:512, 2 * 256 : 5 * 256])


def test_a_picture_of_an_unknown_kind(world, tmp_path):
    told = playground("inspect", world, "--picture", str(tmp_path / "look.what"))
    assert told.returncode == 2
    assert "look.what: unknown file extension" in told.stderr


def test_a_zoom_that_is_not_there(world):
    told = playground("inspect", world, "--zoom", "9")
    assert told.returncode == 1
    assert "no tiles at zoom 9: the source says 3 to 3" in told.stderr


def test_rows_that_count_from_the_south():
    flipped = {mercantile.Tile(tile.x, 2**ZOOM - 1 - tile.y, tile.z): data for tile, data in PICTURES.items()}
    for tiles, warned in ((PICTURES, False), (flipped, True)):
        with TileServer(paths(tiles.items())) as server:
            told = playground("inspect", server.address + "/{z}/{x}/{y}", "--zoom", str(ZOOM))
            assert ("count from the south" in told.stderr) is warned, told.stderr
            assert told.returncode == int(warned)


def test_a_wrong_address():
    with TileServer({}) as server:
        told = playground("inspect", server.address + "/{z}/{x}/{y}", "--zoom", "3")
    assert told.returncode == 1
    assert "is this the right address and zoom?" in told.stderr


def test_no_source():
    told = playground("inspect", "ftp://nowhere")
    assert told.returncode == 1
    assert "names no tile source" in told.stderr
