"""A real service in front of a hostile tile server: whatever comes, callers get an answer that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
import requests
from hostile import HOSTILE, picture
from service import RunningService
from tileserver import Answer, TileServer

ZOOM = 5
NAMES = list(HOSTILE)
STATUS = {"ok": 200, "missing": 404, "blank": 404, "timeout": 504}
"""By outcome; 502 is all the rest."""


class Place(NamedTuple):
    """Where a hostile answer is; its western neighbour is a good tile, all others around are missing."""

    x: int
    y: int


PLACES = {name: Place(4 * (i % 8) + 2, 3 * (i // 8) + 1) for i, name in enumerate(NAMES)}


def answer(path: str) -> object:
    x, y = map(int, path.partition("?")[0].split("/")[2:4])
    for name, place in PLACES.items():
        if (x, y) == place:
            return HOSTILE[name][0]
        if (x + 1, y) == place:
            return picture()
    return None


@pytest.fixture(scope="module")
def service(serve) -> Iterator[RunningService]:
    with TileServer(answer) as server:
        started = serve(
            "readers:Bytes", TILES=server.template, ZOOM_LEVEL=str(ZOOM), PADDING="4", TIMEOUT="20", FETCH_TIMEOUT="3"
        )
        assert started.wait_loaded()["status"] == "ready"
        yield started


@pytest.fixture(scope="module")
def responses(service) -> dict[tuple[str, str], requests.Response]:
    """What the service answers for each hostile tile, and for the good tile that has it as a neighbour."""

    def ask(what: tuple[str, str]) -> requests.Response:
        name, role = what
        x, y = PLACES[name]
        return service.post(json={"z": ZOOM, "x": x if role == "tile" else x - 1, "y": y})

    asked = [(name, role) for name in NAMES for role in ("tile", "neighbour")]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(asked, pool.map(ask, asked), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_tile_is_never_our_own_failure(responses, name: str) -> None:
    response = responses[name, "tile"]
    assert response.status_code == STATUS.get(HOSTILE[name][1], 502), response.text
    if response.status_code != 200:
        assert sorted(response.json()) == ["correlationId", "hint", "message", "timestamp"]
        assert f"{ZOOM}/{PLACES[name].x}/{PLACES[name].y}" in response.json()["message"]
    assert response.elapsed.total_seconds() < 15


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_neighbour_is_a_failure_and_a_missing_one_is_reported(responses, name: str) -> None:
    response = responses[name, "neighbour"]
    expected = STATUS.get(HOSTILE[name][1], 502)
    assert response.status_code == (200 if expected == 404 else expected), response.text
    if expected == 404:
        assert "E" in response.json()["report"]["missing_neighbours"]


def test_the_service_is_well_after_all_that(responses, service) -> None:
    assert service.get("/readiness_check").status_code == 200
    log = service.log.read_text()
    assert "Traceback" not in log
    assert " 500: " not in log


SECRETS = {
    "TILES_HEADERS": "X-Key: hunter2-header",
    "TILES_TOKEN_URL": "{address}/token",
    "TILES_CLIENT_ID": "me",
    "TILES_CLIENT_SECRET": "hunter2-client",
}


def test_secrets_are_seen_nowhere(serve) -> None:
    def tiles(path: str) -> object:
        found: dict[str, object] = {
            "/token": b'{"access_token": "hunter2-token"}',
            "/5/1/1": picture(),
            "/5/2/1": b"<html>Sorry",
            "/5/4/1": Answer(status=403),
        }
        return found.get(path.partition("?")[0])

    with TileServer(tiles) as server:
        environ = {name: value.format(address=server.address) for name, value in SECRETS.items()}
        service = serve("readers:Bytes", TILES=server.template + "?api_key=hunter2-query", ZOOM_LEVEL="5", **environ)
        service.wait_loaded()
        seen = [service.post(json={"z": 5, "x": x, "y": 1}) for x in (1, 2, 3, 4)]
        assert [response.status_code for response in seen] == [200, 502, 404, 502]
        sent = [headers for headers in server.headers if "X-Key" in headers]
        assert [headers["X-Key"] for headers in sent] == ["hunter2-header"] * 4
        assert {headers["Authorization"] for headers in sent} == {"Bearer hunter2-token"}
        seen += [service.get(path) for path in ("/", "/version", "/-/ready", "/5/2/1", "/predictions/5/2/1.geojson")]
    text = service.log.read_text() + "".join(f"{response.headers} {response.text}" for response in seen)
    assert "api_key=***" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TILES_BEARER": "hunter2 hunter2"}, "TILES_BEARER: found ***"),
        ({"TILES_BEARER": "hunter2", "TILES_BASIC": "me:hunter2"}, "exclude each other"),
    ],
)
def test_a_service_with_secrets_that_cannot_work_says_which(serve, tmp_path, environ, words) -> None:
    from service import ROOT, subprocess, sys  # type: ignore[attr-defined]

    command = [
        sys.executable,
        "-I",
        "-m",
        "gunicorn",
        "--config",
        str(ROOT / "gunicorn.conf.py"),
        "--bind",
        "127.0.0.1:0",
    ]
    needed = {"PREDICTOR_PACKAGE": "a", "PREDICTOR_CLASS": "B", "ZOOM_LEVEL": "1", "TILES": "https://a.example/{q}"}
    needed["AUTH"] = "none"
    done = subprocess.run(
        [*command, "app:APP"], cwd=tmp_path, env=needed | environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert words in done.stderr + done.stdout
    assert "hunter2" not in done.stderr + done.stdout


@pytest.fixture(scope="module")
def by_url(serve) -> Iterator[tuple[RunningService, TileServer, TileServer]]:
    """A service that may fetch for its callers from the first of two servers; its tiles come from the second."""
    answers = {f"/{name.replace(' ', '-')}": answer for name, (answer, _, _) in HOSTILE.items()}
    with TileServer(lambda path: answers.get(path.partition("?")[0])) as allowed, TileServer({}) as source:
        allowed_hosts = allowed.address.removeprefix("http://")
        started = serve(
            "readers:Bytes", TILES=source.template, ALLOWED_HOSTS=allowed_hosts, TIMEOUT="4", FETCH_TIMEOUT="2"
        )
        assert started.wait_loaded()["status"] == "ready"
        yield started, allowed, source


def test_an_image_by_its_url(by_url) -> None:
    service, allowed, _ = by_url
    response = service.post(json={"url": allowed.address + "/whole?api_key=hunter2"})
    assert response.status_code == 200, response.text
    properties = response.json()["prediction"]["features"][0]["properties"]
    assert properties["length"] == len(picture())
    assert properties["url"] == allowed.address + "/whole?api_key=***"
    assert response.json()["tile"]["coordinates"] == "pixels"


GIVES_NO_IMAGE = {"404": 404, "empty": 404, "html": 400, "cut-picture": 400, "bomb": 400, "redirect-away": 400}
GIVES_NO_IMAGE |= {"403": 502, "500": 502, "hangs-up": 502, "endless": 502, "ring": 502, "slow-loris": 504}


@pytest.mark.parametrize(("name", "status"), GIVES_NO_IMAGE.items())
def test_a_url_that_gives_no_image(by_url, name: str, status: int) -> None:
    service, allowed, _ = by_url
    response = service.post(json={"url": f"{allowed.address}/{name}"})
    assert response.status_code == status, response.text
    assert response.json()["message"]


@pytest.mark.parametrize(
    "url",
    [
        "{source}/whole",
        "http://localhost:{port}/whole",
        "http://127.1:{port}/",
        "http://127.0.0.1:{port}@evil.example/",
        "http://169.254.169.254/",
        "https://example.com/a.jpg",
        "file:///etc/hosts",
        "",
    ],
)
def test_a_url_that_is_not_allowed(by_url, url: str) -> None:
    service, allowed, source = by_url
    before = allowed.connections
    url = url.format(source=source.address, port=allowed.address.rpartition(":")[2])
    response = service.post(json={"url": url})
    assert response.status_code == 400, response.text
    assert response.json()["message"].startswith("the url ")
    assert (allowed.connections, source.connections) == (before, 0)
