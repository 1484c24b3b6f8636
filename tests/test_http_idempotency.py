"""Idempotency-Key: a real gunicorn with two workers, where the same request gets the same answer whoever takes it."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import tempfile
import time
import uuid
from pathlib import Path

import pytest
import requests
from test_http_manners import IMAGE
from test_service import check_error, png

from playground.serving.idempotency import KEY, Store


@pytest.fixture(scope="module")
def counts(serve, imagery_file):
    service = serve("world:Counts", TILES=str(imagery_file), WORKERS="2")
    service.wait_loaded()
    return service


@pytest.fixture(scope="module")
def houses(serve, imagery_file):
    service = serve("world:Houses", TILES=str(imagery_file), PADDING="16", IDEMPOTENCY_SECONDS="1000")
    service.wait_loaded()
    return service


def send(service, ending: bytes = b"", key: str = "", **headers: str) -> requests.Response:
    """Post an image in a connection of its own."""
    named = {"Idempotency-Key": key} if key else {}
    return service.post(data=png() + ending, headers={**IMAGE, **named, **headers})


def new_key() -> str:
    return f'"{uuid.uuid4()}"'


def replayed(response: requests.Response) -> bool:
    return response.headers.get("Idempotent-Replayed") == "true"


def test_the_same_request_gets_the_same_bytes(counts):
    key = new_key()
    first = send(counts, key=key)
    assert first.status_code == 200
    assert not replayed(first)
    for _ in range(8):  # by either worker
        again = send(counts, key=key)
        assert replayed(again)
        assert again.content == first.content
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
        assert again.headers["X-Correlation-ID"] != first.headers["X-Correlation-ID"]
    assert replayed(send(counts, key=key.strip('"')))  # a bare word is the same key
    other = send(counts, key=new_key())
    assert not replayed(other)
    assert not replayed(send(counts))


def test_a_key_stands_for_one_request(counts):
    key = new_key()
    assert send(counts, key=key).status_code == 200
    for refused in (
        send(counts, b"other", key=key),
        send(counts, key=key, Accept="application/geo+json"),
        counts.post(json={"z": 3, "x": 1, "y": 1}, headers={"Idempotency-Key": key}),
        counts.post("/", data=png(), headers={**IMAGE, "Idempotency-Key": key, "Content-Type": "image/jpeg"}),
    ):
        assert "Idempotency-Key" in check_error(refused, 422)["message"]
    for bad in ("", '"open', "a b", "x" * 256, '""'):
        refused = counts.post(data=png(), headers={**IMAGE, "Idempotency-Key": bad})
        check_error(refused, 400)


def test_requests_at_the_same_time_are_predicted_once(counts):
    for _ in range(3):
        key = new_key()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _, key=key: send(counts, b"slow", key=key), range(6)))
        good = [each for each in answers if each.status_code == 200]
        assert len({each.content for each in good}) == 1
        assert sum(not replayed(each) for each in good) == 1
        for each in answers:
            if each.status_code != 200:  # too many wait for it in one worker
                check_error(each, 409)
                assert each.headers["Retry-After"] == "1"
        assert len(good) >= 5


def test_failures_of_the_service_are_not_kept_and_refusals_are(counts):
    answers = []
    key = new_key()
    while not answers or answers[-1].status_code == 500:
        answers.append(send(counts, b"flaky", key=key))
        assert len(answers) < 10
    assert answers[-1].status_code == 200
    assert not replayed(answers[-1])
    assert send(counts, b"flaky", key=key).content == answers[-1].content
    key = new_key()
    first = send(counts, b"cloudy", key=key)
    check_error(first, 422)
    again = send(counts, b"cloudy", key=key)
    assert (again.status_code, again.content, replayed(again)) == (422, first.content, True)


def test_a_worker_that_dies_leaves_no_lock(counts):
    key = new_key()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pending = pool.submit(send, counts, b"slow", key)
        workers = set()
        while not workers:  # whoever holds the entry is the one
            workers = holders(counts)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        with pytest.raises(requests.ConnectionError):
            pending.result()
    answer = send(counts, b"slow", key=key)
    while answer.status_code == 503:  # the next worker still loads
        counts.pause()
        answer = send(counts, b"slow", key=key)
    assert answer.status_code == 200
    assert not replayed(answer)
    assert replayed(send(counts, b"slow", key=key))


def holders(service) -> set[int]:
    """The workers that have an answer's file open."""
    found = set()
    for children in Path(f"/proc/{service.process.pid}/task").glob("*/children"):
        for pid in map(int, children.read_text().split()):
            for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
                try:
                    if "-answers/" in os.readlink(descriptor):
                        found.add(pid)
                except OSError:
                    continue
    return found


