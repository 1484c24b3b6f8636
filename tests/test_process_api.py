"""The Tile Geo Process API, of 2019 and of 2018, as a platform that speaks it sees a real service."""

from __future__ import annotations

import base64
import concurrent.futures
import io
import json

import pytest
import requests
import yaml
from PIL import Image
from test_service import check_error

from playground.predictor import ServedTile

DESCRIPTION = {
    "title": "Ships",
    "family": "object-detection",
    "version": "2.1",
    "description": "Ships of 10 m and more",
    "organization": "Harbour Vision",
    "email": "ships@example.com",
    "keywords": ["ship", "sea"],
    "tags": ["ship", {"title": "wake", "description": "what a ship leaves behind"}],
    "requirements": {"resolution": {"optimal": 1.5, "min": 1, "max": 2.5}, "metadata": ["incidenceAngle"]},
    "resources": {"gpu_enabled": True, "ram_gpu": 11534336, "max_batch_size": 4},
}
TEXT, NUMBER, INTEGER, LIST, OBJECT, BOOLEAN = str, (int, float), int, list, dict, bool
SIZES = {"optimal": NUMBER, "min": NUMBER, "max": NUMBER}
REQUIRED = {
    "name": TEXT,
    "title": TEXT,
    "family": TEXT,
    "version": TEXT,
    "description": TEXT,
    "organization": TEXT,
    "email": TEXT,
    "requirements": {"tile_size": {"optimal": INTEGER, "min": INTEGER, "max": INTEGER}, "resolution": SIZES},
    "capabilities": {"tags": LIST},
    "resources": {"gpu_enabled": BOOLEAN, "cpu_enabled": BOOLEAN, "ram": INTEGER},
    "input": {"resolution": NUMBER, "tiles": LIST},
    "output": {"content": {"type": TEXT, "features": LIST}},
    "_links": {"self": {"href": TEXT}},
}
"""What that API's own schema (1.0.1) requires of /api/v1/describe."""


def check_required(told, required=REQUIRED, place="$"):
    for key, kind in required.items():
        assert key in told, f"{place}.{key}"
        if isinstance(kind, dict):
            check_required(told[key], kind, f"{place}.{key}")
        else:
            assert isinstance(told[key], kind), f"{place}.{key}"


def encoded(colour=(9, 8, 7), size=(32, 32), kind="PNG", mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, kind)
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture(scope="module")
def service(serve):
    found = serve("readers:Images", PADDING="4")
    assert found.wait_loaded()["status"] == "ready"
    return found


@pytest.fixture(scope="module")
def described(serve):
    found = serve("readers:Images", DESCRIPTION=json.dumps(DESCRIPTION), PADDING="4", WORKERS="2")
    assert found.wait_loaded()["status"] == "ready"
    return found


def process(service, payload, **options):
    return service.post("/api/v1/process", json=payload, **options)


def check_collection(collection):
    """That API's own words on the answer."""
    assert collection["type"] == "FeatureCollection"
    for feature in collection["features"]:
        category, confidence = feature["properties"]["category"], feature["properties"]["confidence"]
        assert isinstance(category, list)
        assert all(isinstance(each, str) for each in category)
        assert feature["properties"]["tags"] == category
        assert isinstance(confidence, float)
        assert 0 <= confidence <= 1
    return collection["features"]


def test_one_image(service):
    response = process(service, {"resolution": 0.5, "tiles": [encoded(size=(264, 264))]})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    (feature,) = check_collection(response.json())
    assert feature["geometry"]["coordinates"][0][0] == [0.0, 0.0]
    told = feature["properties"]
    assert (told["images"], told["first"], told["padding"], told["resolution"]) == (1, True, 4, 0.5)
    assert told["metadata"] == {}
    assert told["category"] == ["images"]


