"""Fetching over HTTP: what hostile servers are made of, deadlines, tries, the circuit breaker, credentials."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import mercantile
import pytest
from conftest import require
from hostile import HOSTILE, picture
from tileserver import Answer, TileServer

from playground.errors import TileSourceError, TileTimeoutError
from playground.fetching.client import Client, open_client
from playground.fetching.outcomes import OUTCOMES
from playground.fetching.policy import FetchPolicy
from playground.fetching.tile import fetch_tile

TILE = mercantile.Tile(3, 1, 2)
MARGIN = 4.0
"""Seconds that an answer may come after its deadline, on a machine that does other things, too; the servers that are
slow take longer by far."""


def client_of(server: TileServer, **options: object) -> Client:
    return open_client(FetchPolicy(**{"backoff_seconds": 0.001, **options}).naming(server.address))  # type: ignore[arg-type]


def told(client: Client) -> dict[str, int]:
    """The counts that are not zero."""
    return {kind: count for kind, count in client.counts().items() if count}


# What comes


def test_an_answer_as_it_is() -> None:
    with TileServer({"/a?b=c%20d": Answer(b"hello", headers={"X-Thing": "1"})}) as server:
        client = client_of(server)
        fetched = client.get(server.address + "/a?b=c d", deadline=None, headers={"X-Mine": "2"}, max_bytes=5)
        assert (fetched.status, fetched.body, fetched.headers["x-thing"]) == (200, b"hello", "1")
        assert server.headers[0]["X-Mine"] == "2"
        assert client.get(server.address + "/none", deadline=None, max_bytes=99).status == 404
        assert told(client) == {"ok": 1, "missing": 1}
        client.close()


def test_a_part_of_a_file() -> None:
    with TileServer({"/file": Answer(b"cde", 206)}) as server:
        client = client_of(server)
        fetched = client.get(server.address + "/file", deadline=None, byte_range=(2, 4), max_bytes=3)
        assert (fetched.status, fetched.body) == (206, b"cde")
        assert server.headers[0]["Range"] == "bytes=2-4"
        assert "Accept-Encoding" not in server.headers[0]
        client.get(server.address + "/file", deadline=None, max_bytes=3)
        assert "Range" not in server.headers[1]
        client.close()


def test_what_is_packed_is_measured_unpacked() -> None:
    packed = gzip.compress(bytes(10**6))
    with TileServer({"/": Answer(packed, headers={"Content-Encoding": "gzip"})}) as server:
        client = client_of(server)
        assert client.get(server.address, deadline=None, max_bytes=10**6).body == bytes(10**6)
        with pytest.raises(TileSourceError, match="larger than 999999 bytes"):
            client.get(server.address, deadline=None, max_bytes=999_999)
        client.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_every_end_has_its_error_and_its_count(name: str) -> None:
    answer, outcome, error = HOSTILE[name]
    with TileServer(lambda _: answer) as server:
        client = client_of(server)
        deadline = time.monotonic() + (0.5 if outcome == "timeout" else 20)
        if outcome == "ok":
            assert fetch_tile(client, TILE, server.address + "/2/3/1", deadline) == picture()
        else:
            with pytest.raises(error, match="/2/3/1: "):
                fetch_tile(client, TILE, server.address + "/2/3/1", deadline)
        assert time.monotonic() < deadline + MARGIN
        until = time.monotonic() + 30
        while not (counts := {kind: count for kind, count in told(client).items() if kind in OUTCOMES}):
            assert time.monotonic() < until  # who waits may wake before the thread that counts
        assert counts == {outcome: 1}
        client.close()


def test_every_outcome_is_met() -> None:
    """Here, but for the one of the circuit breaker below."""
    assert {outcome for _, outcome, _ in HOSTILE.values()} == set(OUTCOMES) - {"failing"}


# Time


SLOW: dict[str, Callable[[str], object]] = {
    "one byte at a time": lambda _: Answer(picture(), drip_seconds=0.02),
    "silence": lambda _: Answer(picture(), wait_for=threading.Event()),
    "always 503": lambda _: Answer(status=503),
    "asks to wait a little": lambda _: Answer(status=429, headers={"Retry-After": "1"}),
    "slow redirects": lambda path: Answer(
        status=302, headers={"Location": path + "a"}, wait_for=threading.Barrier(2, timeout=0.15)
    ),
    "cut again and again": lambda _: Answer(b"abc", claimed_length=9),
}


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("patience", [0.05, 0.4])
def test_no_request_outlives_its_deadline(name: str, patience: float) -> None:
    with TileServer(SLOW[name]) as server:
        client = client_of(server, attempts=1000, backoff_seconds=0.1, breaker_failures=10**6)
        started = time.monotonic()
        with pytest.raises(TileSourceError):
            client.get(server.address + "/", deadline=started + patience, max_bytes=10**6)
        assert time.monotonic() - started < patience + MARGIN
        client.close()


def test_a_server_that_never_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        client = open_client(FetchPolicy().naming(address))
        started = time.monotonic()
        with pytest.raises(TileTimeoutError):
            client.get(address, deadline=started + 0.2, max_bytes=99)
        assert time.monotonic() - started < 0.2 + MARGIN
        client.close()


def test_a_deadline_that_has_passed_asks_nobody() -> None:
    with TileServer({}) as server:
        client = client_of(server)
        with pytest.raises(TileTimeoutError):
            client.get(server.address, deadline=time.monotonic() - 1, max_bytes=9)
        assert server.connections == 0
        client.close()


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_server_says_when_to_come_back(form: str) -> None:
    started = time.time()
    moment = int(started) + 2 if form == "date" else started + 1
    header = formatdate(moment, usegmt=True) if form == "date" else "1"
    with TileServer({"/": [Answer(status=429, headers={"Retry-After": header}), b"now"]}) as server:
        client = client_of(server)
        assert client.get(server.address, deadline=time.monotonic() + 30, max_bytes=9).body == b"now"
        assert time.time() > moment - 0.1
        assert client.counts()["retried"] == 1
        client.close()


@pytest.mark.parametrize(
    "header", ["-5", "soon", "", "Wed, 99 Foo 2025 00:00:00 GMT", "٣", "Wed, 21 Oct 2015 07:28:00 GMT"]
)
def test_a_retry_after_that_says_nothing(header: str) -> None:
    raw = f"HTTP/1.1 503 No\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    with TileServer({"/": [Answer(raw=raw), b"now"]}) as server:
        client = client_of(server)
        assert client.get(server.address, deadline=time.monotonic() + 30, max_bytes=9).body == b"now"
        client.close()


def test_closing_frees_all_who_wait() -> None:
    with TileServer(lambda _: Answer(wait_for=threading.Event())) as server:
        client = client_of(server)
        futures = [client.start(server.address + f"/{i}", deadline=None, max_bytes=9) for i in range(5)]
        client.close()
        for future in futures:
            with pytest.raises(TileSourceError, match="closed"):
                future.result(30)
        with pytest.raises(TileSourceError, match="closed"):
            client.get(server.address, deadline=None, max_bytes=9)


def test_a_request_that_cannot_be_written_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    with TileServer(lambda _: b"x") as server:
        client = client_of(server)
        with pytest.raises(TileSourceError, match="in the client"):
            client.get(server.address, deadline=None, headers={"X-Thing": "\u2028"}, max_bytes=9)
        assert "UnicodeEncodeError" in caplog.text
        assert client.get(server.address, deadline=None, max_bytes=9).body == b"x"
        client.close()


def test_closing_ends_a_pause() -> None:
    asked = threading.Event()

    def answer(_: str) -> object:
        asked.set()
        return Answer(status=503, headers={"Retry-After": "30"})

    with TileServer(answer) as server:
        client = client_of(server)
        future = client.start(server.address, deadline=None, max_bytes=9)
        assert asked.wait(30)
        client.close()
        with pytest.raises(TileSourceError, match="closed"):
            future.result(30)


# Connections


def test_connections_are_kept_and_let_go() -> None:
    with TileServer(lambda _: Answer(b"x")) as server:
        client = client_of(server)
        for _ in range(20):
            futures = [client.start(f"{server.address}/{i}", deadline=None, max_bytes=9) for i in range(9)]
            assert [future.result(30).body for future in futures] == [b"x"] * 9
        assert server.connections <= 9
        before = _open_files()
        client.close()
        assert _open_files() < before
    for _ in range(3):  # nothing piles up
        with TileServer(lambda _: Answer(b"x")) as server:
            client = client_of(server)
            client.get(server.address, deadline=None, max_bytes=9)
            client.close()
    assert _open_files() <= before


def _open_files() -> int:
    listing = Path("/proc/self/fd")
    return len(list(listing.iterdir())) if listing.exists() else 0


def test_sixteen_and_more_at_once() -> None:
    together = threading.Barrier(24)
    with TileServer(lambda _: Answer(b"x", wait_for=together)) as server:
        client = client_of(server)
        futures = [client.start(f"{server.address}/{i}", deadline=None, max_bytes=9) for i in range(24)]
        assert [future.result(30).body for future in futures] == [b"x"] * 24
        client.close()


def test_a_forked_process_has_a_loop_of_its_own() -> None:
    with TileServer(lambda _: Answer(b"x")) as server:
        client = client_of(server)
        client.get(server.address, deadline=None, max_bytes=9)
        pid = os.fork()
        if pid == 0:
            body = client.get(server.address, deadline=time.monotonic() + 30, max_bytes=9).body
            os._exit(0 if body == b"x" else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert client.get(server.address, deadline=None, max_bytes=9).body == b"x"
        client.close()


def test_certificates_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require(shutil.which("openssl"), "there is no openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with TileServer(lambda _: b"x") as server:
        server.use_tls(certificate, key)
        port = server.address.rpartition(":")[2]
        policy = FetchPolicy(attempts=1, use_proxy=False).naming(
            f"https://localhost:{port}", f"https://127.0.0.1:{port}"
        )
        stranger = open_client(policy)
        with pytest.raises(TileSourceError, match=r"(?i)certificate"):
            stranger.get(f"https://localhost:{port}", deadline=time.monotonic() + 30, max_bytes=9)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        friend = open_client(policy)
        assert friend.get(f"https://localhost:{port}", deadline=time.monotonic() + 30, max_bytes=9).body == b"x"
        with pytest.raises(TileSourceError, match=r"(?i)certificate|subject"):  # made for another name
            friend.get(f"https://127.0.0.1:{port}", deadline=time.monotonic() + 30, max_bytes=9)
        stranger.close()
        friend.close()


# The circuit breaker


def test_a_server_that_is_down_is_left_alone_and_found_again() -> None:
    up = threading.Event()
    with TileServer(lambda _: Answer(b"x") if up.is_set() else Answer(status=500)) as server:
        client = client_of(server, attempts=1, breaker_failures=5, breaker_seconds=0.2)

        def get() -> bytes:
            return client.get(server.address, deadline=time.monotonic() + 30, max_bytes=9).body

        for _ in range(5):
            with pytest.raises(TileSourceError, match="answers 500"):
                get()
        opened = time.monotonic()
        with pytest.raises(TileSourceError, match=r"127.0.0.1:\d+ has been failing since .* \(5 tries.*500") as caught:
            get()
        assert "asked again in" in caught.value.hint
        while server.requests["/"] == 5:  # one probe, which fails: it is left alone for twice as long
            with pytest.raises(TileSourceError):
                get()
        assert time.monotonic() - opened >= 0.2
        with pytest.raises(TileSourceError, match="6 tries"):
            get()
        up.set()
        body = None
        while body is None:
            try:
                body = get()
            except TileSourceError as error:
                assert "has been failing" in error.message  # noqa: PT017
        assert time.monotonic() - opened >= 0.6
        assert server.requests["/"] == 7
        assert get() == b"x"
        counts = told(client)
        assert (counts["ok"], counts["failed"], counts["circuit_opened"]) == (2, 6, 2)
        assert counts["failing"] > 1
        client.close()


def test_the_breaker_of_one_host_is_not_that_of_another() -> None:
    with TileServer({}) as up, socket.create_server(("127.0.0.1", 0)) as closed:
        down = f"http://127.0.0.1:{closed.getsockname()[1]}"
        closed.close()
        policy = FetchPolicy(attempts=1, breaker_failures=2, breaker_seconds=60).naming(down, up.address)
        client = open_client(policy)
        for words in ("refused", "refused", "has been failing.*Connection refused"):
            with pytest.raises(TileSourceError, match=words):
                client.get(down, deadline=None, max_bytes=9)
        assert client.get(up.address, deadline=None, max_bytes=99).status == 404
        client.close()


def test_missing_tiles_and_the_impatience_of_callers_do_not_count_as_down() -> None:
    silent = Answer(wait_for=threading.Event())
    with TileServer(lambda path: silent if path == "/slow" else None) as server:
        client = client_of(server, attempts=1, breaker_failures=3)
        for _ in range(5):
            assert client.get(server.address, deadline=None, max_bytes=99).status == 404
        for _ in range(5):
            with pytest.raises(TileTimeoutError):
                client.get(server.address + "/slow", deadline=time.monotonic() + 0.02, max_bytes=9)
        assert client.get(server.address, deadline=None, max_bytes=99).status == 404
        client.close()
