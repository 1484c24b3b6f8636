"""Several tiles at once: which go together, and that each request gets its own answer, whatever the others get."""

from __future__ import annotations

import concurrent.futures
import re
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from conftest import PREDICTORS
from test_zoo import image

from playground.errors import (
    PlaygroundError,
    PredictorCrashedError,
    PredictorFailedError,
    PredictorTimeoutError,
    RequestAbandonedError,
    TilePoisonedError,
    TileRejectedError,
    TileSourceError,
)
from playground.predictor import InlinePredictor, OtherResult, Predictor, PredictorSpec, ServedTile
from playground_interfaces import PredictError, Tile
from playground_interfaces.hooks import Hooked


def together(predictor: Predictor, tiles: Iterable[Tile]) -> list:
    """Results, or what was raised instead, of requests at once."""

    def ask(tile: Tile):
        try:
            return predictor.predict(tile)
        except PlaygroundError as error:
            return error

    tiles = list(tiles)
    with concurrent.futures.ThreadPoolExecutor(len(tiles)) as pool:
        return list(pool.map(ask, tiles))


def labelled(*words: str) -> list[Tile]:
    return [Tile(word, f"tile {word}".encode()) for word in words]


def told(result) -> tuple[str, int]:
    """The label of an answer, and how many tiles were predicted with it."""
    (feature,) = result["features"]
    return feature["properties"]["category"], feature["properties"]["batch"]


@pytest.fixture
def of_four(start_predictor):
    """A predictor that waits until four tiles are there."""

    def start(target: str = "batches:Labels", **limits: Any):
        return start_predictor(target, backlog=8, **{"batch_size": 4, "batch_seconds": 10.0, **limits})

    return start


def test_a_batch_is_as_large_as_it_may_be_and_each_request_gets_its_own_answer(of_four):
    predictor = of_four()
    for _ in range(3):  # the first asks for the images, the others have them sent along
        labels = [f"ok l{number}" for number in range(8)]
        assert [told(result) for result in together(predictor, labelled(*labels))] == [
            (f"l{number}", 4) for number in range(8)
        ]


def test_batches_in_every_python(python, of_four):
    predictor = of_four(python=python)
    for _ in range(2):
        results = together(predictor, labelled("ok a", "refuse b", "ok c", "text d"))
        assert [told(result) for result in results[::2]] == [("a", 4), ("c", 4)]
        assert isinstance(results[1], TileRejectedError)
        assert isinstance(results[3], OtherResult)


def test_nobody_waits_for_company_unless_told_to(start_predictor):
    predictor = start_predictor("batches:Slow", backlog=8)
    began = time.monotonic()
    assert told(predictor.predict(*labelled("ok alone"))) == ("alone", 1)
    assert time.monotonic() - began < 10
    sizes = [told(result)[1] for result in together(predictor, labelled(*[f"ok l{n}" for n in range(9)]))]
    assert max(sizes) > 1


@pytest.mark.parametrize("size", [1, 8])
def test_without_the_method_or_with_size_one_tiles_go_one_by_one(size, start_predictor):
    target = "batches:Labels" if size == 1 else "misbehaving:Segfaults"
    predictor = start_predictor(target, backlog=8, batch_size=size, batch_seconds=30.0)
    began = time.monotonic()
    for result in together(predictor, labelled("ok a", "ok b", "ok c")):
        assert size == 8 or told(result)[1] == 1
    assert time.monotonic() - began < 20


def test_errors_are_matched_to_their_tiles(of_four):
    predictor = of_four()
    refused, failed, other, fine = together(predictor, labelled("refuse", "error", "text", "ok d"))
    assert isinstance(refused, TileRejectedError)
    assert refused.hint == "send a clearer tile"
    assert isinstance(failed, PredictorFailedError)
    assert "ValueError: only this one" in str(failed)
    assert isinstance(other, OtherResult)
    assert told(fine) == ("d", 4)
    assert predictor.state().restarts == 0


@pytest.mark.parametrize("bad", ["raise", "short"])
def test_a_batch_that_fails_as_a_whole_is_predicted_one_by_one(bad, of_four, caplog):
    predictor = of_four()
    results = together(predictor, labelled("ok a", "ok b", f"{bad} c", "ok d"))
    failure = results.pop(2)
    assert [told(result) for result in results] == [("a", 1), ("b", 1), ("d", 1)]
    if bad == "raise":
        assert isinstance(failure, PredictorFailedError)
        assert "weights are corrupt" in str(failure)
    else:
        assert told(failure) == ("c", 1)
        assert "predict_batch returned 3 results for 4 tiles" in caplog.text
    assert predictor.state().restarts == 0


def test_one_collection_for_all_is_no_list(of_four, caplog):
    results = together(of_four("batches:Once"), labelled("a", "b", "c", "d"))
    assert [result["features"] for result in results] == [[]] * 4
    assert "predict_batch returned dict, not a list" in caplog.text


def test_a_crash_in_a_batch_costs_only_the_tile_that_crashes(of_four):
    predictor = of_four()
    first = together(predictor, labelled("ok a", "ok b", "crash c", "ok d"))
    assert isinstance(first.pop(2), PredictorCrashedError)
    assert [told(result) for result in first] == [("a", 1), ("b", 1), ("d", 1)]
    assert predictor.wait_ready(20).restarts == 2  # in company, and alone
    again = together(predictor, labelled("ok e", "ok f", "crash c", "ok g", "ok h"))
    assert isinstance(again.pop(2), PredictorCrashedError)  # it is suspect: predicted alone at once
    assert sorted(told(result)[0] for result in again) == ["e", "f", "g", "h"]
    assert predictor.wait_ready(20).restarts == 3
    with pytest.raises(TilePoisonedError):
        predictor.predict(*labelled("crash c"))
    assert predictor.state().restarts == 3


