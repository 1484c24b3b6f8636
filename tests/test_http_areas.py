"""{"bbox"} and {"geometry"}: one answer of several tiles, with nothing twice and no silent hole."""

from __future__ import annotations

import concurrent.futures
import json

import mercantile
import numpy as np
import pytest
import requests
import rfc7946
import shapely
import shapely.affinity
import shapely.geometry
from test_service import check_error

from playground import geo

STEP = 64
AROUND = 256 * 8


@pytest.fixture(scope="module")
def houses(serve, imagery_file):
    service = serve("world:Houses", TILES=str(imagery_file), PADDING="16")
    service.wait_loaded()
    return service


@pytest.fixture(scope="module")
def unpadded(serve, imagery_file):
    service = serve("world:Houses", TILES=str(imagery_file), MAX_TILES_PER_REQUEST="4", TIMEOUT="20")
    service.wait_loaded()
    return service


def found(answer):
    """(column, row) of the houses, each once."""
    names = [(each["properties"]["column"], each["properties"]["row"]) for each in answer["prediction"]["features"]]
    assert len(names) == len(set(names))
    return set(names)


def lnglat(column, row):
    lng, lat = geo.lnglat_of_pixel(mercantile.Tile(0, 0, 3), np.array([column]), np.array([row]), 256, 0)
    return float(lng[0]), float(lat[0])


def balanced(report):
    tiles = report["tiles"]
    assert tiles["asked"] == tiles["ok"] + tiles["empty"] + tiles["missing"] + tiles["failed"]
    assert len(tiles["missing_tiles"]) == tiles["missing"]
    assert len(tiles["errors"]) == tiles["failed"]
    assert report["features_in"] == report["features_out"] + sum(report["dropped"].values())
    return tiles


