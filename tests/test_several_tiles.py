"""Several tiles of one caller: each gets what it would get alone, whatever becomes of the others."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import threading
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import geojson
import numpy as np
import pytest
from conftest import PREDICTORS, require
from interpreters import interpreter

from playground.errors import (
    PlaygroundError,
    PredictorBusyError,
    PredictorCrashedError,
    PredictorFailedError,
    PredictorNotReadyError,
    TilePoisonedError,
    TileRejectedError,
    TileSourceError,
)
from playground.predictor import InlinePredictor, OtherResult, PredictorSpec, ServedTile, several, shared
from playground.predictor.several import Several
from playground_interfaces import Tile, encoding, telling


def named(*words: str) -> list[Tile]:
    return [ServedTile(f"{word} {number}") for number, word in enumerate(words)]


def short(answer: Any) -> str:
    """What an answer is, in a word."""
    if isinstance(answer, PlaygroundError | OtherResult):
        return type(answer).__name__.replace("Predictor", "").replace("Error", "")
    return "fine"


def words_of(answers: list[Any]) -> str:
    return " ".join(map(short, answers))


def properties(answer: Any) -> dict[str, Any]:
    return answer["features"][0]["properties"]


@pytest.fixture
def frames(monkeypatch) -> list[int]:
    """How many tiles each frame had, and how many of them were answered: (tiles, answers)."""
    counted: list[tuple[int, int]] = []
    predict = shared.Frames.predict

    def counting(self, tiles, *args):
        told = predict(self, tiles, *args)
        counted.append((len(tiles), len(told.answers) if told else -1))
        return told

    monkeypatch.setattr(shared.Frames, "predict", counting)
    for module in (shared, several):  # a busy machine makes no frame shorter
        monkeypatch.setattr(module, "LONGEST", 60.0)
    return counted


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


def pixels(number: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Read-only, and not in one piece, as the tile engine's are."""
    whole = np.random.default_rng(number).integers(0, 255, (shape[0] + 9, shape[1] + 9, *shape[2:])).astype(dtype)
    whole.flags.writeable = False
    return whole[4:-5, 3:-6]


def tile_of(words: str, number: int, shape: tuple[int, ...] = (40, 30, 3), dtype: str = "uint8", **given: Any) -> Tile:
    array = pixels(number, shape, dtype)
    parts = {
        "load_array": lambda: array,
        "load_image": lambda: bytearray(b"image %d" % number),
        "load_valid": lambda: np.arange(shape[0] * shape[1]).reshape(shape[:2]) % (number + 2) > 0,
    }
    return ServedTile(words, **{**parts, **given})


def seen(tile: Tile) -> dict[str, list]:
    told: dict[str, list] = {}
    for name in tile.url.split():
        value = getattr(tile, name)
        told[name] = (
            [len(value), sum(value)] if name == "image" else [list(value.shape), str(value.dtype), int(value.sum())]
        )
    return told


FORMS = [((304, 304, 3), "uint8"), ((40, 30, 1), "uint16"), ((17, 5, 4), "float32"), ((8, 9), "uint8")]


@pytest.mark.parametrize("words", ["array", "image", "valid", "array image", "valid array image"])
def test_the_partner_sees_each_tile_as_it_is(words, start_predictor, frames):
    predictor = start_predictor("sequence:Reads")
    for shape, dtype in FORMS:
        tiles = [tile_of(words, number, shape, dtype) for number in range(6)]
        for _ in range(2):
            answers = predictor.predict_several(tiles)
            assert [properties(answer) for answer in answers] == [
                {**seen(tile), "category": "found", "score": 1.0} for tile in tiles
            ]
    assert frames[0] == (5, 5)


def test_parts_that_did_not_come_along_are_asked_for(start_predictor, frames):
    predictor = start_predictor("sequence:Reads")
    words = ["array", "array", "image", "array valid", "image valid", "array", "array"]
    tiles = [tile_of(word, number, FORMS[number % 3][0]) for number, word in enumerate(words)]
    for _ in range(2):
        assert [properties(answer) for answer in predictor.predict_several(tiles)] == [
            {**seen(tile), "category": "found", "score": 1.0} for tile in tiles
        ]
    assert frames == [(6, 6), (7, 7)]


def test_a_part_that_cannot_be_made_is_its_own_tiles_error(start_predictor, frames):
    def broken():
        raise TileSourceError("1/0/0: truncated")

    def odd():
        raise OSError("unheard of")

    predictor = start_predictor("sequence:Reads")
    for words, name in (("array", "load_array"), ("array valid", "load_valid")):
        tiles = [tile_of("array", number) for number in range(6)]
        tiles[2] = tile_of(words, 2, **{name: broken})
        tiles[4] = tile_of(words, 4, **{name: odd})
        answers = predictor.predict_several(tiles)
        assert words_of([answers[n] for n in (0, 1, 3, 5)]) == "fine fine fine fine"
        assert isinstance(answers[2], TileSourceError)
        assert isinstance(answers[4], OSError)
    assert predictor.state().restarts == 0


@pytest.mark.parametrize("name", ["Keeps", "KeepsViews"])
def test_what_the_partner_keeps_stays_as_it_is(name, start_predictor):
    """The next tiles are written to the same memory, and the memory of arrays is used again: not of these."""
    predictor = start_predictor(f"sequence:{name}")
    for _ in range(3):
        tiles = [tile_of("keep", number) for number in range(20)]
        for tile, answer in zip(tiles, predictor.predict_several(tiles), strict=True):
            assert properties(answer)["mean"] == pytest.approx(tile.array.mean())
            assert properties(answer)["same"]


