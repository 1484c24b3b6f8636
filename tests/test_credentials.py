"""Credentials: who gets them, how tokens are renewed, and that nobody sees them."""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mercantile
import pytest
from hostile import picture
from tileserver import Answer, TileServer

from playground.errors import SettingsError, TileSourceError, TileTimeoutError
from playground.fetching.client import Client, open_client
from playground.fetching.credentials import Credentials, TokenEndpoint, basic
from playground.fetching.policy import FetchPolicy
from playground.settings import load_running, load_service
from playground.settings.secret import Secret, read_headers
from playground.wrap.render import render_context

TILE = mercantile.Tile(3, 1, 2)


def client_of(server: TileServer, **options: object) -> Client:
    return open_client(FetchPolicy(backoff_seconds=0.001, **options).naming(server.address))  # type: ignore[arg-type]


SECRET = "hunter2hunter2"


def running(**environ: str) -> FetchPolicy:
    needed = {"PREDICTOR_PACKAGE": "a.b", "PREDICTOR_CLASS": "C", "ZOOM_LEVEL": "1"}
    return FetchPolicy.of(load_running(None, {**needed, **environ}))


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"TILES_HEADERS": json.dumps({"X-Key": SECRET})}, "X-Key", SECRET),
        ({"TILES_HEADERS": f"X-Key: {SECRET}\nX-Other: 1"}, "X-Key", SECRET),
        ({"TILES_BASIC": f"me:{SECRET}"}, "Authorization", basic(f"me:{SECRET}")[1].reveal()),
        ({"TILES_BEARER": SECRET}, "Authorization", f"Bearer {SECRET}"),
    ],
)
def test_credentials_go_to_the_source_and_to_nobody_else(environ: dict[str, str], name: str, value: str) -> None:
    with TileServer({"/": b"there"}) as other:
        there = Answer(status=302, headers={"Location": other.address})
        with TileServer({"/": b"here", "/away": there}) as server:
            policy = running(ALLOWED_HOSTS=other.address.removeprefix("http://"), **environ).naming(server.address)
            client = open_client(policy)
            assert client.get(server.address, deadline=None, max_bytes=9).body == b"here"
            assert server.headers[0][name] == value
            assert client.get(server.address + "/away", deadline=None, max_bytes=9).body == b"there"
            assert name not in other.headers[0]
            assert SECRET not in repr(policy)
            client.close()


def test_the_user_of_a_template_is_sent_and_not_shown() -> None:
    from playground.sources.xyz import XYZSource

    with TileServer({"/2/3/1": picture()}) as server:
        source = XYZSource(server.template.replace("//", f"//me:{SECRET}%21@"))
        assert source.fetch(TILE) == picture()
        assert server.headers[0]["Authorization"] == basic(f"me:{SECRET}!")[1].reveal()
        assert SECRET not in source.url(TILE)
        source.close()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TILES_HEADERS": f"{SECRET}"}, "TILES_HEADERS"),
        ({"TILES_HEADERS": json.dumps({"a": [SECRET]})}, "TILES_HEADERS"),
        ({"TILES_HEADERS": json.dumps({"a": SECRET + "\r\nX: y"})}, "TILES_HEADERS"),
        ({"TILES_BASIC": SECRET}, "TILES_BASIC"),
        ({"TILES_BEARER": f"{SECRET} {SECRET}"}, "TILES_BEARER"),
        ({"TILES_BEARER": SECRET, "TILES_BASIC": f"me:{SECRET}"}, "exclude each other"),
        ({"TILES_BEARER": SECRET, "TILES_HEADERS": f"authorization: {SECRET}"}, "exclude each other"),
        ({"TILES_CLIENT_SECRET": SECRET}, "only some are set"),
        ({"TILES_TOKEN_URL": "ftp://a", "TILES_CLIENT_ID": "me", "TILES_CLIENT_SECRET": SECRET}, "TILES_TOKEN_URL"),
        ({"ALLOWED_HOSTS": "https://a.example"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "a.example:99999"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": "127.1"}, "ALLOWED_HOSTS"),
    ],
)
def test_credentials_that_cannot_work_are_named_and_not_shown(environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        running(**environ)
    text = caught.value.message + caught.value.hint + "".join(caught.value.problems)
    assert words in text
    assert SECRET not in text


def test_secrets_show_stars() -> None:
    secret = Secret(SECRET)
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert secret == Secret(SECRET) != Secret("other")
    assert read_headers("A: b: c\n\n D : e ") == {"A": "b: c", "D": "e"}


class TokenServer:
    """Gives tokens t0, t1, … and accepts the last ``alive`` of them; counts what it is asked."""

    def __init__(self, expires_in: float = 3600, alive: int = 99) -> None:
        self.expires_in, self.alive = expires_in, alive
        self.given = 0
        self.lock = threading.Lock()
        self.server = TileServer(self.answer)

    def answer(self, path: str) -> object:
        if path == "/token":
            with self.lock:
                self.given += 1
                return json.dumps({"access_token": f"t{self.given - 1}", "expires_in": self.expires_in}).encode()
        token = self.server.headers[-1].get("Authorization", "").removeprefix("Bearer t")
        accepted = token.isdigit() and self.given - self.alive <= int(token) < self.given
        return Answer(token.encode(), 200 if accepted else 401)

    def client(self) -> Client:
        endpoint = TokenEndpoint(self.server.address + "/token", "m:e", Secret(SECRET))
        return client_of(self.server, credentials=Credentials(token=endpoint))


def test_a_token_is_got_once_for_all() -> None:
    service = TokenServer()
    with service.server as server:
        client = service.client()
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda i: client.get(f"{server.address}/{i}", deadline=None, max_bytes=9), range(32)))
        assert {fetched.status for fetched in got} <= {200, 401}
        assert service.given == 1
        assert server.bodies == [b"grant_type=client_credentials"]
        posted = next(headers for headers in server.headers if "Content-Type" in headers)
        assert posted["Authorization"] == basic(f"m%3Ae:{SECRET}")[1].reveal()
        client.close()