def test_streams_are_kept_when_they_are_whole(counts, houses):
    key = new_key()
    accept = {"Accept": "application/x-ndjson"}
    first = send(counts, b"many", key, **accept)
    again = send(counts, b"many", key, **accept)
    assert (again.content, replayed(again)) == (first.content, True)
    small = send(counts, b"many", key, **accept, **{"Accept-Encoding": "zstd"})
    assert replayed(small)
    assert small.headers["Content-Encoding"] == "zstd"
    for body, kept in (({"bbox": [100, 0.5, 179, 60]}, True), ({"bbox": [100, 68, 170, 75]}, False)):
        for form in ("application/json", "application/geo+json"):
            headers = {"Idempotency-Key": new_key(), "Accept": form}
            answers = [houses.post(json=body, headers=headers) for _ in range(2)]
            assert [each.status_code for each in answers] == [200, 200]
            assert replayed(answers[1]) is kept
    headers = {"Idempotency-Key": new_key(), **accept}
    for _ in range(2):
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            houses.post(json={"bbox": [100, 68, 170, 75]}, headers=headers)


def test_it_can_be_switched_off_and_the_folder_goes_with_the_server(serve, houses):
    off = serve("world:Counts", IDEMPOTENCY_SECONDS="0")
    off.wait_loaded()
    key = new_key()
    answers = [send(off, key=key).json() for _ in range(2)]
    first, second = (each["prediction"]["features"][0]["properties"]["calls"] for each in answers)
    assert second == first + 1
    began = time.time()
    own = serve("world:Counts")
    own.wait_loaded()
    assert send(own, key=key).status_code == 200
    folders = Path(tempfile.gettempdir()).glob(f"playground-metrics-{own.process.pid}-*-answers")
    (folder,) = [found for found in folders if found.stat().st_mtime >= began]  # another of that number was killed
    assert folder.stat().st_mode & 0o777 == 0o700
    own.stop()
    assert not folder.exists()


def test_old_answers_make_room(tmp_path):
    store = Store(tmp_path, 1000)

    def keep(name: str, body: bytes) -> None:
        entry = store.open(name)
        assert list(entry.write({"status": 200}, [body])) == [body]
        entry.close()

    for number in range(25):
        keep(f"{number:05}", b"x")
        os.utime(tmp_path / f"{number:05}", (1e9 + number, 1e9 + number))
    Store(tmp_path, 1e10, 20).make_room()
    assert sorted(path.name for path in tmp_path.iterdir())[0] == "00005"
    held = store.open("00006")
    store.make_room()  # all are out of date, and one is held
    assert [path.name for path in tmp_path.iterdir()] == ["00006"]
    assert held.read() is not None
    assert store.open("00006") is None
    held.close()
    Store(tmp_path, 1000).open("00007").close()


def test_what_is_not_whole_is_nothing(tmp_path):
    store = Store(tmp_path, 1000)
    entry = store.open("a")
    pieces = entry.write({"status": 200}, [b"one\n", b"two\n"])
    assert next(pieces) == b"one\n"
    entry.close()  # its writer died
    entry = store.open("a")
    assert entry.read() is None
    assert list(entry.write({"status": 200}, [b"three"])) == [b"three"]
    assert entry.read()[1] == b"three"
    entry.close()
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1])
    assert store.open("a").read() is None
    late = Store(tmp_path, -1)
    entry = late.open("b")
    list(entry.write({"status": 200}, [b"x"]))
    assert entry.read() is None


def test_keys():
    assert KEY.fullmatch('"8e03978e-40d5-43dd-bc93-6894a57f9324"')[1] == "8e03978e-40d5-43dd-bc93-6894a57f9324"
    assert KEY.fullmatch("order:17/a=b")[2] == "order:17/a=b"
    for bad in ('"', "a b", "é", "a,b", 'x"y', "\\", ""):
        assert not KEY.fullmatch(bad)


def test_each_caller_has_keys_of_its_own_and_a_browsers_question_needs_none(serve):
    names = {"alice": "a" * 40, "bob": "b" * 40}
    guarded = serve(
        "world:Counts",
        AUTH="api-key",
        API_KEYS=",".join(f"{name}:{key}" for name, key in names.items()),
        CORS_ORIGINS="https://maps.example.com",
    )
    guarded.wait_loaded()
    key = new_key()
    first = {name: send(guarded, key=key, **{"X-API-Key": secret}) for name, secret in names.items()}
    assert not any(map(replayed, first.values()))
    assert first["alice"].content != first["bob"].content
    for name, secret in names.items():
        again = send(guarded, key=key, **{"X-API-Key": secret})
        assert replayed(again)
        assert again.content == first[name].content
    check_error(send(guarded, key=key), 401)
    refused = send(guarded, Origin="https://maps.example.com")
    assert refused.headers["Access-Control-Allow-Origin"] == "https://maps.example.com"  # so that a page can read why
    asks = {"Origin": "https://maps.example.com", "Access-Control-Request-Method": "POST"}
    told = requests.options(guarded.url + "/predict", headers=asks, timeout=30)
    assert (told.status_code, told.headers["Access-Control-Allow-Origin"]) == (204, "https://maps.example.com")
