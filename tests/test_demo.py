"""The parts of the demo between the service and the files; `.ci/run` does the whole of it."""

import io
import json

import mercantile
import numpy as np
import pytest
import shapely
from PIL import Image
from rich.console import Console

from playground.demo.area import Area
from playground.demo.collect import Answer, clip_to_core, collect, feature_collection
from playground.demo.figures import Figures, tables
from playground.demo.partner import freeze, partner_python
from playground.demo.picture import COLOURS, FOOT, HEAD, PAPER, Words, draw
from playground.demo.service import running_service
from playground.errors import PlaygroundError

TILE = mercantile.Tile(17, 12, 5)


def feature(shape, **properties):
    geometry = shapely.geometry.mapping(shape)
    return {"type": "Feature", "geometry": geometry, "properties": {"category": "water"} | properties}


def test_neighbours_share_no_water_and_leave_no_gap():
    """One lake over the shared edge, as each tile sees it with its padding."""
    west, east = mercantile.Tile(16, 12, 5), TILE
    edge = round(mercantile.bounds(east).west, 7)
    lake = feature(shapely.box(edge - 1, 38, edge + 1, 39), score=0.9)
    parts = [clip_to_core([lake], tile) for tile in (west, east)]
    shapes = [shapely.geometry.shape(part["geometry"]) for (part,) in parts]
    assert shapes[0].bounds == pytest.approx((edge - 1, 38, edge, 39))
    assert shapes[1].bounds == pytest.approx((edge, 38, edge + 1, 39))
    assert shapes[0].intersection(shapes[1]).area == 0
    assert [part[0]["properties"]["tile"] for part in parts] == ["5/16/12", "5/17/12"]
    assert parts[0][0]["properties"]["score"] == 0.9


def test_what_lies_in_the_padding_alone_or_only_touches_the_tile_is_left_out():
    west, south, east, _ = (round(edge, 7) for edge in mercantile.bounds(TILE))
    beside = feature(shapely.box(west - 1, south, west, south + 1))
    below = feature(shapely.box(west, south - 1, east, south))
    assert clip_to_core([beside, below], TILE) == []


def test_clipping_keeps_holes_parts_and_winding():
    west, south, *_ = mercantile.bounds(TILE)
    u = shapely.union_all([shapely.box(-1, 1, 5, 2), shapely.box(-1, 3, 5, 4), shapely.box(-2, 1, -1, 4)])
    ring = shapely.box(2, 5, 5, 8).difference(shapely.box(3, 6, 4, 7))
    moved = [shapely.transform(shape, lambda xy: xy + np.array([west, south])) for shape in (u, ring)]
    cut, whole = (shapely.geometry.shape(part["geometry"]) for part in clip_to_core(map(feature, moved), TILE))
    assert len(cut.geoms) == 2
    assert len(whole.interiors) == 1
    assert whole.exterior.is_ccw
    assert not whole.interiors[0].is_ccw


def test_a_feature_collection_has_a_bounding_box():
    assert feature_collection([feature(shapely.box(1, 2, 3, 4))])["bbox"] == [1, 2, 3, 4]
    assert "bbox" not in feature_collection([])


def test_every_tile_is_accounted_for(serve, imagery_file):
    """A real service: what is there, what is not, and what is no tile at all."""
    service = serve("readers:Array", TILES=str(imagery_file))
    asked = [mercantile.Tile(1, 1, 3), mercantile.Tile(2, 2, 3), mercantile.Tile(0, 0, 2)]
    answers = {answer.tile: answer for answer in collect(service.url, asked, threads=2)}
    assert [answers[tile].fate for tile in asked] == ["ok", "missing", "failed"]
    assert {"fetch", "predict", "total", "http"} <= answers[asked[0]].timing.keys()
    assert answers[asked[2]].error.startswith("4")


def test_a_service_that_is_not_there_fails_every_tile():
    (answer,) = collect("http://127.0.0.1:9", [TILE], threads=1)
    assert answer.fate == "failed"
    assert answer.error


def test_figures_add_up():
    answers = [
        Answer(TILE, "ok", [{}, {}], {"predict": 10.0, "total": 20.0}, {"repairs": {"closed": 2}}),
        Answer(TILE, "empty", [], {"predict": 30.0, "total": 40.0, "new": 1.0}, {"repairs": {"closed": 1}}),
        Answer(TILE, "failed", error="no"),
    ]
    figures = Figures(answers, seconds=1.5, iou={"Europe": 0.9})
    assert figures.tiles == {"ok": 1, "empty": 1, "failed": 1}
    assert (figures.features, figures.rate) == (2, 2.0)
    assert figures.audit("repairs") == {"closed": 3}
    assert figures.stages()["predict"][0] == 20.0
    console = Console(record=True, width=100, file=io.StringIO())
    for table in tables(figures):
        console.print(table)
    text = console.export_text()
    assert "closed 3" in text
    assert text.index("new") < text.index("predict") < text.index("total")


def test_a_service_that_cannot_start_says_why(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("raise SystemExit('the flux is off')\n")
    log = tmp_path / "log"
    service = running_service(tmp_path, project=tmp_path, environ={}, log=log)
    with pytest.raises(PlaygroundError, match="ended with status") as caught, service:
        pass
    assert "the flux is off" in caught.value.hint


def test_the_partners_python_is_made_once_and_holds_what_was_asked(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing but Python\n")
    python = partner_python(tmp_path, requirements)
    packages = freeze(python)
    assert any(package.startswith("pip==") for package in packages)
    made = python.parent.stat().st_mtime_ns
    assert partner_python(tmp_path, requirements) == python
    assert python.parent.stat().st_mtime_ns == made


def test_requirements_that_cannot_be_met_are_one_clear_error(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("./no-such-folder\n")
    with pytest.raises(PlaygroundError, match="failed"):
        partner_python(tmp_path, requirements)


def test_the_picture_shows_imagery_water_and_islands(tmp_path):
    def fetch(tile):
        path = tmp_path / "tile.png"
        Image.new("RGB", (256, 256), (100, 50, 0)).save(path)
        return path.read_bytes()

    area = Area(5, 16, 12, 18, 13)
    west, south, _, _ = mercantile.bounds(mercantile.Tile(16, 12, 5))
    lake = shapely.box(west + 2, south + 2, west + 18, south + 6).difference(
        shapely.box(west + 8, south + 3, west + 10, south + 5)
    )
    words = Words("Title", "subtitle", [("1", "lake")], "nobody")
    draw(tmp_path / "out" / "a.png", area=area, fetch=fetch, features=[feature(lake)], words=words, tile_pixels=128)
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (256, 128 + HEAD + FOOT)

        def at(lng, lat):
            x, y = area.pixels_of_lnglat(np.array([[west + lng, south + lat]]))[0] / 2
            return image.getpixel((int(x), HEAD + int(y)))

        assert at(1, 1) == at(9, 4) == (100, 50, 0)
        assert at(5, 4)[2] > 60
        assert image.getpixel((2, 2)) == PAPER
        colours = {colour for _, colour in image.crop((0, HEAD + 128, 256, image.height)).getcolors(100000)}
        assert COLOURS[0] in colours


def test_coordinates_have_the_decimals_of_the_zoom():
    west, south, *_ = mercantile.bounds(TILE)
    features = clip_to_core([feature(shapely.box(west + 1, south + 1, west + 2.123456789, south + 2))], TILE)
    text = json.dumps(feature_collection(features), allow_nan=False)
    assert f"{round(west + 2.123456789, 7)}," in text
