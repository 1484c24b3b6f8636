"""The seam proof on real imagery: the example partner's water, tile by tile and on the assembled image as one."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import mercantile
import numpy as np
import pytest
import shapely
import simplejpeg
from PIL import Image

from playground import answers, area
from playground.area.aoi import Area
from playground.area.view import View
from playground.demo.imagery import METADATA, TILE_SIZE, basemap_file, warp_rows
from playground.sources import open_source
from playground.sources.mbtiles import write_mbtiles
from playground_interfaces import Tile

PROJECT = Path(__file__).parents[1] / "examples" / "water"
EUROPE = View(5, 14, 8, 22, 14)
"""Coasts, islands and lakes on nearly every seam."""
EARTH = View(5, 2, 6, 30, 22)
"""All continents but Antarctica."""
PADDING = 24
"""The detector looks 22 pixels around."""


def write_tiles(path: Path, view: View) -> None:
    """A part of the Blue Marble as JPEG tiles, and nothing around it: the assembled image ends where the tiles end."""
    with Image.open(basemap_file("bmng.jpg")) as image:
        picture = np.asarray(image.convert("RGB"))
    size = TILE_SIZE
    size = TILE_SIZE
    rows = np.arange(view.top * size, view.bottom * size)
    shown = warp_rows(picture, rows, size << view.zoom)[:, view.left * size : view.right * size]

    def encoded(tile: mercantile.Tile) -> bytes:
        top, left = (tile.y - view.top) * size, (tile.x - view.left) * size
        pixels = np.ascontiguousarray(shown[top : top + size, left : left + size])
        return simplejpeg.encode_jpeg(pixels, quality=90, colorspace="RGB")

    metadata = METADATA | {"minzoom": str(view.zoom), "maxzoom": str(view.zoom)}
    write_mbtiles(path, metadata, ((tile, encoded(tile)) for tile in view.tiles()))


def assembled(source: Path, view: View) -> np.ndarray:
    """All tiles as one image."""
    with contextlib.closing(open_source(str(source))) as tiles:
        images = [simplejpeg.decode_jpeg(tiles.fetch(tile)) for tile in view.tiles()]
    rows = [np.concatenate(images[row * view.columns :][: view.columns], axis=1) for row in range(view.rows)]
    return np.concatenate(rows)


def as_one(source: Path, view: View) -> list[dict]:
    """What the detector finds on the one image, in degrees."""
    sys.path.insert(0, str(PROJECT))
    try:
        from water.detector import WaterDetector
    finally:
        sys.path.remove(str(PROJECT))
    image = assembled(source, view)
    side = 2**view.zoom * TILE_SIZE
    found = WaterDetector().predict(Tile("all of it", image)).format()["features"]
    for feature in found:  # on the whole map, whose one tile is 0/0/0
        offset = np.array([view.left, view.top]) * TILE_SIZE
        rings = feature["geometry"]["coordinates"]
        feature["geometry"]["coordinates"] = [(np.asarray(ring) + offset).tolist() for ring in rings]
    return answers.normalize(found, answers.Frame(mercantile.Tile(0, 0, 0), side, 0)).features()


def least_overlap(found: list[dict], wanted: list[dict]) -> float:
    """The least intersection over union of any object; every one has its only counterpart."""
    ours, theirs = (
        np.asarray(shapely.from_geojson([json.dumps(each["geometry"]) for each in some])) for some in (found, wanted)
    )
    assert len(ours) == len(theirs)
    assert shapely.is_valid(ours).all()
    mine, partner = shapely.STRtree(theirs).query(shapely.point_on_surface(ours), predicate="within")
    assert sorted(mine) == sorted(partner) == list(range(len(theirs)))
    both = shapely.area(shapely.intersection(ours[mine], theirs[partner]))
    return float((both / (shapely.area(ours[mine]) + shapely.area(theirs[partner]) - both)).min())


@pytest.mark.parametrize(
    "view", [EUROPE, pytest.param(EARTH, marks=[pytest.mark.slow, pytest.mark.timeout(400)])], ids=["Europe", "earth"]
)
@pytest.mark.slow
def test_a_coastline_by_tiles_is_the_coastline_of_the_one_image(
    view: View, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    source = tmp_path / "imagery.mbtiles"
    write_tiles(source, view)
    options = {"tiles": str(source), "zoom": view.zoom, "workers": 2, "project": PROJECT}
    place = Area(tiles=tuple(view.tiles()))
    run = area.run(place, predictor="water.detector:WaterDetector", padding=PADDING, **options)
    found = list(run)
    wanted = as_one(source, view)
    worst = least_overlap(found, wanted)
    assert worst >= 0.999
    report = run.report
    assert report.whole
    assert report.joined >= 10
    record_property("pieces", f"{len(found)} of {len(wanted)}, least IoU {worst:.6f}, in {report.asked} tiles")