def test_two_images_and_their_metadata(service):
    metadata = {"acquisitionDate": ["2024-05-01", "2024-06-01"], "incidenceAngle": [12.5, 3], "more": {"a": None}}
    tiles = [encoded((1, 2, 3)), encoded((4, 5, 6), kind="WEBP")]
    for _ in range(2):  # the second time what was read is sent along
        (feature,) = process(service, {"resolution": 2, "tiles": tiles, "metadata": metadata}).json()["features"]
        told = feature["properties"]
        assert told["images"] == 2
        assert told["pixels"][0] == [1, 2, 3]
        assert told["pixels"][1] == pytest.approx([4, 5, 6], abs=3)
        assert told["heads"] == ["PNG", "IFF"]
        assert told["metadata"] == metadata
    # … and one image after two is answered as before
    (feature,) = process(service, {"resolution": 2, "tiles": tiles[:1]}).json()["features"]
    assert feature["properties"]["images"] == 1


def test_an_array_is_answered_in_its_order_and_errors_stay_where_they_belong(service):
    good = {"resolution": 1, "tiles": [encoded()]}
    payloads = [
        good,
        {"resolution": 1, "tiles": [base64.b64encode(b"<html>").decode()]},
        {"resolution": 1},
        {"resolution": 1, "tiles": [encoded((66, 0, 0))]},
        {"resolution": 1, "tiles": ["§"]},
        good | {"tiles": [encoded((1, 1, 1))]},
    ]
    response = process(service, payloads, headers={"X-Correlation-ID": "array-1"})
    assert response.status_code == 200
    answers = response.json()
    assert [each.get("status", 200) for each in answers] == [200, 400, 400, 422, 400, 200]
    for answer in answers:
        if "status" in answer:
            assert sorted(answer) == ["correlationId", "hint", "message", "status", "timestamp"]
            assert answer["correlationId"] == "array-1"
        else:
            check_collection(answer)
    assert answers[5]["features"][0]["properties"]["pixels"] == [[1, 1, 1]]
    assert "4 of 6 payloads failed" in service.log.read_text()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ("[", "not JSON"),
        ("[]", "0 payloads"),
        (json.dumps([{}] * 65), "65 payloads"),
        ("3", "Expected `object`"),
        (json.dumps({"tiles": [encoded()]}), "resolution"),
        (json.dumps({"resolution": 0, "tiles": [encoded()]}), "resolution"),
        (json.dumps({"resolution": 1, "tiles": []}), "tiles"),
        (json.dumps({"resolution": 1, "tiles": [encoded()] * 3}), "reads 1 or 2"),
        (json.dumps({"resolution": 1, "tiles": [encoded(), encoded(size=(8, 8))]}), "32 x 32 and 8 x 8"),
        (json.dumps({"resolution": 1, "tiles": [encoded()], "metadata": {"a": 10**30}}), "metadata"),
        ('{"resolution": 1, "tiles": ["a"], "metadata": ' + "[" * 9000 + "]" * 9000 + "}", "not JSON"),
        ('{"resolution": 1, "tiles": [], "metadata": {"a": ' + "[" * 300 + "]" * 300 + "}}", "tiles"),
        (
            '{"resolution": 1, "tiles": ["' + encoded() + '"], "metadata": {"a": ' + "[" * 300 + "]" * 300 + "}}",
            "metadata",
        ),
        ("[" * 100000, "not JSON"),
    ],
)
def test_what_is_wrong_with_a_payload_is_said(service, body, words):
    body = check_error(service.post("/api/v1/process", data=body, headers={"Content-Type": "application/json"}), 400)
    assert words in body["message"] + body["hint"]


def test_other_refusals(service):
    check_error(service.post("/api/v1/process", data=b"x", headers={"Content-Type": "image/png"}), 415)
    check_error(service.get("/api/v1/process"), 405)
    body = check_error(process(service, {"resolution": 1, "tiles": [encoded((66, 0, 0))]}), 422)
    assert body["message"] == "too red"
    deep = check_error(service.post("/predict", data=b'{"image":' + b"[" * 100000), 400)
    assert "image" in deep["message"]


def test_base64_as_it_is_met_in_the_field(service):
    plain = encoded()
    for text in ("data:image/png;base64," + plain, plain.rstrip("="), plain[:20] + "\n" + plain[20:]):
        assert check_collection(process(service, {"resolution": 1, "tiles": [text]}).json())


