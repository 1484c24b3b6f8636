"""The overview of an area: imagery within bounds, objects in the colours of their categories, and every hole shown."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mercantile
import numpy as np
import pytest
import shapely
from conftest import PREDICTORS
from fields import smooth, write_world
from PIL import Image
from rasters import mercator_transform, write_raster

from playground.area import picture
from playground.area.aoi import Area
from playground.area.backdrop import MOST, backdrop
from playground.area.page import COLOURS, HEAD, PAPER, WIDTH_LEAST, Words, scale_bar
from playground.area.picture import Picture
from playground.area.report import Report
from playground.area.view import View
from playground.commands import estimate
from playground.commands.overview import plain
from playground.errors import TileNotFoundError
from playground.sources import open_source
from playground.sources.base import SourceInfo, TileSource

GROUND = (100, 50, 0)
ZOOM = 6


class Ground(TileSource):
    """Imagery of one colour everywhere, from a zoom on; it remembers what it was asked for."""

    def __init__(self, lowest: int = 0, told: bool = True) -> None:
        self.lowest = lowest
        self.told = told
        self.asked: list[mercantile.Tile] = []
        buffer = io.BytesIO()
        Image.new("RGB", (256, 256), GROUND).save(buffer, "PNG")
        self.png = buffer.getvalue()

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        self.asked.append(tile)
        if tile.z < self.lowest:
            raise TileNotFoundError("none so low")
        return self.png

    def url(self, tile: mercantile.Tile) -> str:
        return "ground"

    def info(self) -> SourceInfo:
        return SourceInfo("ground", minzoom=self.lowest if self.told else None)


class Places(Ground):
    """Imagery whose red grows from a view's west to its east, and green from its north to its south."""

    def __init__(self, view: View, lowest: int = 0) -> None:
        super().__init__(lowest)
        self.view = view

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        super().fetch(tile)
        view, scale = self.view, 2.0 ** (self.view.zoom - tile.z)
        steps = (np.arange(256) + 0.5) / 256
        middle, world = (view.left + view.right) / 2, 2.0**view.zoom
        x = (tile.x + steps) * scale
        x -= np.round((x - middle) / world) * world
        red = (x - view.left) / view.columns
        green = ((tile.y + steps) * scale - view.top) / view.rows
        pixels = np.zeros((256, 256, 3), np.uint8)
        pixels[..., 0] = np.clip(red * 250, 0, 255)
        pixels[..., 1] = np.clip(green * 250, 0, 255)[:, None]
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def feature(shape: shapely.Geometry, category: str = "lake") -> dict:
    return {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {"category": category}}


def drawn(view: View, features: list[dict], path: Path, **more: object) -> tuple[Image.Image, Picture]:
    made = Picture.of_area(Area(tiles=tuple(view.tiles())), view.zoom)
    made.write(features)
    made.save(path, Words("Title", "subtitle", [("1", "lake")], "nobody", **more), Ground())
    with Image.open(path) as image:
        return image.convert("RGB"), made


def colour_at(image: Image.Image, view: View, lng: float, lat: float) -> tuple[int, ...]:
    scale = (image.width if view.columns > 1 else 512) / view.columns
    ((x, y),) = view.pixels_of_lnglat(np.array([[lng, lat]]), scale)
    return image.getpixel((int(x), HEAD + int(y)))


def test_lakes_have_islands_and_what_is_small_can_be_seen(tmp_path: Path) -> None:
    view = View(5, 16, 12, 18, 13)
    west, south, _, _ = mercantile.bounds(mercantile.Tile(16, 12, 5))
    lake = shapely.box(west + 2, south + 2, west + 18, south + 6).difference(
        shapely.box(west + 8, south + 3, west + 10, south + 5)
    )
    pond, ship = shapely.box(west + 20, south + 4, west + 20.001, south + 4.001), shapely.Point(west + 21, south + 2)
    found = [feature(lake), feature(pond), feature(ship, "ship")]
    image, made = drawn(view, found, tmp_path / "new" / "a.png")

    def at(lng: float, lat: float) -> tuple[int, ...]:
        return colour_at(image, view, west + lng, south + lat)

    assert at(1, 7) == at(9, 4) == GROUND
    blue, orange = COLOURS[:2]
    assert at(5, 4) == pytest.approx(
        tuple(0.7 * ground + 0.3 * over for ground, over in zip(GROUND, blue, strict=True)), abs=1
    )
    assert at(20, 4) == pytest.approx(blue, abs=16)
    assert at(21, 2) == pytest.approx(orange, abs=16)
    assert made.counts == {"lake": 2, "ship": 1}
    assert image.width == 1024
    assert image.getpixel((2, 2)) == PAPER
    foot = {colour for _, colour in image.crop((0, HEAD + 512, 1024, image.height)).getcolors(100000)}
    assert {blue, orange} <= foot


