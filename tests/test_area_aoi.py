"""Areas as people give them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import mercantile
import pytest
import shapely
from shapely.geometry import mapping

from playground.area import aoi
from playground.area.aoi import parse_area, read_area
from playground.errors import AreaError
from playground.sources.base import SourceInfo

RING = shapely.Polygon(shapely.box(0, 0, 4, 4).exterior, [shapely.box(1.5, 1.5, 2.5, 2.5).exterior])


def feature(geometry: shapely.Geometry) -> dict[str, object]:
    return {"type": "Feature", "properties": {}, "geometry": mapping(geometry)}


@pytest.mark.parametrize(
    "content",
    [
        mapping(RING),
        feature(RING),
        {"type": "FeatureCollection", "features": [feature(RING), {"type": "Feature", "geometry": None}]},
        {"type": "GeometryCollection", "geometries": [mapping(RING)]},
    ],
    ids=["geometry", "feature", "collection", "geometries"],
)
def test_geojson_of_every_kind_is_one_area(content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps(content))
    tiles = list(read_area(str(path)).cover(10))
    assert mercantile.tile(2, 2, 10) not in tiles
    assert mercantile.tile(1, 1, 10) in tiles
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(content)))
    assert list(read_area("-").cover(10)) == tiles
    assert list(parse_area(f"\x1e{json.dumps(content)}\n\x1e{json.dumps(content)}\n", "seq").cover(10)) == tiles


def test_lists_of_tiles_come_in_order_and_once() -> None:
    tiles = [mercantile.Tile(5, 3, 4), mercantile.Tile(4, 3, 4), mercantile.Tile(5, 2, 4)]
    wanted = [tiles[1], tiles[2], tiles[0]]
    texts = ["4/5/3\n4/4/3\n\n4/5/2\n4/5/3", "[5, 3, 4]\n[4, 3, 4]\n[5, 2, 4]\n", "[[5, 3, 4], [4, 3, 4], [5, 2, 4]]"]
    for text in texts:
        assert list(parse_area(text, "tiles").cover(4)) == wanted
    assert list(read_area("4/5/3").cover(4)) == [tiles[0]]
    assert list(parse_area("[5, 3, 4]", "tiles").cover(4)) == [tiles[0]]
    with pytest.raises(AreaError, match="not of zoom 5"):
        list(parse_area(texts[0], "tiles").cover(5))


def test_a_bbox_and_a_whole_source() -> None:
    assert len(list(read_area(" 170, -10,-170,10.0").cover(3))) == 4
    info = SourceInfo("x", bounds=(-10.0, 0.0, 10.0, 10.0))
    assert list(read_area("source", info).cover(5)) == list(read_area("-10,0,10,10").cover(5))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("a,b", "line 1: neither GeoJSON nor a tile"),
        ("4/5/99", "does not exist"),
        ("[1, 2]", "is no tile"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [500000, 0], [500000, 4500000], [0, 0]]]}', "no degrees"),
        ('{"type": "Polygon", "coordinates": 5}', "broken geometry"),
        ('{"type": "Polygone"}', "broken geometry"),
        ('{"type": "Feature", "crs": {"properties": {"name": "EPSG:3857"}}}', "not in degrees"),
    ],
)
def test_what_is_no_area_is_said(text: str, said: str) -> None:
    with pytest.raises(AreaError, match=said):
        parse_area(text, "given.txt")


def test_what_names_no_area_is_said(tmp_path: Path) -> None:
    for text in ("1,2,3", "no such file", str(tmp_path), "5,5,5,5"):
        with pytest.raises(AreaError) as caught:
            read_area(text)
        assert caught.value.hint
    with pytest.raises(AreaError, match="does not say"):
        read_area("source", SourceInfo("x"))


def test_the_tiles_of_a_large_area_are_found_again_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    area = read_area("-4,40,-3.5,40.5")
    small = aoi.Bands(area, 12)
    monkeypatch.setattr(aoi, "KEPT", 10)
    large = aoi.Bands(area, 12)
    assert (large.tiles, large.fingerprint) == (small.tiles, small.fingerprint)
    for bands in (small, large, small, large):
        assert [band.tolist() for band in bands] == [band.tolist() for band in area.bands(12)]
