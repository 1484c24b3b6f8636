"""The pages as files and answers; in a browser they are tested by test_map.py."""

from __future__ import annotations

import json
import re

import pytest
from test_service import check_error

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def service(serve, imagery_file):
    found = serve("readers:Array", TILES=str(imagery_file), PADDING="4", VALIDATE_RESPONSES="on")
    assert found.wait_loaded()["status"] == "ready"
    return found


def test_the_front_page_is_html_for_browsers_and_json_for_the_rest(service):
    page = service.get("/", headers=BROWSER)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "Accept" in page.headers["Vary"]
    for accept in ("*/*", "application/json", "image/png"):
        assert service.get("/", headers={"Accept": accept}).json()["endpoints"]["predict"] == "POST /predict"


def test_each_of_several_predictors_has_pages_of_its_own(serve, imagery_file):
    one = {"name": "array", "namespace": "tests", "PREDICTOR_PACKAGE": "readers", "PREDICTOR_CLASS": "Array"}
    given = {"PREDICTORS": json.dumps([one]), "VALIDATE_RESPONSES": "on"}
    service = serve("unused:Nothing", TILES=str(imagery_file), **given)
    service.wait_loaded()
    without = service.get("/tests/array/v1", headers=BROWSER, allow_redirects=False)
    assert (without.status_code, without.headers["Location"]) == (308, "v1/")
    page = service.get("/tests/array/v1/", headers=BROWSER)
    (style,) = re.findall(r'"(static/[^"]+/map.css)"', page.text)
    assert service.get(f"/tests/array/v1/{style}").status_code == 200
    told = service.get("/tests/array/v1/map.json").json()
    assert (told["root"], told["service"]["address"]) == ("../../../", "/tests/array/v1")
    assert service.get("/tests/array/v1/tiles/3/4/4").status_code == 200


@pytest.mark.parametrize("path", ["/", "/developer"])
def test_pages_hold_no_script_no_style_and_no_address_of_elsewhere(service, path):
    html = service.get(path, headers=BROWSER).text
    assert "{{" not in html
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=|javascript:|//", html.replace("<!doctype", ""))
    files = re.findall(r'(?:src|href)="(static/[^"]+)"', html)
    assert len(files) >= 4
    for file in files:
        answer = service.get("/" + file)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.content


def test_modules_are_found_and_kept(service):
    html = service.get("/", headers=BROWSER).text
    folder = re.search(r"static/\w+/", html)[0]
    seen, left = set(), ["app.js", "developer.js"]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            answer = service.get(f"/{folder}{name}")
            assert answer.headers["Content-Type"].startswith("text/javascript"), name
            left += re.findall(r'from "\./([\w.]+)"', answer.text)
    assert {"cover.js", "results.js", "words.js"} < seen
    old = service.get("/static/000000000000/app.js")
    assert (old.status_code, old.headers["Cache-Control"]) == (200, "no-cache")
    for name in ("nothing.js", "..%2fviews.py", "map.py"):
        check_error(service.get(f"/{folder}{name}"), 404)


