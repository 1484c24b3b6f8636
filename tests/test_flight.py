"""Tiles sent ahead of their turn: each gets its own answer, whatever becomes of those before and behind it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import random
import time
from collections.abc import Callable, Iterator

import pytest

from playground.errors import (
    PlaygroundError,
    PredictorCrashedError,
    PredictorFailedError,
    PredictorTimeoutError,
    RequestAbandonedError,
    TilePoisonedError,
    TileSourceError,
)
from playground.predictor import ProcessPredictor, ServedTile
from playground.predictor.turns import Request
from playground_interfaces import Tile


def tile(url: str, seconds: float = 20.0, abandoned: Callable[[], bool] | None = None) -> ServedTile:
    return ServedTile(url, f"image of {url}".encode(), deadline=time.monotonic() + seconds, abandoned=abandoned)


def asked(predictor: ProcessPredictor, each: Tile):
    """The result, or what was raised instead."""
    try:
        return predictor.predict(each)
    except PlaygroundError as error:
        return error


@contextlib.contextmanager
def held(predictor: ProcessPredictor) -> Iterator[None]:
    """Have the turn meanwhile, and make it known as a quick one: those that wait then go to it together."""
    holder = Request(Tile("holder"), time.monotonic() + 60)
    assert predictor._queue.take(holder)
    try:
        yield
    finally:
        predictor._queue._seconds = 1e-4
        predictor._queue.give()


def together(predictor: ProcessPredictor, tiles: list[ServedTile]) -> list:
    """Results, or what was raised instead, of requests that came one after the other while the predictor was busy."""
    with concurrent.futures.ThreadPoolExecutor(len(tiles)) as pool:
        with held(predictor):
            futures = []
            for each in tiles:
                futures.append(pool.submit(asked, predictor, each))
                until = time.monotonic() + 30
                while predictor.waiting() < len(futures):
                    assert time.monotonic() < until
        return [future.result() for future in futures]


def told(result) -> tuple[str, dict]:
    (feature,) = result["features"]
    return feature["properties"]["category"], feature["properties"]


def assert_own(result, url: str) -> dict:
    label, properties = told(result)
    assert label == f"image of {url}"
    return properties


def test_each_gets_its_own_answer_in_order(python, start_predictor):
    predictor = start_predictor("ahead:Tells", python, backlog=20)
    for round_ in range(2):  # the first asks for the images in the midst of others' requests
        urls = [f"ok {round_} {number}" for number in range(12)]
        results = together(predictor, [tile(url) for url in urls])
        for result, url in zip(results, urls, strict=True):
            seen = assert_own(result, url)["seen"]
            assert seen[-1] == url
        assert seen[-12:] == urls
    assert predictor._queue.waiting() == 0
    assert predictor.state().phase == "ready"


def test_a_crash_is_blamed_on_the_tile_that_crashed(start_predictor):
    predictor = start_predictor("ahead:Tells", backlog=20)
    for restarts in (1, 2):
        first, crashed, *others = together(predictor, [tile(url) for url in ("ok a", "crash b", "ok c", "ok d")])
        before = assert_own(first, "ok a")["pid"]
        assert isinstance(crashed, PredictorCrashedError)
        for result, url in zip(others, ("ok c", "ok d"), strict=True):
            assert assert_own(result, url)["pid"] != before
        assert predictor.wait_ready(20).restarts == restarts
    with pytest.raises(TilePoisonedError):
        predictor.predict(tile("crash b"))
    for url in ("ok a", "ok c", "ok d"):
        assert_own(predictor.predict(tile(url)), url)


def test_a_hang_is_blamed_on_the_tile_that_hung(start_predictor):
    predictor = start_predictor("ahead:Tells", backlog=20, predict_seconds=1.0)
    began = time.monotonic()
    for _ in range(2):
        first, hung, *others = together(predictor, [tile(url) for url in ("ok a", "hang b", "ok c", "raise d")])
        assert_own(first, "ok a")
        assert isinstance(hung, PredictorTimeoutError)
        assert_own(others[0], "ok c")
        assert isinstance(others[1], PredictorFailedError)
    assert time.monotonic() - began < 30
    with pytest.raises(TilePoisonedError):
        predictor.predict(tile("hang b"))
    assert_own(predictor.predict(tile("ok c")), "ok c")


def test_who_went_away_while_another_took_long_is_not_predicted(python, start_predictor):
    predictor = start_predictor("ahead:Tells", python, backlog=20)
    predictor.predict(tile("ok before"))
    gone = []  # its client goes away while the first is predicted
    tiles = [tile("slow a"), tile("ok b", abandoned=lambda: bool(gone)), tile("ok c"), tile("ok d", 4.0)]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        results = pool.submit(together, predictor, tiles)
        while len(predictor._queue.flying) < 3:
            assert not results.done()
        gone.append(True)
        slow, away, *others = results.result()
    assert_own(slow, "slow a")
    assert isinstance(away, RequestAbandonedError)
    assert_own(others[0], "ok c")
    assert assert_own(others[1], "ok d")["seen"] == ["ok before", "slow a", "ok c", "ok d"]
    assert predictor.state().restarts == 0


def test_who_cannot_wait_leaves_and_the_others_get_their_own_answers(start_predictor):
    predictor = start_predictor("ahead:Tells", backlog=20)
    results = together(predictor, [tile("slow a"), tile("slow b"), tile("ok c", 1.2), tile("ok d")])
    assert_own(results[0], "slow a")
    assert_own(results[1], "slow b")
    assert isinstance(results[2], PredictorTimeoutError)
    assert assert_own(results[3], "ok d")["seen"] == ["slow a", "slow b", "ok d"]
    assert predictor.state().restarts == 0
    assert_own(predictor.predict(tile("ok e")), "ok e")


def test_the_last_ones_cannot_wait_and_the_next_comes_later(start_predictor):
    predictor = start_predictor("ahead:Tells", backlog=20)
    results = together(predictor, [tile("slow a"), tile("slow b"), tile("ok c", 1.1)])
    assert isinstance(results[2], PredictorTimeoutError)
    for url in ("ok d", "ok e"):
        assert assert_own(predictor.predict(tile(url)), url)["seen"][:3] == ["slow a", "slow b", "ok d"]


def test_a_part_that_cannot_be_made_fails_its_own_request(start_predictor):
    def broken():
        raise TileSourceError("1/0/0: truncated")

    predictor = start_predictor("ahead:Tells", backlog=20)
    bad = ServedTile("ok b", deadline=time.monotonic() + 20, load_image=broken)
    first, failed, last = together(predictor, [tile("ok a"), bad, tile("ok c")])
    assert_own(first, "ok a")
    assert isinstance(failed, TileSourceError)
    assert_own(last, "ok c")


def test_a_process_gets_no_more_than_its_share(start_predictor):
    predictor = start_predictor("ahead:Tells", backlog=20, max_requests=3)
    results = together(predictor, [tile(f"ok {number}") for number in range(7)])
    shares = [assert_own(result, f"ok {number}")["seen"] for number, result in enumerate(results)]
    assert [len(seen) for seen in shares] == [1, 2, 3, 1, 2, 3, 1]


def test_large_and_small_tiles_mix(start_predictor):
    predictor = start_predictor("ahead:Tells", backlog=20)
    predictor.predict(tile("ok before"))
    tiles = [tile(f"ok {number}") for number in range(8)]
    for each in tiles[::2]:
        each.image += b" " * 300_000
    for number, result in enumerate(together(predictor, tiles)):
        assert told(result)[0].strip() == f"image of ok {number}"


def test_whatever_comes_nothing_is_mixed_up(start_predictor):
    predictor = start_predictor("ahead:Tells", backlog=40)
    chosen = random.Random(4)
    urls = [f"{chosen.choice(['ok', 'ok', 'ok', 'blind', 'raise'])} {number}" for number in range(300)]
    urls[chosen.randrange(300)] = "crash once"
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        results = list(pool.map(lambda url: asked(predictor, tile(url)), urls))
    for result, url in zip(results, urls, strict=True):
        if url.startswith("ok"):
            assert_own(result, url)
        elif url.startswith("blind"):
            assert result["features"] == []
        else:
            assert isinstance(result, PredictorCrashedError if url.startswith("crash") else PredictorFailedError)
    assert predictor.wait_ready(20).restarts == 1