def inside(box, margin=0):
    """Houses whose middle lies in a box of pixels of the map, edges included."""
    west, north, east, south = box
    columns = range(-(-(west - margin) // STEP) * STEP, east + margin + 1, STEP)
    rows = range(-(-(north - margin) // STEP) * STEP, south + margin + 1, STEP)
    return {(column % AROUND, row) for column in columns for row in rows}


def test_four_tiles_are_one_answer(houses):
    west, north = lnglat(5 * 256, 4 * 256)
    east, south = lnglat(7 * 256, 6 * 256)
    answer = houses.post(json={"bbox": [west, south, east, north]}).json()
    assert sorted(answer) == ["area", "prediction", "report", "service", "timing"]
    rfc7946.check(answer["prediction"])
    # Those in the middle of an edge touch the area, too; their own tile is not asked for.
    assert found(answer) == inside((5 * 256, 4 * 256, 7 * 256, 6 * 256))
    tiles = balanced(answer["report"])
    assert (tiles["asked"], tiles["ok"], tiles["failed"], tiles["missing"]) == (4, 4, 0, 0)
    assert answer["report"]["dropped"]["in_neighbour"] > 0
    assert answer["area"]["bounds"] == pytest.approx([west, south, east, north])
    assert answer["area"]["tiles"] == 4
    again = houses.post(json={"bbox": [west, south, 0, east, north, 9]}).json()
    assert again["prediction"] == answer["prediction"]


def test_only_what_touches_the_area_and_whole(houses):
    place = shapely.Point(lnglat(1408, 1152))
    everything = houses.post(json={"geometry": shapely.geometry.mapping(place)}).json()
    assert found(everything) == {(1408, 1152)}
    (feature,) = everything["prediction"]["features"]
    assert shapely.geometry.shape(feature["geometry"]).area > 1  # square degrees: it is not clipped
    balanced(everything["report"])
    nothing = houses.post(json={"geometry": {"type": "Point", "coordinates": lnglat(1440, 1184)}}).json()
    assert found(nothing) == set()
    assert nothing["report"]["dropped"]["outside_area"] > 0


def test_a_house_whose_own_tile_is_not_asked_for_is_there_once(houses):
    # A line 3 pixels above the border of two rows of tiles: the houses on the border belong to the row below.
    line = shapely.LineString([lnglat(5 * 256 + 20, 4 * 256 - 3), lnglat(7 * 256 - 20, 4 * 256 - 3)])
    answer = houses.post(json={"geometry": shapely.geometry.mapping(line)}).json()
    assert answer["report"]["tiles"]["asked"] == 2
    # That at the corner of four tiles is seen by both that are asked for.
    assert found(answer) == {(column, 4 * 256) for column in range(5 * 256 + 64, 7 * 256, STEP)}
    assert answer["report"]["dropped"]["duplicate"] == 1
    balanced(answer["report"])


def test_holes_and_parts(houses):
    outer = [lnglat(*corner) for corner in ((1300, 1050), (1300, 2000), (2040, 2000), (2040, 1050), (1300, 1050))]
    inner = [lnglat(*corner) for corner in ((1500, 1250), (1820, 1250), (1820, 1820), (1500, 1820), (1500, 1250))]
    shape = shapely.Polygon(outer, [inner])
    answer = houses.post(json={"geometry": shapely.geometry.mapping(shape)}).json()
    assert {(1536, 1280), (1600, 1536)}.isdisjoint(found(answer))
    assert found(answer) >= {(1344, 1088), (1984, 1984), (1920, 1600)}
    both = {"type": "MultiPolygon", "coordinates": [shapely.geometry.mapping(shape)["coordinates"]] * 2}
    assert found(houses.post(json={"geometry": both}).json()) == found(answer)
    collection = {"type": "GeometryCollection", "geometries": [shapely.geometry.mapping(shape)]}
    assert found(houses.post(json={"geometry": collection}).json()) == found(answer)
    turned = {"type": "Polygon", "coordinates": [outer[::-1], inner]}
    assert found(houses.post(json={"geometry": turned}).json()) == found(answer)


def test_across_the_antimeridian_and_at_the_poles(houses):
    west, north = lnglat(7 * 256 + 100, 4 * 256 + 20)
    east, south = lnglat(100, 4 * 256 + 220)
    answer = houses.post(json={"bbox": [west, south, east, north]}).json()
    rfc7946.check(answer["prediction"])
    assert answer["report"]["tiles"]["asked"] == 2
    assert found(answer) == {(column % AROUND, row) for column in range(1920, 2144, 64) for row in (1088, 1152, 1216)}
    assert answer["area"]["bounds"][0] == 135 and answer["area"]["bounds"][2] == -135  # noqa: PT018
    beyond = {"type": "Polygon", "coordinates": [shapely.box(west, south, east + 360, north).exterior.coords[:]]}
    assert houses.post(json={"geometry": beyond}).json()["prediction"] == answer["prediction"]
    top = houses.post(json={"bbox": [10, 80, 40, 90]}).json()
    assert top["report"]["tiles"]["asked"] == 1
    balanced(top["report"])


@pytest.mark.parametrize("seed", range(25))
def test_what_touches_any_area_is_there_once_and_nothing_else_is(houses, seed):
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
    reach = rng.choice([0.5, 5, 30]) * rng.uniform(0.3, 1, len(angles))
    ring = rng.uniform((-200, -45), (200, -35)) + np.column_stack((np.cos(angles), np.sin(angles))) * reach[:, None]
    area = shapely.make_valid(shapely.Polygon(ring))
    if seed % 2:
        area = shapely.difference(area, shapely.affinity.scale(area, 0.5, 0.5))
    answer = houses.post(json={"geometry": shapely.geometry.mapping(area)}).json()
    rfc7946.check(answer["prediction"])
    balanced(answer["report"])
    expected = set()
    for column in range(-AROUND, 2 * AROUND, STEP):
        for row in range(AROUND // 2 - STEP, AROUND, STEP):
            west, north = lnglat(column - 6, row - 6)
            east, south = lnglat(column + 6, row + 6)
            if area.intersects(shapely.box(west, south, east, north)):
                expected.add((column % AROUND, row))
    assert found(answer) == expected


def test_missing_and_failed_tiles_are_told(houses):
    hole = houses.post(json={"bbox": [-100, 45, -40, 60]}).json()  # 3/2/2 has no imagery
    tiles = balanced(hole["report"])
    assert tiles["missing_tiles"] == ["3/2/2"]
    assert tiles["ok"] == tiles["asked"] - 1
    assert any(each.startswith("3/3/2 ") for each in hole["report"]["missing_neighbours"])
    body = {"bbox": [100, 68, 170, 75]}  # 3/7/1 cannot be predicted
    broken = houses.post(json=body).json()
    tiles = balanced(broken["report"])
    assert (tiles["asked"], tiles["ok"]) == (2, 1)
    assert tiles["errors"] == [{"tile": "3/7/1", "status": 422, "message": "too cloudy", "hint": "send a clearer tile"}]
    alone = houses.post(json=body, headers={"Accept": "application/geo+json"}).json()
    assert alone.pop("report") == broken["report"]
    rfc7946.check(alone)
    check_error(houses.post(json={"bbox": [-80, 50, -60, 60]}), 404)
    check_error(houses.post(json={"bbox": [140, 70, 170, 75]}), 422)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"bbox": [0, 0, 1]}, "4 numbers"),
        ({"bbox": [0, 5, 1, 5]}, "holds nothing"),
        ({"bbox": [0, 0, 1, 91]}, "no bbox in degrees"),
        ({"bbox": [0, 86, 1, 90]}, "no place on the map"),
        ({"bbox": ["0", 0, 1, 1]}, "Expected"),
        ({"bbox": [0, 0, 1, 1], "z": 3}, "one is needed"),
        ({"geometry": "POINT (1 2)"}, "Expected"),
        ({"geometry": {"type": "Feature", "geometry": None, "properties": {}}}, "type"),
        ({"geometry": {"type": ["Point"], "coordinates": [1, 2]}}, "type"),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, "broken geometry"),
        ({"geometry": {"type": "Polygon", "coordinates": []}}, "empty"),
        ({"geometry": {"type": "Point", "coordinates": [500000, 4000000]}}, "no degrees"),
        ({"geometry": {"type": "Point", "coordinates": [1, "x"]}}, "broken geometry"),
        ({"geometry": {"type": "MultiPoint", "coordinates": [[1, 1]] * 100_001}}, "100,000"),
    ],
)
def test_areas_that_are_none(houses, body, words):
    told = check_error(houses.post(json=body), 400)
    assert words in told["message"] + told["hint"]


