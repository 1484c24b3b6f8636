"""The HTTP service as its clients see it: a real gunicorn, a real predictor process, real sockets."""

from __future__ import annotations

import base64
import concurrent.futures
import datetime
import io
import os
import signal

import mercantile
import pytest
import requests
import rfc7946
from PIL import Image


@pytest.fixture(scope="module")
def tiles(serve, imagery_file):
    service = serve("readers:Array", TILES=str(imagery_file), PADDING="8")
    assert service.wait_loaded()["status"] == "ready"
    return service


def png(size=(32, 32), colour=(9, 8, 7)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def check_error(response, status):
    """Every error has the one shape."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert sorted(body) == ["correlationId", "hint", "message", "timestamp"]
    assert body["message"]
    assert body["correlationId"] == response.headers["X-Correlation-ID"]
    assert datetime.datetime.fromisoformat(body["timestamp"].replace("Z", "+00:00")).tzinfo
    assert "Traceback" not in response.text
    return body


def test_a_tile_by_address(tiles):
    answer = tiles.post(json={"z": 3, "x": 5, "y": 4}).json()
    assert sorted(answer) == ["prediction", "report", "service", "tile", "timing"]
    rfc7946.check(answer["prediction"])
    (feature,) = answer["prediction"]["features"]
    assert feature["properties"]["shape"] == [272, 272, 3]
    assert feature["properties"]["valid"] == 272 * 272
    west, _, _, north = answer["tile"]["bounds"]
    assert (west, north) == (45.0, 0.0)
    lng, lat = feature["geometry"]["coordinates"][0][0]
    assert lng == pytest.approx(45 - 8 / 256 * 45)  # the ring starts at the padded image's corner
    assert lat > 0
    assert {"fetch", "queue", "predict", "format", "total"} <= set(answer["timing"])
    assert answer["report"]["features_in"] == answer["report"]["features_out"] == 1
    assert answer["service"]["predictor"] == "readers:Array"


def test_a_place_gives_its_tile(tiles):
    by_place = tiles.post(json={"lon": 50.0, "lat": -3.0}).json()
    assert [by_place["tile"][key] for key in "zxy"] == [3, 5, 4]
    edge = tiles.post(json={"lon": 180.0, "lat": 0.5}).json()
    assert [edge["tile"][key] for key in "zxy"] == [3, 7, 3]


def test_the_padding_wraps_at_the_antimeridian_and_ends_at_the_poles(tiles):
    corner = tiles.post(json={"z": 3, "x": 0, "y": 0}).json()
    rfc7946.check(corner["prediction"])
    (feature,) = corner["prediction"]["features"]
    assert feature["properties"]["valid"] == 272 * 264  # 8 rows lie beyond the map
    longitudes = [lng for lng, _ in feature["geometry"]["coordinates"][0]]
    assert max(longitudes) == 180.0  # the padding left of the map's left edge shows the other end of the world
    assert min(longitudes) == pytest.approx(180 - 8 / 256 * 45)


def test_a_missing_neighbour_is_counted_and_a_missing_centre_is_not_found(tiles):
    beside = tiles.post(json={"z": 3, "x": 3, "y": 2}).json()
    assert beside["report"]["missing_neighbours"] == ["W"]
    assert beside["prediction"]["features"][0]["properties"]["valid"] == 272 * 272 - 8 * 256
    assert "3/2/2" in check_error(tiles.post(json={"z": 3, "x": 2, "y": 2}), 404)["message"]


def test_an_image_in_base64_and_as_the_body_answers_in_pixels(tiles):
    for options in (
        {"json": {"image": base64.b64encode(png()).decode()}},
        {"json": {"image": "data:image/png;base64," + base64.encodebytes(png()).decode()}},
        {"json": {"image": base64.urlsafe_b64encode(png()).decode().rstrip("=")}},
        {"data": png(), "headers": {"Content-Type": "image/png"}},
        {"data": png(), "headers": {"Content-Type": "application/octet-stream"}},
    ):
        answer = tiles.post(**options).json()
        (feature,) = answer["prediction"]["features"]
        assert feature["properties"]["pixel"] == [9, 8, 7]
        assert sorted(map(tuple, feature["geometry"]["coordinates"][0][:-1])) == [(0, 0), (0, 8), (8, 0), (8, 8)]
        assert answer["tile"] == {"coordinates": "pixels", "padding": 0}
    padded = tiles.post(data=png((272, 272)), headers={"Content-Type": "image/png"}).json()
    assert padded["tile"]["padding"] == 8


def test_geojson_alone_for_who_asks_for_it(tiles):
    response = tiles.post(json={"z": 3, "x": 5, "y": 4}, headers={"Accept": "application/geo+json"})
    assert response.headers["Content-Type"] == "application/geo+json"
    rfc7946.check(response.json())


def test_a_tile_has_an_address_that_can_be_kept(tiles):
    response = tiles.get("/predictions/3/5/4.geojson")
    assert response.headers["Content-Type"] == "application/geo+json"
    rfc7946.check(response.json())
    again = tiles.get("/predictions/3/5/4.geojson", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    check_error(tiles.get("/predictions/3/2/2.geojson"), 404)
    check_error(tiles.get("/predictions/3/8/0.geojson"), 400)


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"data": b""}, 400, "empty"),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "not JSON"),
        ({"json": None, "data": b"null"}, 400, "object"),
        ({"json": {}}, 400, "none of the forms"),
        ({"json": {"z": 3, "x": 1}}, 400, "only a part of z, x and y"),
        ({"json": {"z": 3, "x": 1, "y": 1, "lon": 0.0, "lat": 0.0}}, 400, "one is needed"),
        ({"json": {"z": "3", "x": 1, "y": 1}}, 400, "Expected `int"),
        ({"json": {"z": 3, "x": 1, "y": 1, "zoom": 3}}, 400, "zoom"),
        ({"json": {"z": 4, "x": 1, "y": 1}}, 400, "works at zoom 3"),
        ({"json": {"z": 3, "x": 8, "y": 1}}, 400, "x and y go from 0 to 7"),
        ({"json": {"z": 3, "x": -1, "y": 1}}, 400, "does not exist"),
        ({"json": {"lon": 181.0, "lat": 0.0}}, 400, "longitude 181"),
        ({"json": {"lon": 0.0, "lat": 86.0}}, 400, "latitude 86"),
        ({"json": {"image": "§"}}, 400, "base64"),
        ({"json": {"image": base64.b64encode(b"<html>").decode()}}, 400, "image"),
        ({"data": b"no image", "headers": {"Content-Type": "image/png"}}, 400, "image"),
        ({"data": png()[:60], "headers": {"Content-Type": "image/png"}}, 400, "image"),
        ({"data": "a=1", "headers": {"Content-Type": "text/plain"}}, 415, "text/plain"),
    ],
)
def test_what_is_wrong_is_said(tiles, options, status, words):
    body = check_error(tiles.post(**options), status)
    assert words in body["message"] + body["hint"]


def test_the_frameworks_own_errors_have_the_same_shape(tiles):
    check_error(tiles.get("/no/such/page"), 404)
    response = tiles.get("/predict")
    check_error(response, 405)
    assert "POST" in response.headers["Allow"]
    huge = {"Content-Type": "image/png", "Content-Length": str(33 * 1024 * 1024)}
    with requests.Session() as session:
        request = requests.Request("POST", tiles.url + "/predict", headers=huge, data=b"x").prepare()
        request.headers["Content-Length"] = huge["Content-Length"]
        check_error(session.send(request, timeout=30), 413)


def test_the_correlation_id_is_taken_or_made(tiles):
    given = tiles.post(json={}, headers={"X-Correlation-ID": "abc-1"})
    assert check_error(given, 400)["correlationId"] == "abc-1"
    made = [
        tiles.get("/ping", headers={"X-Correlation-ID": bad}).headers["X-Correlation-ID"]
        for bad in ("", "a b", "x" * 200)
    ]
    assert len(set(made)) == 3
    assert all(len(each) == 32 for each in made)


def test_health(tiles):
    for path in ("/-/alive", "/liveness_check", "/ping"):
        assert tiles.get(path).json() == {"status": "alive"}
    for path in ("/-/ready", "/readiness_check", "/readiness_check/"):
        told = tiles.get(path)
        assert told.status_code == 200
        assert told.json()["predictor"]["phase"] in ("ready", "busy")
    assert tiles.get("/version").json()["zoom_level"] == 3
    assert tiles.get("/").json()["endpoints"]


def test_a_segfault_costs_its_own_request_and_health_never_fails(serve, imagery_file):
    service = serve("misbehaving:Segfaults", TILES=str(imagery_file))
    service.wait_loaded()
    pid = service.get("/readiness_check").json()["predictor"]["pid"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # Killed from outside, in the middle of requests: one of them pays.
        pending = [pool.submit(service.post, json={"z": 3, "x": 1, "y": 1}) for _ in range(20)]
        os.kill(pid, signal.SIGSEGV)
        while not all(each.done() for each in pending):
            assert service.get("/liveness_check").status_code == 200
            assert service.get("/readiness_check").json()["status"] in ("ready", "not ready")
    responses = [each.result() for each in pending]
    assert sum(each.status_code != 200 for each in responses) <= 1
    for each in responses:
        if each.status_code != 200:
            assert "SIGSEGV" in check_error(each, 500)["message"]
    assert responses[-1].status_code == 200
    told = service.wait_loaded()["predictor"]
    assert told["restarts"] == 1
    assert told["pid"] != pid


def test_a_predictors_own_failures(serve):
    image = {"data": png(), "headers": {"Content-Type": "image/png"}}
    refuses = serve("readers:Refuses")
    refuses.wait_loaded()
    assert check_error(refuses.post(**image), 422)["hint"] == "send a clearer tile"
    raises = serve("misbehaving:Raises")
    raises.wait_loaded()
    assert "no such key" in check_error(raises.post(**image), 500)["message"]
    assert "misbehaving.py" in raises.log.read_text()
    nothing = serve("readers:Nothing")
    nothing.wait_loaded()
    answer = nothing.post(**image).json()
    assert answer["prediction"]["features"] == []
    assert "NoneType" in answer["report"]["warnings"][0]


def test_a_predictor_that_cannot_be_loaded_leaves_a_service_that_says_why(serve):
    service = serve("misbehaving:RaisesInConstructor")
    told = service.wait_loaded()
    assert told["status"] == "not ready"
    assert "weights.h5 is not here" in told["predictor"]["error"]
    assert "misbehaving.py" in told["predictor"]["traceback"]
    assert service.get("/readiness_check").status_code == 503
    assert service.get("/liveness_check").status_code == 200
    response = service.post(data=png(), headers={"Content-Type": "image/png"})
    assert "weights.h5" in check_error(response, 503)["message"]
    assert response.headers["Retry-After"]


def test_no_process_outlives_the_service(serve):
    service = serve("misbehaving:Sleeps")
    pid = service.wait_loaded()["predictor"]["pid"]
    service.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert service.process.returncode == 0


def test_inline_isolation_for_debuggers(serve, imagery_file):
    service = serve("readers:Array", TILES=str(imagery_file), PREDICTOR_ISOLATION="none")
    told = service.wait_loaded()
    assert told["status"] == "ready"
    rfc7946.check(service.post(json={"z": 3, "x": 5, "y": 4}).json()["prediction"])


def test_the_tile_of_the_answer_is_where_mercantile_says(tiles):
    answer = tiles.post(json={"z": 3, "x": 6, "y": 1}).json()
    assert answer["tile"]["bounds"] == pytest.approx(list(mercantile.bounds(6, 1, 3)))