def test_holes_are_hatched_and_what_was_not_asked_for_is_dim(tmp_path: Path) -> None:
    tiles = [mercantile.Tile(x, 20, ZOOM) for x in (10, 11, 12)]
    made = Picture.of_area(Area(tiles=(*tiles, mercantile.Tile(10, 21, ZOOM))), ZOOM)
    assert made.mark_holes([(11, 20, "missing"), (12, 20, "failed")]) == {"missing": 1, "failed": 1}
    path = tmp_path / "a.png"
    made.save(path, Words("Title", holes={"missing": 1, "failed": 1}), Ground())
    with Image.open(path) as image:
        shown = np.asarray(image.convert("RGB"))[HEAD : HEAD + 1024]
    asked, missing, failed, beside = (
        shown[:500, :500],
        shown[:500, 520:1000],
        shown[:500, 1040:1500],
        shown[540:900, 520:],
    )
    assert np.all(asked[10:, 10:] == GROUND)
    for part, fate in ((missing, "missing"), (failed, "failed")):
        stripes = np.all(part == picture.HOLE_COLOURS[fate], axis=-1)
        assert 0.3 < stripes.mean() < 0.37
    assert np.all(beside[:300, :400] < np.array(GROUND) * 0.5 + 1)


def test_the_picture_is_the_same_whatever_the_order(tmp_path: Path) -> None:
    view = View(5, 16, 12, 18, 13)
    west, south, east, north = (*mercantile.bounds(mercantile.Tile(16, 12, 5))[:2], 22, 48)
    rng = np.random.default_rng(4)
    middles = rng.uniform((west, south), (east, north), (300, 2))
    sizes = rng.exponential(0.3, 300)
    shapes = [shapely.Point(middle).buffer(size) for middle, size in zip(middles, sizes, strict=True)]
    found = [feature(shape, "abc"[place % 3]) for place, shape in enumerate(shapes)]
    images = []
    for order in (found, [*found[:3], *found[:2:-1]]):
        made = Picture.of_area(Area(tiles=tuple(view.tiles())), view.zoom)
        for start in range(0, 300, 70):
            made.write(order[start : start + 70])
        made.save(tmp_path / "a.png", Words("Title"))
        images.append((tmp_path / "a.png").read_bytes())
    assert images[0] == images[1]


@pytest.mark.parametrize(
    ("tiles", "expected"),
    [
        ([(10, 20)], View(ZOOM, 10, 20, 11, 21)),
        ([(10, 20), (14, 23)], View(ZOOM, 10, 20, 15, 24)),
        ([(63, 20), (0, 21)], View(ZOOM, -1, 20, 1, 22)),  # across the antimeridian
        ([(10, 20), (29, 20)], View(ZOOM, 10, 18, 30, 23)),  # not slimmer than 1 to 4
        ([(0, 0), (63, 63)], View(ZOOM, -8, 0, 8, 64)),
    ],
)
def test_the_view_holds_all_tiles(tiles: list[tuple[int, int]], expected: View) -> None:
    area = Area(tiles=tuple(mercantile.Tile(x, y, ZOOM) for x, y in tiles))
    view = View.around(area.bands(ZOOM), ZOOM)
    assert view == expected
    seen = {(tile.x, tile.y) for tile in view.tiles()}
    if view.columns < 64:
        assert seen >= set(tiles)


@pytest.mark.parametrize("view", [View(12, 100, 100, 3000, 2000), View(12, 5, 7, 6, 8), View(4, -3, 2, 4, 9)])
@pytest.mark.parametrize(("lowest", "told"), [(0, True), (12, True), (12, False)])
def test_imagery_takes_a_bounded_number_of_tiles(view: View, lowest: int, told: bool) -> None:
    """From a lower zoom where there is one, else from some of the tiles; a level that is not there is found out."""
    source = Ground(min(lowest, view.zoom), told)
    width = 900
    image = backdrop(source, view, (width, round(width * view.rows / view.columns)), PAPER)
    assert len(source.asked) <= (MOST if told else 2 * MOST)
    assert all(0 <= tile.x < 2**tile.z and 0 <= tile.y < 2**tile.z for tile in source.asked)
    assert image.getcolors() == [(image.width * image.height, GROUND)]