def test_nested_without_end(houses):
    nested: object = {"type": "Point", "coordinates": [1, 2]}
    text = '{"type":"GeometryCollection","geometries":[' * 3000 + json.dumps(nested) + "]}" * 3000
    for body in ('{"geometry":' + text + "}", "[" * 100_000):
        check_error(houses.post(data=body, headers={"Content-Type": "application/json"}), 400)
    assert houses.get("/readiness_check").status_code == 200


def test_too_many_tiles(unpadded, houses):
    told = check_error(unpadded.post(json={"bbox": [-180, -80, 180, 80]}), 400)
    assert "more than 4 tiles" in told["message"]
    assert "playground run" in told["hint"]
    ring = [[-50, -50], [50, -50], [50, 50], [-50, 50], [-50, -50]]
    check_error(unpadded.post(json={"geometry": {"type": "Polygon", "coordinates": [ring]}}), 400)
    four = unpadded.post(json={"bbox": [1, -30, 80, 30]}).json()
    assert four["report"]["tiles"]["asked"] == 4
    # Without padding a tile shows what is wholly in it, and all of that is its own.
    assert "in_neighbour" not in four["report"]["dropped"]
    whole = houses.post(json={"bbox": [-180, -90, 180, 90]}).json()
    assert balanced(whole["report"])["asked"] == 64
    assert len(found(whole)) > 900


def test_a_stream_of_tiles(houses):
    body = {"bbox": [100, 0.5, 179.9, 66]}
    whole = houses.post(json=body).json()
    for accept in ("application/geo+json-seq", "application/x-ndjson"):
        response = houses.post(json=body, headers={"Accept": accept})
        assert response.headers["Content-Type"] == accept
        *features, last = [json.loads(line.lstrip("\x1e")) for line in response.text.split("\n")[:-1]]
        assert features == whole["prediction"]["features"]
        assert last["geometry"] is None
        assert last["properties"] == {"report": whole["report"]}
    check_error(houses.post(json={"bbox": [-80, 50, -60, 60]}, headers={"Accept": accept}), 404)
    check_error(houses.post(json={"bbox": [140, 70, 170, 75]}, headers={"Accept": accept}), 422)


def test_a_stream_that_lacks_a_tile_is_cut_off(houses):
    told: list[bytes] = []
    for coding in ("identity", "gzip"):
        with requests.post(
            houses.url + "/predict",
            json={"bbox": [100, 68, 170, 75]},
            headers={"Accept": "application/x-ndjson", "Accept-Encoding": coding},
            stream=True,
            timeout=30,
        ) as response:
            told.clear()
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                told.extend(response.iter_lines())
        assert json.loads(told[-1])["properties"]["report"]["tiles"]["failed"] == 1
    assert "a stream was cut off" in houses.log.read_text()
    assert "Traceback" not in houses.log.read_text()
    assert houses.post(json={"z": 3, "x": 5, "y": 4}).status_code == 200


def test_gdal_reads_a_stream(houses, tmp_path):
    pyogrio = pytest.importorskip("pyogrio")
    body = {"bbox": [100, 0.5, 179.9, 66]}
    path = tmp_path / "houses.geojsons"
    path.write_bytes(houses.post(json=body, headers={"Accept": "application/geo+json-seq"}).content)
    features = houses.post(json=body).json()["report"]["features_out"]
    assert pyogrio.read_info(path)["features"] == features + 1
    path = tmp_path / "houses.geojson"
    path.write_bytes(houses.post(json=body, headers={"Accept": "application/geo+json"}).content)
    assert pyogrio.read_info(path)["features"] == features


def test_areas_and_tiles_side_by_side(houses):
    """An area takes the places that are free, and leaves the others theirs."""
    box = {"bbox": [-179, -66, 179, 66]}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        areas = [pool.submit(houses.post, json=box) for _ in range(2)]
        tile = pool.submit(houses.post, json={"z": 3, "x": 5, "y": 4})
        answers = [each.result() for each in areas]
        assert [each.status_code for each in answers] == [200, 200]
        assert tile.result().status_code in (200, 503)
    first, second = (each.json() for each in answers)
    assert first["prediction"] == second["prediction"]
    assert balanced(first["report"])["failed"] == 0


def test_one_deadline_for_all_tiles_and_no_harm_to_the_predictor(serve, imagery_file):
    service = serve("world:Slow", TILES=str(imagery_file), TIMEOUT="2", WARMUP="none")
    service.wait_loaded()
    answer = service.post(json={"bbox": [1, -66, 179, 66]})
    tiles = balanced(answer.json()["report"])
    assert tiles["asked"] == 16
    assert tiles["empty"] >= 2
    assert {each["status"] for each in tiles["errors"]} == {504}
    assert answer.elapsed.total_seconds() < 6  # as many tiles take longer
    told = service.get("/readiness_check").json()["predictor"]
    assert (told["phase"], told["restarts"]) == ("ready", 0)
