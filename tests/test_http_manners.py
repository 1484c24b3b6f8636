"""How the service keeps HTTP's manners: a real gunicorn, asked over sockets."""

from __future__ import annotations

import gzip
import json
import socket
import urllib.parse

import pytest
import requests
import rfc7946
import zstandard
from test_service import check_error, png

from playground.serving.compression import coding_for
from playground.serving.negotiation import media_type_for

IMAGE = {"Content-Type": "image/png"}
TILE = {"z": 3, "x": 5, "y": 4}
LAYER = "/predictions/3/5/4.geojson"
MB = 1024 * 1024


@pytest.fixture(scope="module")
def houses(serve, imagery_file):
    service = serve("world:Houses", TILES=str(imagery_file), PADDING="16", CACHE_SECONDS="60")
    service.wait_loaded()
    return service


@pytest.fixture(scope="module")
def counts(serve, imagery_file):
    service = serve(
        "world:Counts", TILES=str(imagery_file), CORS_ORIGINS="https://maps.example.com, http://localhost:3000"
    )
    service.wait_loaded()
    return service


def raw(service, data: bytes, more: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Send bytes, and read until the server ends the connection: status, headers, body as it came."""
    place = urllib.parse.urlsplit(service.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as sock:
        sock.sendall(data)
        try:
            sock.sendall(more)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = b""
        try:
            while piece := sock.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {name: value for name, _, value in (line.partition(": ") for line in lines)}, body


# Negotiation


OFFERS = ("application/json", "application/geo+json", "application/geo+json-seq")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("application/geo+json", "application/geo+json"),
        ("Application/GEO+json; charset=utf-8", "application/geo+json"),
        ("application/geo+json, application/json", "application/geo+json"),
        ("application/json, application/geo+json", "application/json"),
        ("application/geo+json, */*", "application/geo+json"),
        ("*/*;q=1, application/geo+json;q=0.5", "application/json"),
        ("application/json;q=0.2, application/geo+json;q=0.9", "application/geo+json"),
        ("application/json;q=0, */*", "application/geo+json"),
        ("application/*;q=0.5, application/geo+json-seq", "application/geo+json-seq"),
        ("application/*", "application/json"),
        ("text/html, application/json;q=0.001", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("*/*;q=0", None),
        (",,;;q=", None),
    ],
)
def test_the_accept_header_is_read_as_the_standard_says(accept, chosen):
    if chosen is None:
        with pytest.raises(Exception, match="406"):
            media_type_for(accept, OFFERS)
    else:
        assert media_type_for(accept, OFFERS) == chosen


def test_every_form_of_an_answer(houses):
    everything = houses.post(json=TILE).json()["prediction"]
    for accept, separator in (("application/geo+json-seq", "\x1e"), ("application/x-ndjson", "")):
        response = houses.post(json=TILE, headers={"Accept": accept})
        assert response.headers["Content-Type"] == accept
        lines = response.text.strip("\n").split("\n")
        assert all(line.startswith(separator) for line in lines)
        assert [json.loads(line.lstrip("\x1e")) for line in lines] == everything["features"]
    alone = houses.post(json=TILE, headers={"Accept": "text/plain;q=0.9, application/geo+json;q=0.5"})
    assert alone.json() == everything
    refused = houses.post(json=TILE, headers={"Accept": "text/html"})
    assert "application/geo+json" in check_error(refused, 406)["message"]
    assert houses.get(LAYER, headers={"Accept": "application/json, text/plain"}).json() == everything
    check_error(houses.get(LAYER, headers={"Accept": "image/png"}), 406)


def test_a_large_answer_comes_in_pieces(counts):
    headers = {**IMAGE, "Accept": "application/geo+json-seq"}
    response = counts.post(data=png() + b"many", headers=headers)
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert [json.loads(line[1:])["properties"]["number"] for line in response.text.split("\n")[:-1]] == list(
        range(5000)
    )


# Compression


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("zstd;q=0, *", "gzip"),
        ("*", "zstd"),
        ("identity, gzip;q=0.5", ""),
        ("br", ""),
        ("gzip;q=0", ""),
    ],
)
def test_the_coding_that_a_client_likes_best(accept, coding):
    assert coding_for(accept) == coding


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_answers_are_compressed_for_who_asks(counts, coding):
    unpack = {
        "gzip": gzip.decompress,
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }
    for accept in ("application/json", "application/geo+json", "application/geo+json-seq"):
        with requests.Session() as session:
            headers = {**IMAGE, "Accept": accept, "Accept-Encoding": coding}
            response = session.post(counts.url + "/predict", data=png() + b"many", headers=headers, stream=True)
            assert response.headers["Content-Encoding"] == coding
            assert "Accept-Encoding" in response.headers["Vary"]
            text = unpack[coding](response.raw.read(decode_content=False))
        assert text.count(b'"number":4999') == 1
    small = counts.post(data=png(), headers={**IMAGE, "Accept-Encoding": coding})
    assert "Content-Encoding" not in small.headers
    plain = counts.post(data=png() + b"many", headers={**IMAGE, "Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]


def compressed(coding: str, data: bytes) -> bytes:
    return gzip.compress(data) if coding == "gzip" else zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_bodies_may_come_compressed(counts, coding):
    body = json.dumps(TILE).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    parts = compressed(coding, body[:5]) + compressed(
        coding, body[5:]
    )  # members, frames: one after the other is allowed
    for data in (compressed(coding, body), parts, iter([parts[:9], parts[9:]])):
        assert counts.post(data=data, headers=headers).json()["tile"]["x"] == 5
    image = counts.post(data=compressed(coding, png()), headers={**IMAGE, "Content-Encoding": coding})
    assert image.json()["tile"]["coordinates"] == "pixels"
    for broken in (compressed(coding, body)[:-3], b"no such thing", body):
        assert coding in check_error(counts.post(data=broken, headers=headers), 400)["message"]


def test_other_codings_are_refused_and_bombs_do_not_go_off(counts):
    for coding in ("br", "compress", "gzip, gzip"):
        refused = counts.post(data=b"x", headers={"Content-Type": "application/json", "Content-Encoding": coding})
        check_error(refused, 415)
        assert refused.headers["Accept-Encoding"] == "gzip, zstd"
    assert counts.post(json=TILE, headers={"Content-Encoding": "identity"}).status_code == 200
    zeros = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    many = b"".join(zeros.compress(bytes(MB)) for _ in range(4000)) + zeros.flush()  # 4 GB
    assert len(many) < MB
    some = gzip.compress(bytes(40 * MB), 9)
    for coding, bomb in (("zstd", many), ("gzip", some), ("gzip", gzip.compress(bytes(20 * MB), 9) * 2)):
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        assert "32 MB" in check_error(counts.post(data=bomb, headers=headers), 413)["message"]
    resident = counts.get("/readiness_check")
    assert resident.status_code == 200
    # A bomb at an address that is none is not even opened.
    check_error(counts.post("/nowhere", data=some, headers={"Content-Encoding": "gzip"}), 404)


# Caching


def test_a_layer_can_be_kept(houses):
    first = houses.get(LAYER, headers={"Accept-Encoding": "identity"})
    etag = first.headers["ETag"]
    assert not etag.startswith("W/")
    assert first.headers["Cache-Control"] == "max-age=60"
    assert {"Accept", "Accept-Encoding"} <= set(first.headers["Vary"].replace(" ", "").split(","))
    rfc7946.check(first.json())
    small = houses.get(LAYER, headers={"Accept-Encoding": "gzip"})
    assert small.headers["ETag"] == f"W/{etag}"
    assert small.json() == first.json()
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = houses.get(LAYER, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"].removeprefix("W/") == etag
        assert again.headers["Cache-Control"] == "max-age=60"
    assert houses.get(LAYER, headers={"If-None-Match": '"other"'}).status_code == 200
    assert houses.get("/predictions/3/5/5.geojson").headers["ETag"] != etag


def test_other_pages_say_whether_they_can_be_kept(houses, counts):
    for path in ("/-/alive", "/-/ready", "/ping", "/liveness_check", "/readiness_check", "/api/v1/health", "/metrics"):
        response = houses.get(path)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers
    version = houses.get("/version")
    assert version.headers["Cache-Control"] == "no-cache"
    assert houses.get("/version", headers={"If-None-Match": version.headers["ETag"]}).status_code == 304
    assert counts.get(LAYER).headers["Cache-Control"] == "no-cache"
    assert "ETag" not in houses.get("/predictions/3/2/2.geojson").headers


# Methods and addresses


def test_head_and_options(houses):
    for path in (LAYER, "/version", "/ping", "/", "/readiness_check"):
        told = requests.head(houses.url + path, timeout=30, headers={"Accept-Encoding": "identity"})
        shown = houses.get(path, headers={"Accept-Encoding": "identity"})
        assert (told.status_code, told.content) == (200, b"")
        assert told.headers["Content-Type"] == shown.headers["Content-Type"]
        if path != "/readiness_check":
            assert told.headers["Content-Length"] == shown.headers["Content-Length"]
        assert told.headers.get("ETag") == shown.headers.get("ETag")
    for path, methods in (
        ("/predict", "OPTIONS, POST"),
        (LAYER, "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS, POST"),
    ):
        response = requests.options(houses.url + path, timeout=30)
        assert response.status_code == 200
        assert ", ".join(sorted(response.headers["Allow"].split(", "))) == methods
        assert "Access-Control-Allow-Origin" not in response.headers
    refused = requests.delete(houses.url + "/predict", timeout=30)
    check_error(refused, 405)
    assert "POST" in refused.headers["Allow"]
    assert requests.head(houses.url + "/nowhere", timeout=30).status_code == 404


def test_a_slash_at_the_end_makes_no_difference(houses):
    for path in ("/predict", "/predict/"):
        response = houses.post(path, json=TILE, allow_redirects=False)
        assert response.status_code == 200
    for path in ("/version", "/ping", LAYER, "/metrics", "/api/v1/health", "/-/ready"):
        assert houses.get(path + "/", allow_redirects=False).status_code == 200
    assert not houses.get("//version", allow_redirects=False).is_redirect


# Sizes


def head(*lines: str) -> bytes:
    return "\r\n".join(["POST /predict HTTP/1.1", "Host: x", "Content-Type: image/png", *lines, "", ""]).encode()


def test_a_body_that_is_announced_too_large_is_not_read(houses):
    status, headers, body = raw(houses, head(f"Content-Length: {32 * MB + 1}"), b"x" * 100_000)
    assert status == 413
    assert "32 MB" in json.loads(body)["hint"]
    assert headers["X-Correlation-ID"]


def test_a_body_without_a_length_is_read_as_far_as_the_limit(counts):
    fine = counts.post(data=iter([png()[:40], png()[40:]]), headers=IMAGE)
    assert fine.status_code == 200
    chunk = f"{MB:x}\r\n".encode() + bytes(MB) + b"\r\n"
    status, _, body = raw(counts, head("Transfer-Encoding: chunked"), chunk * 33 + b"0\r\n\r\n")
    assert status == 413
    assert "32 MB" in json.loads(body)["hint"]
    broken = raw(counts, head("Transfer-Encoding: chunked", "Connection: close"), b"zz\r\nabc\r\n0\r\n\r\n")
    assert "chunks" in json.loads(broken[2])["message"]
    status, _, body = raw(counts, head("Connection: close"))
    assert status == 400  # neither a length nor chunks: there is no body
    assert "image" in json.loads(body)["message"]


def test_bytes_that_are_no_http_are_answered_by_gunicorn_itself(houses):
    answers = {
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n": 414,
        b"nonsense\r\n\r\n": 400,
        b"GET / HTTP/9.9\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n": 431,
    }
    for request, expected in answers.items():
        status, headers, _ = raw(houses, request)
        assert status == expected
        assert headers["Connection"] == "close"


# Pages of other origins


def test_pages_of_named_origins_may_ask(counts, houses):
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
    for origin in ("https://maps.example.com", "http://localhost:3000"):
        told = requests.options(counts.url + "/predict", headers={"Origin": origin, **asks}, timeout=30)
        assert (told.status_code, told.content) == (204, b"")
        assert told.headers["Access-Control-Allow-Origin"] == origin
        assert "POST" in told.headers["Access-Control-Allow-Methods"]
        assert "Idempotency-Key" in told.headers["Access-Control-Allow-Headers"]
        assert "Origin" in told.headers["Vary"]
        for response in (
            counts.post(json=TILE, headers={"Origin": origin}),
            counts.post(json={}, headers={"Origin": origin}),
            counts.get("/nowhere", headers={"Origin": origin}),
        ):
            assert response.headers["Access-Control-Allow-Origin"] == origin
            assert "X-Correlation-ID" in response.headers["Access-Control-Expose-Headers"]
            assert "Access-Control-Allow-Credentials" not in response.headers
    for origin in ("https://evil.example.com", "https://maps.example.com.evil.com", "null", "http://maps.example.com"):
        told = requests.options(counts.url + "/predict", headers={"Origin": origin, **asks}, timeout=30)
        assert not [name for name in told.headers if name.startswith("Access-Control")]
        assert "Access-Control-Allow-Origin" not in counts.get("/ping", headers={"Origin": origin}).headers
    assert counts.get("/ping").headers["Vary"] == "Origin"  # a cache must not give a page the answer without the mark
    off = requests.options(houses.url + "/predict", headers={"Origin": "https://maps.example.com", **asks}, timeout=30)
    assert not [name for name in off.headers if name.startswith("Access-Control")]
