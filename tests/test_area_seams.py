"""The seam proof: an area seen tile by tile gives what it gives as one image."""

from __future__ import annotations

import mercantile
import numpy as np
import pytest
import shapely
from fields import as_one, assert_same, smooth, stitched

from playground.area.cutting import cut
from playground.area.parts import UNITS, Pieces
from playground.area.seams import Merge, Seams, merge_named
from playground.errors import SettingsError

SIZE = 32
SIDE = 8 * SIZE


def apart(world: np.ndarray) -> np.ndarray:
    """The same with nothing at the antimeridian, where one image ends and the globe does not."""
    world[:, 0] = False
    return world


@pytest.mark.parametrize("padding", [0, 1, 5, 32])
@pytest.mark.parametrize(("seed", "grain", "level"), [(1, 1.5, 0.5), (2, 4.0, 0.0), (3, 0.7, 0.8), (4, 12.0, -0.3)])
def test_random_fields(seed: int, grain: float, level: float, padding: int) -> None:
    world = apart(smooth(seed, SIDE // 2, grain, level))
    assert_same(stitched(world, SIZE, padding), as_one(world))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_noise_full_of_touching_corners(connectivity: int) -> None:
    side = SIDE // (connectivity // 2)
    world = apart(np.random.default_rng(5).random((side, side)) < 0.45)
    for row in range(SIZE, side, SIZE):  # where four tiles meet, diagonals are nobody's neighbours
        world[row - 1 : row + 1, SIZE - 1 :: SIZE] = False
    wanted = as_one(world, connectivity)
    assert_same(stitched(world, SIZE, 3, connectivity=connectivity), wanted)


def spiral(side: int, pitch: float, width: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    radius = np.hypot(x, y)
    turn = (radius / pitch - np.arctan2(y, x) / (2 * np.pi)) % 1
    return (turn * pitch < width) & (radius < side / 2 - 2)


def test_a_spiral_over_all_tiles_is_one() -> None:
    world = spiral(SIDE, 9.0, 4.0)
    wanted = as_one(world)
    found = stitched(world, SIZE, 4)
    assert_same(found, wanted)
    longest = max(shapely.box(*shapely.geometry.shape(feature["geometry"]).bounds).area for feature in found)
    assert longest > 0.9 * 360 * 170


def test_a_ring_around_a_tile_has_its_hole() -> None:
    world = np.zeros((SIDE // 2, SIDE // 2), bool)
    world[20:80, 20:80] = True
    world[25:75, 25:75] = False
    found = stitched(world, SIZE, 2)
    assert_same(found, as_one(world))
    assert [len(feature["geometry"]["coordinates"]) for feature in found] == [2]


def test_holes_on_seams_and_corners() -> None:
    world = np.zeros((SIDE // 2, SIDE // 2), bool)
    world[10:100, 10:100] = True
    for row, column in ((30, 30), (31, 60), (62, 90), (50, 50)):
        world[row : row + 4, column : column + 4] = False
    found = stitched(world, SIZE, 3)
    assert_same(found, as_one(world))
    assert len(found[0]["geometry"]["coordinates"]) == 5


def test_one_pixel_apart_stays_apart() -> None:
    world = np.zeros((SIDE // 2, SIDE // 2), bool)
    world[10:31, 10:20] = True  # ends a pixel before the seam
    world[32:40, 10:20] = True
    world[5:50, 30:32] = True  # on two sides of a seam, one pixel between
    world[5:50, 33:40] = True
    world[60:64, 60:64] = True  # corner to corner at a corner of tiles
    world[64:68, 64:68] = True
    found = stitched(world, SIZE, 3)
    assert len(found) == 6
    assert_same(found, as_one(world))


def test_across_the_antimeridian_an_object_is_one_in_two_halves() -> None:
    world = np.zeros((SIDE // 2, SIDE // 2), bool)
    world[40:90, :7] = world[50:60, -9:] = True
    found = stitched(world, SIZE, 4)
    assert len(found) == 1
    assert found[0]["geometry"]["type"] == "MultiPolygon"
    shape = shapely.geometry.shape(found[0]["geometry"])
    assert shape.bounds[0] == -180.0
    assert shape.bounds[2] == 180.0
    assert shape.is_valid


def polygon(shape: shapely.Geometry, category: str = "ship", confidence: float = 0.5, **more: object) -> dict:
    properties = {"category": category, "categories": [category], "confidence": confidence, "score": confidence, **more}
    return {"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": properties}


def sweep(
    tiles: dict[tuple[int, int], list[dict]], padding: int, merge: Merge = "union", **options: bool
) -> list[dict]:
    """Objects of tiles of 256 pixels at zoom 4, given in pixels of the padded images."""
    seams = Seams(4, merge, **options)
    for x, y in sorted(tiles):
        tile = mercantile.Tile(x, y, 4)
        seams.add(tile, cut(tiles[x, y], tile, 256, padding), set(tiles))
    return seams.take(all_of_them=True)


def rotated(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    """A rhombus in a box."""
    x, y = (west + east) / 2, (south + north) / 2
    return shapely.Polygon([(west, y), (x, south), (east, y), (x, north)])


def test_properties_are_kept_and_confidence_is_weighted() -> None:
    left = polygon(rotated(200, 50, 300, 100), confidence=0.9, name="first")
    right = polygon(rotated(-56, 50, 44, 100), confidence=0.5, name="second")
    tiles = {(3, 3): [shift(left, 50)], (4, 3): [shift(right, 50)]}
    (found,) = sweep(tiles, 50, provenance=True)
    inside = shapely.area(shapely.intersection(rotated(200, 50, 300, 100), shapely.box(0, 0, 256, 256))) / 2500
    assert found["properties"]["confidence"] == pytest.approx(0.9 * inside + 0.5 * (1 - inside), abs=1e-3)
    assert found["properties"]["score"] == found["properties"]["confidence"]
    assert found["properties"]["confidence_max"] == 0.9
    assert found["properties"]["name"] == "first"
    assert found["properties"]["tiles"] == ["4/3/3", "4/4/3"]
    assert found["id"] == "4/3/3/0"


def shift(feature: dict, distance: float) -> dict:
    shape = shapely.affinity.translate(shapely.geometry.shape(feature["geometry"]), distance, distance)
    return {**feature, "geometry": shapely.geometry.mapping(shape)}


def test_modes() -> None:
    left = shift(polygon(rotated(210, 50, 300, 100), confidence=0.5), 50)
    right = shift(polygon(rotated(-46, 52, 44, 98), confidence=0.9), 50)
    tiles = {(3, 3): [left], (4, 3): [right]}
    assert len(sweep(tiles, 50)) == 1
    assert len(sweep(tiles, 50, "none")) == 2
    by_confidence = sweep(tiles, 50, "best-confidence")
    by_area = sweep(tiles, 50, "best-area")
    assert [feature["properties"]["confidence"] for feature in by_confidence] == [0.9]
    assert [feature["properties"]["confidence"] for feature in by_area] == [0.5]
    assert merge_named("SELECT_BASED_ON_CONFIDENCE") == "best-confidence"
    with pytest.raises(SettingsError, match="is not known"):
        merge_named("all")


def test_classes_are_not_mixed_and_neighbours_at_a_wall_stay_two() -> None:
    water = shift(polygon(rotated(200, 50, 300, 100), "water"), 50)
    land = shift(polygon(rotated(-56, 50, 44, 100), "land"), 50)
    assert len(sweep({(3, 3): [water], (4, 3): [land]}, 50)) == 2
    # Two houses whose common wall is the seam: each tile sees that its own ends there, and both the other one.
    one = polygon(shapely.box(200, 10, 256, 60).union(shapely.box(220, 60, 256, 70)), "house")
    two = polygon(shapely.box(256, 10, 290, 60).union(shapely.box(256, 60, 270, 75)), "house")
    tiles = {(3, 3): [shift(one, 50), shift(two, 50)]}
    tiles[4, 3] = [shift(shift_x(feature, -256), 50) for feature in (one, two)]
    assert len(sweep(tiles, 50)) == 2


def shift_x(feature: dict, distance: float) -> dict:
    shape = shapely.affinity.translate(shapely.geometry.shape(feature["geometry"]), distance, 0)
    return {**feature, "geometry": shapely.geometry.mapping(shape)}


def test_a_box_seen_twice_a_little_differently_is_one_box() -> None:
    ours = shift(polygon(shapely.box(240, 100, 262, 130), confidence=0.8), 50)
    theirs = shift(polygon(shapely.box(-15, 101, 7, 131), confidence=0.7), 50)
    other = shift(polygon(shapely.box(240, 125, 262, 160), confidence=0.6), 50)
    (found,) = sweep({(3, 3): [ours], (4, 3): [theirs]}, 50)
    assert found["properties"]["confidence"] == 0.8
    west, _, east, _ = shapely.geometry.shape(found["geometry"]).bounds
    assert (east - west) * 256 * 16 / 360 == pytest.approx(22, abs=0.01)
    assert len(sweep({(3, 3): [ours, other], (4, 3): [theirs, shift_x(other, -256)]}, 50)) == 2


def test_points_and_lines() -> None:
    at_edge = {"type": "Point", "coordinates": [306.0, 80.0]}
    point = {"type": "Feature", "geometry": at_edge, "properties": {"category": "tree", "confidence": 1.0}}
    line = polygon(shapely.LineString([(100, 100), (400, 120)]), "road")
    tiles = {(3, 3): [point, line], (4, 3): [shift_x(point, -256), shift_x(line, -256)]}
    found = sweep(tiles, 50)
    assert sorted(feature["geometry"]["type"] for feature in found) == ["LineString", "Point"]
    assert [feature["id"] for feature in found if feature["properties"]["category"] == "tree"] == ["4/4/3/0"]


def test_pieces_survive_being_written() -> None:
    feature = shift(polygon(rotated(200, 50, 300, 100)), 50)
    pieces = cut([feature], mercantile.Tile(3, 3, 4), 256, 50)
    again = Pieces.loads(pieces.dumps())
    assert again == pieces
    assert again.parts[0].inner[1]
    assert shapely.from_wkb(again.parts[0].own).bounds[2] == UNITS