def test_health_is_ok_only_when_it_is(service, serve):
    told = service.get("/api/v1/health")
    assert (told.status_code, told.text, told.headers["Content-Type"].partition(";")[0]) == (200, "OK", "text/plain")
    broken = serve("misbehaving:RaisesInConstructor")
    broken.wait_loaded()
    assert check_error(broken.get("/api/v1/health"), 503)["hint"]
    payload = {"resolution": 1, "tiles": [encoded()]}
    for body in (payload, [payload, payload]):
        response = process(broken, body)
        assert "weights.h5" in check_error(response, 503)["message"]
        assert response.headers["Retry-After"]


def test_describe_without_a_word_from_the_partner(service):
    told = service.get("/api/v1/describe").json()
    check_required(told)
    assert told["name"] == "readers"
    assert told["batched"] is True
    assert told["requirements"]["tile_size"] == {"optimal": 264, "min": 264, "max": 264}
    assert told["requirements"]["overlap_size"] == 8
    assert told["requirements"]["resolution"]["max"] == pytest.approx(156543.03 / 8, rel=1e-4)
    assert told["resources"]["ram"] > 20e6  # two Pythons


def test_describe_with_all_that_the_partner_says(described):
    told = described.get("/api/v1/describe", headers={"X-Forwarded-Prefix": "/ships"}).json()
    check_required(told)
    for key in ("title", "family", "version", "description", "organization", "email", "keywords"):
        assert told[key] == DESCRIPTION[key]
    assert told["capabilities"]["tags"] == [{"title": "ship"}, DESCRIPTION["tags"][1]]
    assert told["requirements"]["resolution"] == DESCRIPTION["requirements"]["resolution"]
    assert told["requirements"]["metadata"] == ["incidenceAngle"]
    assert told["requirements"]["max_concurrent_requests"] == 2
    assert told["resources"]["gpu_enabled"] is True
    assert told["_links"]["execution"] == {
        "href": "/ships/api/v1/process",
        "method": "POST",
        "type": "application/json",
    }
    assert described.get("/version").json()["version"] == "2.1"
    text = described.get("/version", headers={"Accept": "text/plain"})
    assert text.text.startswith("readers 2.1")
    # What it says of itself it keeps to: object detection reads one image.
    body = {"resolution": 1, "tiles": [encoded(), encoded()]}
    assert "reads 1" in check_error(process(described, body), 400)["message"]


def test_the_description_travels_from_the_partners_file_to_the_running_service(tmp_path):
    from playground.errors import SettingsError
    from playground.settings import load_running, load_service
    from playground.settings.description import description_of
    from playground.wrap.render import render_runtime

    least = "ZOOM_LEVEL: 3\nPREDICTOR_PACKAGE: a.b\nPREDICTOR_CLASS: C\n"
    path = tmp_path / "service.yaml"
    path.write_text(least + "description: " + json.dumps(DESCRIPTION))
    files = render_runtime(load_service(path))
    (tmp_path / "app.yaml").write_bytes(files["app.yaml"])
    running = load_running(tmp_path / "app.yaml", {})
    assert running.description == DESCRIPTION
    assert description_of(running.description).requirements.resolution.max == 2.5
    wrong = {"titel": "x", "family": "ships", "email": 3, "requirements": {"number_of_images": 9}}
    path.write_text(least + yaml.safe_dump({"description": wrong}, sort_keys=False))
    with pytest.raises(SettingsError) as caught:
        load_service(path)
    assert [problem.partition("description.")[2].partition(":")[0] for problem in caught.value.problems] == [
        "titel",
        "family",
        "email",
        "requirements.number_of_images",
    ]
    assert [int(problem.split(":")[1]) for problem in caught.value.problems] == [5, 6, 7, 8]
    assert caught.value.problems[1].endswith("found 'ships', allowed: change-detection, object-detection, segmentation")


def test_the_links_lead_somewhere(service):
    for name, link in service.get("/api/v1/describe").json()["_links"].items():
        if link["method"] == "GET":
            response = service.get(link["href"])
            assert response.status_code == 200, name
            assert response.headers["Content-Type"].startswith(link["type"])