def test_a_hang_in_a_batch_is_found_out_and_deadlines_are_kept(of_four):
    predictor = of_four(predict_seconds=1.0, batch_seconds=0.3)

    def tiles():
        until = time.monotonic() + 30
        return [ServedTile(word, f"tile {word}".encode(), deadline=until) for word in ("ok a", "hang b", "ok c")]

    began = time.monotonic()
    for _ in range(2):
        results = together(predictor, tiles())
        assert isinstance(results.pop(1), PredictorTimeoutError)
        assert sorted(told(result)[0] for result in results) == ["a", "c"]
    assert time.monotonic() - began < 30
    with pytest.raises(TilePoisonedError):
        predictor.predict(tiles()[1])


def test_one_that_cannot_wait_for_its_batch_leaves_it_and_the_others_get_their_answers(of_four):
    predictor = of_four(batch_size=2)
    slow = ServedTile("a", b"tile slow a", deadline=time.monotonic() + 60)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(predictor.predict, slow)
        while not predictor._queue._taken:
            assert not first.done()
        with pytest.raises(PredictorTimeoutError):
            predictor.predict(ServedTile("b", b"tile ok b", deadline=time.monotonic() + 0.4))
        assert not first.done()
        assert told(first.result()) == ("a", 2)
    assert predictor.state().restarts == 0


def test_a_client_that_is_gone_is_left_out_of_the_batch(of_four):
    predictor = of_four(batch_seconds=0.5)
    tiles = [ServedTile(f"ok {each}", f"tile ok {each}".encode(), abandoned=lambda: False) for each in "abc"]
    gone = ServedTile("gone", b"tile crash gone", abandoned=lambda: True)
    results = together(predictor, [*tiles, gone])
    assert isinstance(results.pop(), RequestAbandonedError)
    assert sorted(told(result)[0] for result in results) == ["a", "b", "c"]
    assert predictor.state().restarts == 0


def test_a_part_that_cannot_be_made_fails_its_own_request(of_four):
    def broken():
        raise TileSourceError("1/0/0: truncated")

    predictor = of_four(batch_seconds=0.3)
    for _ in range(2):
        results = together(predictor, [*labelled("ok a", "ok b", "ok c"), Tile("u", load_image=broken)])
        assert isinstance(results.pop(), TileSourceError)
        assert sorted(told(result)[0] for result in results) == ["a", "b", "c"]


def test_arrays_travel_in_batches(of_four):
    predictor = of_four("readers:Means")
    for _ in range(2):
        tiles = [
            Tile(str(n), np.full((8, 8, 3), n, np.uint8), load_valid=lambda: np.ones((8, 8), bool)) for n in range(4)
        ]
        results = together(predictor, tiles)
        assert [result["features"][0]["properties"]["mean"] for result in results] == [0, 1, 2, 3]


def test_inline_predicts_one_by_one():
    predictor = InlinePredictor(PredictorSpec("batches", "Labels", PREDICTORS))
    predictor.start()
    assert [told(result) for result in together(predictor, labelled("ok a", "ok b"))] == [("a", 1), ("b", 1)]


def test_a_service_under_load_forms_batches_and_mixes_nothing_up(serve):
    service = serve("batches:Slow", BACKLOG="16", BATCH_SIZE="8")
    service.wait_loaded()

    bad = {**dict.fromkeys(range(5, 96, 16), "refuse"), **dict.fromkeys(range(11, 96, 32), "raise"), 50: "crash"}
    statuses = {"refuse": 422, "raise": 500, "crash": 500}

    def ask(number: int):
        return service.post(**image(f"tile {bad.get(number, 'ok')} n{number}."))

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(96)))
    sizes = []
    for number, answer in enumerate(answers):
        if number in bad:
            assert answer.status_code == statuses[bad[number]], answer.text
            continue
        assert answer.status_code == 200, answer.text
        (feature,) = answer.json()["prediction"]["features"]
        assert feature["properties"]["category"] == f"n{number}"
        assert {"queue", "predict"} <= set(answer.json()["timing"])
        sizes.append(feature["properties"]["batch"])
    assert max(sizes) > 2
    assert service.wait_loaded()["predictor"]["restarts"] <= 2
    metrics = service.get("/metrics").text
    batches, tiles = (
        float(re.search(rf"^playground_batch_size_{name} (\S+)$", metrics, re.M)[1]) for name in ("count", "sum")
    )
    assert tiles >= 96  # those of a batch that failed count again
    assert tiles / batches > 1.5


def test_hooks_go_around_every_tile_of_a_batch():
    def check(tile):
        if "cloudy" in tile.url:
            raise ValueError("too cloudy")

    class Doubles:
        def predict(self, tile):
            return tile * 2

        def predict_batch(self, tiles):
            return [PredictError("odd") if tile % 2 else tile * 2 for tile in tiles]

    hooked = Hooked(Doubles(), check, lambda tile: len(tile.url), lambda result, tile: (result, tile))
    first, second, third, fourth = hooked.predict_batch([Tile("four"), Tile("cloudy"), Tile("odd"), Tile("sixsix")])
    assert (first, fourth) == ((8, 4), (12, 6))
    assert (str(second), str(third)) == ("too cloudy", "odd")
    assert not hasattr(Hooked(object()), "predict_batch")