def test_imagery_comes_through_the_service_at_any_zoom(service):
    for path in ("/tiles/0/0/0", "/tiles/3/4/4"):
        tile = service.get(path)
        assert tile.headers["Content-Type"] == "image/png"
        assert tile.headers["Cache-Control"] == "max-age=3600"
        again = service.get(path, headers={"If-None-Match": tile.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
    check_error(service.get("/tiles/3/2/2"), 404)
    check_error(service.get("/tiles/3/8/0"), 400)


def test_facts(service):
    told = service.get("/map.json").json()
    assert told["service"]["zoom_level"] == 3
    assert told["imagery"]["maxzoom"] == 3
    assert told["root"] == ""


def test_recent_requests_are_remembered(service):
    service.post(json={"z": 3, "x": 4, "y": 4})
    check_error(service.post(json={"z": 9, "x": 4, "y": 4}), 400)
    told = service.get("/developer.json").json()
    newest, before = told["requests"][:2]
    assert (newest["status"], newest["outcome"]) == (400, "bad_request")
    assert (before["tile"], before["features"], before["timing"]["total"] > 0) == ("3/4/4", 1, True)
    assert told["log"] is None
    assert told["ready"]["phase"] in ("ready", "busy")


def test_pages_are_open_and_what_they_show_is_not(serve, imagery_file):
    key = "k" * 20
    service = serve("readers:Array", TILES=str(imagery_file), AUTH="api-key", API_KEYS=key, DEVELOPER_LOG="true")
    service.wait_loaded()
    page = service.get("/", headers=BROWSER)
    assert page.status_code == 200
    assert "readers" not in page.text
    assert service.get("/developer").status_code == 200
    assert service.get("/static/0/style.css").status_code == 200
    for path in ("/", "/map.json", "/developer.json", "/tiles/3/4/4"):
        check_error(service.get(path), 401)
    check_error(service.post("/join", json={"tiles": []}), 401)
    check_error(service.post("/", json={}, headers=BROWSER), 401)
    known = {"X-API-Key": key}
    service.post(json={"z": 3, "x": 4, "y": 4}, headers=known)
    told = service.get("/developer.json", headers=known).json()
    assert any("POST /predict 200" in line["text"] for line in told["log"])
    assert key not in str(told)


def test_callers_see_their_own_requests_only(serve, imagery_file):
    keys = {"one": "1" * 20, "two": "2" * 20}
    given = ",".join(f"{name}:{key}" for name, key in keys.items())
    service = serve("readers:Array", TILES=str(imagery_file), AUTH="api-key", API_KEYS=given)
    service.wait_loaded()
    service.post(json={"z": 3, "x": 4, "y": 4}, headers={"X-API-Key": keys["one"]})
    seen = {
        name: service.get("/developer.json", headers={"X-API-Key": key}).json()["requests"]
        for name, key in keys.items()
    }
    assert [each["tile"] for each in seen["one"]] == ["3/4/4"]
    assert seen["two"] == []


def box(bounds, category="a", confidence=0.5):
    west, south, east, north = bounds
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    properties = {"category": category, "categories": [category], "confidence": confidence, "score": confidence}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


def joined(service, *tiles):
    answer = service.post("/join", json={"tiles": [{"x": x, "y": y, "features": list(found)} for x, y, found in tiles]})
    assert answer.status_code == 200, answer.text
    return answer.json()["features"]


def test_joining_is_that_of_areas(service):
    # Tiles 3/4/3 and 3/5/3 meet at 45 degrees east; 4 pixels of padding are 0.7 degrees.
    one, other = (40, 10, 45.7, 20), (44.3, 10, 50, 20)
    (whole,) = joined(service, (4, 3, [box(one, confidence=0.4)]), (5, 3, [box(other, confidence=0.6)]))
    xs = [x for x, _ in whole["geometry"]["coordinates"][0]]
    assert (min(xs), max(xs)) == pytest.approx((40, 50), abs=1e-3)
    assert whole["properties"]["confidence"] == pytest.approx(0.5)
    assert whole["properties"]["tiles"] == ["3/4/3", "3/5/3"]
    apart = joined(service, (4, 3, [box(one, "a")]), (5, 3, [box(other, "b")]))
    assert sorted(each["properties"]["category"] for each in apart) == ["a", "b"]
    shown_twice = box((45.1, 10, 45.6, 20))
    assert len(joined(service, (4, 3, [shown_twice]), (5, 3, [shown_twice]))) == 1
    around = joined(service, (7, 3, [box((175, 10, 180.7, 20))]), (0, 3, [box((-180.7, 10, -175, 20))]))
    assert [each["properties"]["tiles"] for each in around] == [["3/0/3", "3/7/3"]]
    assert joined(service) == []


def test_what_cannot_be_joined_is_told(service):
    feature = box((1, 1, 2, 2))
    for tiles in (
        [{"x": 99, "y": 0, "features": []}],
        [{"x": 1, "y": 0, "features": []}] * 2,
        [{"x": 1, "y": 0, "features": [{"type": "Feature"}]}],
        [{"x": 1, "y": 0, "features": [feature | {"geometry": {"type": "Polygon", "coordinates": "no"}}]}],
        [{"x": 1, "y": 0, "features": [feature | {"geometry": None}]}],
        [{"x": 1, "y": 0, "features": [feature | {"properties": None}]}],
        [{"x": 1, "y": 0, "features": [box((1, 1, 2, 91))]}],
        [{"x": "1"}],
    ):
        check_error(service.post("/join", json={"tiles": tiles}), 400)