def test_a_token_is_renewed_at_half_its_life() -> None:
    service = TokenServer(expires_in=2.0)
    with service.server as server:
        client = service.client()
        started = time.monotonic()
        seen = set()
        while b"1" not in seen:
            fetched = client.get(server.address, deadline=None, max_bytes=9)
            assert fetched.status == 200
            seen.add(fetched.body)
        assert 1.0 <= time.monotonic() - started < 2.0
        assert seen == {b"0", b"1"}
        assert service.given == 2
        client.close()


def test_a_token_that_is_refused_is_renewed_once() -> None:
    service = TokenServer()
    with service.server as server:
        client = service.client()
        assert client.get(server.address, deadline=None, max_bytes=9).body == b"0"
        service.given, service.alive = 5, 1  # the server forgot what it gave
        assert client.get(server.address, deadline=None, max_bytes=9).body == b"5"
        service.alive = 0
        assert client.get(server.address, deadline=None, max_bytes=9).status == 401
        assert service.given == 7
        client.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=401), "answers 401"),
        (Answer(status=302, headers={"Location": "/other"}), "answers 302"),
        (Answer(b"<html>"), "no token"),
        (Answer(b'{"access_token": "a\\r\\nb"}'), "no token"),
        (Answer(b'{"access_token": 5}'), "no token"),
        (Answer(b"[]"), "no token"),
        (Answer(bytes(2**17)), "size exceeded"),
        (Answer(raw=b""), "could not be asked"),
    ],
)
def test_a_token_server_that_fails(answer: Answer, words: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with TileServer({"/token": answer}) as server:
        endpoint = TokenEndpoint(server.address + "/token", "me", Secret(SECRET))
        client = client_of(server, credentials=Credentials(token=endpoint))
        for _ in range(3):
            with pytest.raises(TileSourceError, match=words) as caught:
                client.get(server.address, deadline=time.monotonic() + 5, max_bytes=9)
            assert SECRET not in f"{caught.value} {caught.value.hint} {caplog.text}"
        assert server.requests == {"/token": 1}  # not asked again at once
        client.close()


def test_a_token_server_that_hangs_costs_the_deadline() -> None:
    with TileServer({"/token": Answer(wait_for=threading.Event())}) as server:
        endpoint = TokenEndpoint(server.address + "/token", "me", Secret(SECRET))
        client = client_of(server, credentials=Credentials(token=endpoint))
        started = time.monotonic()
        with pytest.raises(TileTimeoutError):
            client.get(server.address, deadline=started + 0.2, max_bytes=9)
        assert time.monotonic() - started < 5
        client.close()


def test_what_is_generated_holds_none_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TILES_HEADERS", "TILES_BASIC", "TILES_BEARER", "TILES_CLIENT_SECRET"):
        monkeypatch.setenv(name, f"X-Key:{SECRET}")
    service = tmp_path / "service.yaml"
    service.write_text(
        "image: a.example/b:1\nPREDICTOR_PACKAGE: a\nPREDICTOR_CLASS: B\nZOOM_LEVEL: 3\n"
        "TILES: https://tiles.example.com/{z}/{x}/{y}\n"
    )
    context = render_context(load_service(service), None)
    assert b"tiles.example.com" in context["app.yaml"]
    assert not any(SECRET.encode() in content for content in context.values())


@pytest.mark.parametrize("name", ["TILES_BEARER", "TILES_HEADERS", "TILES_CLIENT_SECRET"])
def test_service_yaml_takes_none_of_them(tmp_path: Path, name: str) -> None:
    service = tmp_path / "service.yaml"
    service.write_text(f"PREDICTOR_PACKAGE: a\nPREDICTOR_CLASS: B\nZOOM_LEVEL: 3\n{name}: {SECRET}\n")
    with pytest.raises(SettingsError) as caught:
        load_service(service)
    assert f"{name}: unknown key" in caught.value.problems[0]
    assert SECRET not in str(caught.value.problems)
