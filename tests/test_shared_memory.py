"""What of several tiles goes to the predictor through shared memory: it sees each tile as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sequences import count_frames, properties, short, words_of

from playground.errors import TileSourceError
from playground.predictor import ServedTile, shared
from playground_interfaces import Tile


@pytest.fixture
def frames(monkeypatch) -> list[tuple[int, int]]:
    return count_frames(monkeypatch)


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