@pytest.mark.parametrize(
    ("view", "lowest", "off"),
    [
        (View(5, 14, 8, 22, 14), 0, 2),
        (View(12, 1001, 1003, 1102, 1050), 0, 2),  # from a lower zoom, whose tiles do not end where the view ends
        (View(12, 1001, 1003, 1102, 1050), 12, 9),  # from some of the tiles
        (View(5, -5, 3, 4, 9), 0, 2),  # across the antimeridian
        (View(7, 9, 9, 10, 10), 0, 2),
    ],
)
def test_imagery_lies_where_it_should(view: View, lowest: int, off: float) -> None:
    width, height = 600, round(600 * view.rows / view.columns)
    shown = np.asarray(backdrop(Places(view, lowest), view, (width, height), PAPER)).astype(float)
    inner = (slice(height // 20, -height // 20), slice(width // 20, -width // 20))
    wanted = (np.arange(width) + 0.5) / width * 250, ((np.arange(height) + 0.5) / height * 250)[:, None]
    for band in (0, 1):
        difference = (shown[..., band] - wanted[band])[inner]
        assert np.abs(difference).max() <= off
        assert abs(difference.mean()) <= max(1.0, off / 4)


def test_a_raster_of_many_bands_is_shown_by_its_first_three(tmp_path: Path) -> None:
    first = mercantile.Tile(100, 100, 8)
    pixels = np.full((5, 256, 512), 3000, np.uint16)
    pixels[0, :, 256:] = 1000  # less red in the east
    pixels[:, :128, :64] = 0
    path = write_raster(tmp_path / "a.tif", pixels, "EPSG:3857", mercator_transform(first), nodata=0)
    with contextlib.closing(open_source(str(path))) as source:
        shown = np.asarray(backdrop(source, View(8, 100, 100, 103, 101), (768, 256), PAPER)).astype(int)
    assert tuple(shown[50, 30]) == tuple(shown[50, 700]) == PAPER  # nothing there, and beyond
    west, east = shown[200, 128], shown[200, 400]
    assert west[0] > east[0] + 100
    assert abs(west[1] - east[1]) < 3


def test_a_page_is_never_larger_than_told(tmp_path: Path) -> None:
    for view in (View(12, 100, 100, 3000, 2000), View(12, 100, 100, 900, 3000), View(12, 5, 7, 6, 8)):
        made = Picture(view)
        made.write([feature(shapely.Point(0, 0).buffer(1), f"category {number}") for number in range(300)])
        made.save(tmp_path / "a.png", Words("A title " * 9, "b" * 200, [("1", "c")] * 9, "d" * 80, {"failed": 3}))
        with Image.open(tmp_path / "a.png") as image:
            assert max(image.size) <= 2048
            assert image.width >= WIDTH_LEAST


@pytest.mark.parametrize(
    ("view", "a_tile", "words"),
    [
        (View(5, 14, 8, 22, 14), 200, "1,000 km at 49° N"),
        (View(0, 0, 0, 1, 1), 512, "5,000 km at 0° N"),
        (View(18, 131072, 131072, 131074, 131073), 512, "50 m"),
    ],
)
def test_the_scale_bar_is_true(view: View, a_tile: float, words: str) -> None:
    long, said = scale_bar(view, a_tile)
    assert said == words
    if view.zoom == 18:  # at the equator a pixel of a tile of 512 is 0.29858 m at zoom 18
        assert long == pytest.approx(50 / 0.298582, rel=1e-4)


def test_the_command_draws_while_it_runs(tmp_path: Path) -> None:
    corner = mercantile.Tile(100, 100, 8)
    write_world(tmp_path / "field.mbtiles", smooth(3, 256, 6.0, 0.3), 64, corner)
    first, last = mercantile.bounds(corner), mercantile.bounds(mercantile.Tile(104, 102, 8))
    box = f"{first.west},{last.south},{last.east},{first.north}"  # a column more than there is
    arguments = [sys.executable, "-c", "from playground.commands import main; main()", "run", box]
    arguments += ["--tiles", str(tmp_path / "field.mbtiles"), "--zoom", "8", "--padding", "8", "--workers", "1"]
    arguments += ["--predictor", "blobs:Blobs", "--out", str(tmp_path / "a.geojson"), "--picture"]
    refused = subprocess.run([*arguments, "map.jpg"], cwd=PREDICTORS, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "map.jpg is no .png" in refused.stderr
    done = subprocess.run(
        [*arguments, str(tmp_path / "map.png")], cwd=PREDICTORS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "15 tiles at zoom 8 (predictor blobs:Blobs, source " in done.stderr
    with Image.open(tmp_path / "map.png") as image:
        assert image.width == 2048
        colours = {colour for _, colour in image.convert("RGB").getcolors(10**6)}
    assert picture.HOLE_COLOURS["missing"] in colours


def test_the_time_that_it_takes_is_told_once(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "ENOUGH", (0.0, 16))
    seen = []
    observe = estimate.Estimate(seen.append)
    for predicted in (0, 10, 20, 60, 90, 100):
        observe(SimpleNamespace(report=Report(100, left=100 - predicted, predicted=predicted)))
    words = capsys.readouterr().err
    assert len(seen) == 6
    assert words.count("to go") == 1
    assert words.startswith("about 0.0 s to go, at ")


def test_attributions_lose_their_links() -> None:
    assert plain('&copy; <a href="https://example.com">Example</a> &amp; others') == "© Example & others"