def test_what_came_along_can_be_read_later(start_predictor):
    predictor = start_predictor("sequence:ReadsLater")
    tiles = [tile_of(word, number) for number, word in enumerate(["now", "now", "later", "now", "now", "later", "now"])]
    predictor.predict_several(tiles[:2])
    means = [properties(answer)["means"] for answer in predictor.predict_several(tiles)]
    of = [pytest.approx(float(tile.array.mean())) for tile in tiles]
    assert means == [[of[0]], [of[1]], [], [of[2], of[3]], [of[4]], [], [of[5], of[6]]]


def test_every_python_without_packages(python, start_predictor, frames):
    predictor = start_predictor("sequence:Reads", python)
    tiles = [tile_of("image", number) for number in range(4)] + [tile_of("array", 4)]
    answers = predictor.predict_several(tiles)
    assert [properties(answer)["image"] for answer in answers[:4]] == [seen(tile)["image"] for tile in tiles[:4]]
    assert "needs numpy" in str(answers[4]) or short(answers[4]) == "fine"
    assert frames == [(4, 4)]


@pytest.mark.parametrize("version", ["3.6", "3.13"])
def test_crashes_and_hangs_in_old_and_new_pythons(version, start_predictor):
    python = interpreter(version)
    require(python, f"there is no CPython {version} on this machine")
    predictor = start_predictor("sequence:Obeys", str(python), predict_seconds=1.0)
    answers = predictor.predict_several(named("fine", "fine", "segfaults", "fine", "hangs", "raises", "fine"))
    assert words_of(answers) == "fine fine Crashed fine Timeout Failed fine"


def test_a_process_that_cannot_share_memory_is_asked_one_by_one(start_predictor, monkeypatch, caplog):
    def refuse(*args: Any) -> int:
        raise OSError("no such thing here")

    monkeypatch.setattr("os.memfd_create", refuse)
    predictor = start_predictor("sequence:Reads")
    tiles = [tile_of("array", number) for number in range(5)]
    assert [properties(answer)["array"] for answer in predictor.predict_several(tiles)] == [
        seen(tile)["array"] for tile in tiles
    ]
    assert "no such thing here" in caplog.text


def test_tiles_beyond_the_memorys_size_go_through_the_socket(start_predictor, monkeypatch, frames):
    monkeypatch.setattr(shared, "LARGEST", 400_000)
    predictor = start_predictor("sequence:Reads")
    sizes = [(9, 9, 3), (304, 304, 3), (50, 50, 3), (999, 999, 3), (304, 304, 3), (304, 304, 3), (9, 9, 3)]
    tiles = [tile_of("array", number, size) for number, size in enumerate(sizes)]
    assert [properties(answer)["array"] for answer in predictor.predict_several(tiles)] == [
        seen(tile)["array"] for tile in tiles
    ]
    assert [answers for _, answers in frames] == [2, -1, 1, 2]


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


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Both(str, enum.Enum):
    A = "a"


class Named(NamedTuple):
    x: float
    y: float


class Shouting(str):
    def __str__(self) -> str:
        return self.upper()


class Hiding(dict):
    def items(self):
        return [("shown", 1)]


VALUES: list[Any] = [
    [1, -1, 2**53 + 1, 2**63, 2**64, -(2**70), 10**30, True, None],
    [1.5, -0.0, 1e16, 1e-7, 1e22, 5e-324, 1.7976931348623157e308, 0.1 + 0.2],
    [math.nan, 1.0],
    [math.inf, -math.inf],
    ["é ☃ \U0001f600", "\ud800", '"\\/\b\n\x00\x7f', "null", ""],
    [(1, 2), Named(1, 2), {"a": (1,)}, [], {}, ()],
    [np.float64(1.5), np.float32(0.1), np.float16(0.1), np.int64(7), np.uint8(200), np.bool_(True)],
    [np.float64("nan"), np.longdouble(1.25), np.str_("s"), np.bytes_(b"b"), np.datetime64("2026-01-01")],
    [np.arange(6).reshape(2, 3), np.array([0.1], np.float32), np.array([Colour.RED], object), np.array(["a"])],
    [Colour.RED, Number.ONE, Both.A, Shouting("quiet"), b"bytes", bytearray(b"b"), {1}, frozenset([2])],
    [datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, 12), decimal.Decimal("1.50"), 1 + 2j],
    [{1: "a", None: "b", 1.5: "d"}, {True: "c"}],
    [{Shouting("k"): 1}, {Both.A: 2}],
    [OrderedDict(b=1, a=2), Hiding(hidden=1)],
    [geojson.Point((1.0, 2.0)), geojson.Feature(geometry=geojson.Point((1.0, 2.0)), properties={"a": None})],
    [object],
]


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_features_are_written_as_the_standard_library_writes_them(number):
    encode = encoding.encoder()
    assert encode is not encoding.slowly
    for value in [*VALUES[number], VALUES[number]]:
        features = [
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": value}, "properties": {}},
            {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2.5]}, "properties": {"p": value}},
            geojson.Feature(geometry=geojson.Point((1, 2)), properties={"p": value}),
        ]
        for each in ([feature] for feature in features):
            try:
                expected = telling.encode(each)
            except Exception as error:  # noqa: BLE001
                for write in (encode, encoding.slowly):
                    with pytest.raises(type(error)):
                        write(each)
                continue
            for write in (encode, encoding.slowly):
                assert repr(json.loads(write(each))) == repr(json.loads(expected))


def test_a_circle_is_told_as_ever():
    circle: list[Any] = []
    circle.append(circle)
    for write in (encoding.encoder(), encoding.slowly):
        with pytest.raises(ValueError, match="Circular"):
            write(circle)
