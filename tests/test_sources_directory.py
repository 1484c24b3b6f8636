"""Folders of tiles: layouts, row orders, and what they say when they are wrong."""

from __future__ import annotations

import io
from pathlib import Path

import mercantile
import numpy as np
import pytest
from PIL import Image

from playground import geo
from playground.errors import SourceSettingsError, TileNotFoundError
from playground.sources import open_source
from playground.tiles import TileEngine

TMS = """<?xml version="1.0" encoding="utf-8"?>
<TileMap version="1.0.0" tilemapservice="http://tms.osgeo.org/1.0.0">
  <Title>world</Title><SRS>EPSG:3857</SRS>
  <TileSets profile="mercator"><TileSet href="2" units-per-pixel="39135.75" order="2"/></TileSets>
</TileMap>"""


def picture(kind: str = "png", grey: int = 1, size: int = 16) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (size, size), (grey, grey, grey)).save(out, kind)
    return out.getvalue()


def put(root: Path, name: str, data: bytes | None = None) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(grey=len(name)) if data is None else data)
    return path


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_folder_is_named_with_or_without_a_slash(tmp_path: Path, ending: str) -> None:
    put(tmp_path, "2/3/1.png")
    source = open_source(f"{tmp_path}{ending}")
    assert source.fetch(mercantile.Tile(3, 1, 2)) == picture(grey=9)
    assert source.url(mercantile.Tile(3, 1, 2)) == f"directory://{tmp_path.name}/2/3/1"


def test_files_of_several_kinds_lie_side_by_side(tmp_path: Path) -> None:
    for x, ending in enumerate(("png", "jpg", "jpeg", "webp")):
        put(tmp_path, f"2/{x}/1.{ending}", picture("jpeg" if ending == "jpg" else ending, grey=40 * x, size=256))
    put(tmp_path, "2/readme.txt", b"hello")
    engine = TileEngine(open_source(str(tmp_path)), padding=8)
    for x in range(4):
        array = engine.get(mercantile.Tile(x, 1, 2)).array()
        assert abs(int(array[128, 128, 0]) - 40 * x) <= 1
        assert abs(int(array[128, 0, 0]) - 40 * ((x - 1) % 4)) <= 1
    engine.close()


def test_rows_count_from_the_south_where_the_folder_says_so(tmp_path: Path) -> None:
    put(tmp_path, "2/3/0.png", picture(grey=50))
    put(tmp_path, "tilemapresource.xml", TMS.encode())
    source = open_source(str(tmp_path))
    assert source.fetch(mercantile.Tile(3, 3, 2)) == picture(grey=50)
    assert source.info().bounds == pytest.approx(geo.bounds(mercantile.Tile(3, 3, 2)))
    assert open_source(f"{tmp_path}/{{z}}/{{x}}/{{-y}}.png").info() == source.info()
    with pytest.raises(TileNotFoundError):
        source.fetch(mercantile.Tile(3, 0, 2))
    # A template is followed to the letter.
    assert open_source(f"{tmp_path}/{{z}}/{{x}}/{{y}}.png").fetch(mercantile.Tile(3, 0, 2)) == picture(grey=50)


def test_other_layouts_are_named_by_templates(tmp_path: Path) -> None:
    put(tmp_path, "sea_z2/r1_c3.jpg", picture("jpeg", grey=50))
    put(tmp_path, "quad/13.png", picture(grey=60))
    tile = mercantile.Tile(3, 1, 2)
    assert open_source(f"{tmp_path}/sea_z{{z}}/r{{y}}_c{{x}}.jpg").fetch(tile) == picture("jpeg", grey=50)
    assert open_source(f"{tmp_path}/quad/{{q}}.png").fetch(tile) == picture(grey=60)


def test_relative_templates_start_where_the_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "2/3/1.png")
    monkeypatch.chdir(tmp_path)
    for text in ("{z}/{x}/{y}.png", "./{z}/{x}/{y}.png", "."):
        assert open_source(text).fetch(mercantile.Tile(3, 1, 2)) == picture(grey=9)


def test_bounds_are_those_of_the_deepest_zoom(tmp_path: Path) -> None:
    for name in ("1/0/0.png", "2/0/1.png", "2/1/1.jpg", "2/1/0.png"):
        put(tmp_path, name)
    info = open_source(str(tmp_path)).info()
    assert (info.name, info.minzoom, info.maxzoom, info.format) == (tmp_path.name, 1, 2, "png")
    assert info.bounds == pytest.approx((-180, 0, 0, geo.MAX_LATITUDE))


def test_an_empty_file_is_no_imagery(tmp_path: Path) -> None:
    put(tmp_path, "2/3/1.png", b"")
    with pytest.raises(TileNotFoundError, match="2/3/1"):
        open_source(str(tmp_path)).fetch(mercantile.Tile(3, 1, 2))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{z}/{x}", "does not name a tile"),
        ("{z}/{x}/{y}{r}.png", r"\{r\} is not known"),
        ("no/{z}/{x}/{y}", "no folder"),
    ],
)
def test_templates_that_cannot_be(tmp_path: Path, template: str, message: str) -> None:
    with pytest.raises(SourceSettingsError, match=message):
        open_source(f"{tmp_path}/{template}")


def test_a_folder_without_tiles_says_what_tiles_are(tmp_path: Path) -> None:
    with pytest.raises(SourceSettingsError, match="holds no tiles") as caught:
        open_source(str(tmp_path))
    assert "{z}/{x}/{y}" in caught.value.hint


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (TMS.replace("mercator", "geodetic"), "geodetic, not mercator"),
        (TMS[:80], "cannot be read"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "cannot be read"),
    ],
)
def test_a_description_that_cannot_be_followed_is_told(tmp_path: Path, xml: str, message: str) -> None:
    put(tmp_path, "2/3/1.png")
    put(tmp_path, "tilemapresource.xml", xml.encode())
    with pytest.raises(SourceSettingsError, match=message):
        open_source(str(tmp_path))


def test_noise_goes_through_unchanged(tmp_path: Path) -> None:
    data = np.random.default_rng(3).bytes(1000)
    put(tmp_path, "0/0/0.webp", data)
    assert open_source(str(tmp_path)).fetch(mercantile.Tile(0, 0, 0)) == data
