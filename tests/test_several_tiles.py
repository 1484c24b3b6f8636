"""Several tiles of one caller: each gets what it would get alone, whatever becomes of the others."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from conftest import PREDICTORS, require
from interpreters import interpreter
from sequences import count_frames, named, properties, words_of

from playground.errors import (
    PredictorBusyError,
    PredictorCrashedError,
    PredictorFailedError,
    PredictorNotReadyError,
    TilePoisonedError,
    TileRejectedError,
)
from playground.predictor import InlinePredictor, PredictorSpec, shared
from playground.predictor.several import Several
from playground_interfaces import Tile


@pytest.fixture
def frames(monkeypatch) -> list[tuple[int, int]]:
    return count_frames(monkeypatch)


def test_every_tile_gets_its_own_answer_in_order(start_predictor, frames):
    predictor = start_predictor("sequence:Obeys")
    tiles = named(*["fine"] * 40)
    answers = predictor.predict_several(tiles)
    assert [properties(answer)["url"] for answer in answers] == [tile.url for tile in tiles]
    assert answers == [predictor.predict(tile) for tile in tiles]
    assert type(answers[-1]) is type(predictor.predict(tiles[0]))
    assert frames == [(16, 16), (16, 16), (7, 7)]  # the first tile alone
    assert predictor.predict_several([]) == []
    assert predictor.seconds() > 0
    assert all(0 < tile.timing["predict"] < 1 and tile.timing["queue"] >= 0 for tile in tiles)


def test_each_tile_is_timed(start_predictor):
    tiles = named("fine", "fine", "slow", "fine")
    start_predictor("sequence:Obeys").predict_several(tiles)
    assert min(tiles[1].timing["predict"], tiles[3].timing["predict"]) < 0.1 < tiles[2].timing["predict"]


def test_what_is_raised_costs_its_own_tile_only(start_predictor, frames, caplog):
    predictor = start_predictor("sequence:Obeys")
    answers = predictor.predict_several(named("fine", "raises", "fine", "rejects", "other", "wanders", "fine"))
    assert words_of(answers) == "fine Failed fine TileRejected OtherResult fine fine"
    assert "KeyError: 'no such key'" in str(answers[1])
    assert "sequence.py" in caplog.text
    assert answers[3].hint == "send a clearer tile"
    assert properties(answers[6])["folder"] == str(PREDICTORS)
    assert frames == [(6, 6)]
    assert predictor.state().restarts == 0


@pytest.mark.parametrize(("word", "how"), [("segfaults", "SIGSEGV"), ("exits", "exited with status 7")])
def test_a_crash_costs_its_own_tile_only_and_is_remembered(word, how, start_predictor):
    predictor = start_predictor("sequence:Obeys")
    tiles = named("fine", *["fine"] * 4, word, "fine", "fine")
    for number in range(3):
        answers = predictor.predict_several(tiles)
        assert words_of(answers[:5] + answers[6:]) == "fine fine fine fine fine fine fine"
        if number < 2:
            assert isinstance(answers[5], PredictorCrashedError)
            assert how in str(answers[5])
    assert isinstance(answers[5], TilePoisonedError)
    assert properties(answers[4])["pid"] == properties(answers[6])["pid"]
    predictor.wait_ready(20)
    assert predictor.state().restarts == 2
    assert predictor.causes == ["crash" if word == "segfaults" else "exit"] * 2


def test_several_crashes_among_many_tiles(start_predictor):
    predictor = start_predictor("sequence:Obeys")
    answers = predictor.predict_several(named("exits", "fine", "exits", "fine", "fine", "exits", "exits", "fine"))
    assert words_of(answers) == "Crashed fine Crashed fine fine Crashed Crashed fine"


def test_a_hang_costs_its_own_tile_only_and_its_own_time_only(start_predictor):
    predictor = start_predictor("sequence:Obeys", predict_seconds=0.8)
    tiles = named("fine", *["slow"] * 6, "hangs", "fine")
    began = time.monotonic()
    answers = predictor.predict_several(tiles)
    assert words_of(answers) == "fine fine fine fine fine fine fine Timeout fine"
    assert time.monotonic() - began < 15
    assert predictor.causes == ["timeout"]
    again = [tiles[0], *tiles[-2:]]
    predictor.predict_several(again)
    assert isinstance(predictor.predict_several(again)[1], TilePoisonedError)


def test_a_tiles_deadline_is_for_itself(start_predictor):
    """It says how long a tile may take, not how long those before it may."""
    predictor = start_predictor("sequence:Obeys", predict_seconds=10)
    tiles = named("fine", *["slow"] * 6, "hangs", "fine")
    for tile in tiles:
        tile.deadline = time.monotonic() + 0.8
    assert words_of(predictor.predict_several(tiles)) == "fine fine fine fine fine fine fine Timeout fine"
    for _ in range(2):  # it had little time, which is no fault of its own
        tiles[7].deadline = time.monotonic() + 0.1
        assert words_of(predictor.predict_several([Tile("fine"), tiles[7]])) == "fine Timeout"


def test_a_slow_predictor_answers_before_all_are_predicted(start_predictor, frames, monkeypatch):
    monkeypatch.setattr(shared, "LONGEST", 0.5)
    predictor = start_predictor("sequence:Obeys")
    answers = predictor.predict_several(named("fine", *["slow"] * 4, "fine", "fine"))
    assert words_of(answers) == "fine fine fine fine fine fine fine"
    assert [answered for _, answered in frames] == [4, 2]


def test_prints_go_to_the_log(start_predictor, caplog):
    caplog.set_level("INFO", "playground.predictor.output")
    predictor = start_predictor("sequence:Obeys")
    predictor.predict_several(named("fine", "prints", "prints"))
    predictor.close()
    told = [record.message for record in caplog.records if getattr(record, "stream", "") == "stdout"]
    assert told == ["this is prints 1", "this is prints 2"]


@pytest.mark.parametrize("version", ["3.6", "3.13"])
def test_crashes_and_hangs_in_old_and_new_pythons(version, start_predictor):
    python = interpreter(version)
    require(python, f"there is no CPython {version} on this machine")
    predictor = start_predictor("sequence:Obeys", str(python), predict_seconds=1.0)
    answers = predictor.predict_several(named("fine", "fine", "segfaults", "fine", "hangs", "raises", "fine"))
    assert words_of(answers) == "fine fine Crashed fine Timeout Failed fine"


def test_a_process_is_replaced_when_its_share_is_done(start_predictor):
    predictor = start_predictor("sequence:Obeys", max_requests=5)
    answers = predictor.predict_several(named(*["fine"] * 13))
    pids = [properties(answer)["pid"] for answer in answers]
    assert len(set(pids[:5])) == len(set(pids[5:10])) == len(set(pids[10:])) == 1
    assert len(set(pids)) == 3


def test_a_process_that_grows_is_replaced_before_it_is_killed(start_predictor):
    predictor = start_predictor("sequence:Obeys", memory_mb=150)
    assert words_of(predictor.predict_several(named("fine", *["leaks"] * 6))) == " ".join(["fine"] * 7)
    assert set(predictor.causes) == {"memory"}


def test_batches_where_the_class_takes_them(start_predictor, caplog):
    def labels(*words: str) -> list[Tile]:
        return [Tile(word, f"tile {word}".encode()) for word in words]

    predictor = start_predictor("batches:Labels", batch_size=4, predict_seconds=1.5)
    _, *answers = predictor.predict_several(labels("ok w", *[f"ok l{number}" for number in range(10)]))
    assert [properties(answer)["category"] for answer in answers] == [f"l{number}" for number in range(10)]
    assert [properties(answer)["batch"] for answer in answers] == [4] * 8 + [2] * 2
    answers = predictor.predict_several(labels("refuse a", "error b", "ok c", "text d", "ok e"))
    assert words_of(answers) == "TileRejected Failed fine OtherResult fine"
    answers = predictor.predict_several(labels("ok a", "raise b", "ok c", "ok d", "ok e", "ok f"))
    assert words_of(answers) == "fine Failed fine fine fine fine"
    assert "predict_batch() raised" in caplog.text
    assert [properties(answers[number])["batch"] for number in (0, 2, 3, 4, 5)] == [1, 1, 1, 2, 2]
    answers = predictor.predict_several(labels("ok a", "ok b", "crash c", "ok d", "hang e", "ok f"))
    assert words_of(answers) == "fine fine Crashed fine Timeout fine"


def test_two_callers_at_once(start_predictor):
    predictor = start_predictor("sequence:Obeys")
    told: dict[int, list[Any]] = {}
    tiles = named(*["fine"] * 50)

    def ask(number: int) -> None:
        told[number] = predictor.predict_several(tiles[number::3])

    threads = [threading.Thread(target=ask, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, answers in told.items():
        assert [properties(answer)["url"] for answer in answers] == [tile.url for tile in tiles[number::3]]


def test_no_place_no_predictor_and_the_end(start_predictor):
    predictor = start_predictor("sequence:Obeys", backlog=0)
    taken, done = threading.Event(), threading.Event()

    def occupy() -> None:
        with predictor.admitted():
            taken.set()
            done.wait()

    thread = threading.Thread(target=occupy)
    thread.start()
    taken.wait()
    assert {type(answer) for answer in predictor.predict_several(named("fine", "fine"))} == {PredictorBusyError}
    done.set()
    thread.join()
    predictor.close()
    assert {type(answer) for answer in predictor.predict_several(named("fine", "fine"))} == {PredictorNotReadyError}


def test_in_this_process(monkeypatch):
    monkeypatch.syspath_prepend(str(PREDICTORS))
    predictor = InlinePredictor(PredictorSpec("sequence", "Obeys", PREDICTORS))
    predictor.start()
    answers = predictor.predict_several(named("fine", "raises", "rejects", "other"))
    assert words_of(answers) == "fine Failed TileRejected OtherResult"
    assert isinstance(answers[1], PredictorFailedError)
    assert isinstance(answers[2], TileRejectedError)


def test_an_end_between_two_tiles_is_nobodys_fault_once():
    tiles = named("fine", "fine")
    several = Several(tiles, lambda tile: None, 1.0)
    error = PredictorCrashedError("gone")
    for _ in range(2):
        assert several.next(16) == tiles
        assert several.answers == [None, None]
        several.take(shared.Told(error=error))
    assert several.next(16) == tiles[1:]
    assert several.answers == [error, None]