def test_the_form_of_2018(service):
    assert service.get("/api/config").json() == {"zoom": [3], "padding": 4}
    job = {"zoom": 3, "tileFormat": "image/png", "tile": encoded()}
    (feature,) = check_collection(service.post("/api/jobs", json=job).json())
    assert feature["properties"]["valid"] == 32 * 32
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 10, 5))
    buffer = io.BytesIO()
    mask.save(buffer, "PNG")
    masked = job | {"mask": base64.b64encode(buffer.getvalue()).decode()}
    assert service.post("/api/jobs", json=masked).json()["features"][0]["properties"]["valid"] == 50
    change = {"zoom": 3, "tile1Format": "image/png", "tile1": encoded((1, 1, 1)), "tile2Format": "image/png"}
    answer = service.post("/api/jobs", json=change | {"tile2": encoded((2, 2, 2))}).json()
    assert answer["features"][0]["properties"]["pixels"] == [[1, 1, 1], [2, 2, 2]]
    for bad, words in (
        (job | {"zoom": 4}, "zoom 3, not 4"),
        ({"zoom": 3, "tile": encoded()}, "tileFormat"),
        (change, "tile2"),
        (job | {"mask": encoded(8, (8, 8), mode="L")}, "the mask is 8 x 8"),
        (job | {"mask": "AAAA"}, "not an image"),
    ):
        assert words in check_error(service.post("/api/jobs", json=bad), 400)["message"]
    for broken in (b'{"tile1": ', b'{"a":' + b"[" * 9000, b'{"tile1": "", "a":' + b"[" * 9000):
        assert "not JSON" in check_error(service.post("/api/jobs", data=broken), 400)["message"]


def test_the_configuration_cannot_be_changed_from_outside(service):
    for body, status in (({"zoom": [3], "padding": 4}, 200), ({"zoom": [4], "padding": 4}, 400), ([], 400)):
        assert requests.put(service.url + "/api/config", json=body, timeout=30).status_code == status


def test_predictions_by_this_api_are_measured(service):
    metrics = service.get("/metrics").text
    assert 'playground_requests_total{endpoint="process",outcome="ok"}' in metrics
    assert 'playground_requests_total{endpoint="jobs",outcome="bad_request"}' in metrics


def test_a_partners_tile_in_its_own_tests():
    from playground import Tile

    tile = Tile("a")
    assert tile.metadata == {}
    assert tile.tiles == [tile]
    assert Tile("a", metadata={"sunAzimuth": [1]}).metadata == {"sunAzimuth": [1]}


def test_several_images_in_every_python(start_predictor, python):
    predictor = start_predictor("readers:Pairs", python=python)
    metadata = {"incidenceAngle": [1.5, None], "words": "ä"}
    for _ in range(2):
        second = ServedTile("", bytearray(b"four"), resolution=0.5)
        first = ServedTile("", bytearray(b"three"), metadata=metadata)
        first.tiles.append(second)
        (feature,) = predictor.predict(first)["features"]
        assert feature["properties"]["lengths"] == [5, 4]
        assert feature["properties"]["metadata"] == metadata
        assert feature["properties"]["resolutions"] == 0.5


def test_several_images_without_isolation(serve):
    service = serve("readers:Images", PREDICTOR_ISOLATION="none")
    service.wait_loaded()
    payload = {"resolution": 2, "tiles": [encoded((1, 2, 3)), encoded((4, 5, 6))], "metadata": {"a": [1]}}
    (feature,) = process(service, payload).json()["features"]
    assert feature["properties"]["pixels"] == [[1, 2, 3], [4, 5, 6]]
    assert feature["properties"]["metadata"] == {"a": [1]}


def test_an_array_is_one_request_and_ends_with_its_time(serve):
    service = serve("misbehaving:Slow", TIMEOUT="2", BACKLOG="0", WARMUP="none")
    service.wait_loaded()
    payload = {"resolution": 1, "tiles": [encoded()]}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(process, service, [payload] * 9)
        while service.get("/readiness_check").json()["predictor"]["phase"] != "busy":
            assert not pending.done()
        # It holds the one place that there is, from its first payload to its last.
        assert "wait" in check_error(process(service, [payload, payload]), 503)["message"]
        answers = pending.result().json()
    statuses = [each.get("status", 200) for each in answers]
    assert statuses == sorted(statuses)
    assert (statuses[0], statuses[-1]) == (200, 504)
    assert "before this payload's turn" in answers[-1]["message"]
    assert service.wait_loaded()["predictor"]["restarts"] == 0
