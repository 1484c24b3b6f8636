"""Pixels that lie where the predictor's process can look into are not copied for it, and are seen as any others."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from playground.predictor import Pool, ServedTile, pool, shared
from playground_interfaces import Tile


@pytest.fixture
def room(monkeypatch):
    monkeypatch.setattr(pool, "LEAST", 1000)
    made = Pool()
    yield made
    made.close()


@pytest.fixture
def written(monkeypatch) -> list[int]:
    """Bytes that were copied."""
    found: list[int] = []
    write = shared.Memory.write

    def counting(self, start, value, length):
        found.append(length)
        return write(self, start, value, length)

    monkeypatch.setattr(shared.Memory, "write", counting)
    return found


def strip_of(room: Pool, number: int = 0) -> np.ndarray:
    strip = room.empty((200, 40, 3), np.uint8)
    strip[:] = np.random.default_rng(number).integers(0, 255, strip.shape)
    return strip


def tiles_of(strip: np.ndarray, words: str = "array", count: int = 8) -> list[Tile]:
    """Of overlapping parts, read-only, as the tile engine's are."""
    arrays = [strip[20 * number : 20 * number + 40] for number in range(count)]
    for array in arrays:
        array.flags.writeable = False
    return [ServedTile(words, load_array=lambda array=array: array) for array in arrays]


def told(answer: Any) -> dict[str, Any]:
    return answer["features"][0]["properties"]


def test_what_lies_in_the_pool_is_seen_and_not_copied(start_predictor, room, written):
    predictor = start_predictor("sequence:Reads", pool=room)
    strip = strip_of(room)
    tiles = tiles_of(strip)
    elsewhere = tiles_of(strip.copy()[:, ::-1], count=2)
    for some in (tiles, [*tiles[:3], *elsewhere, *tiles[3:]]):
        answers = predictor.predict_several(some)
        assert [told(answer)["array"][2] for answer in answers] == [int(tile.array.sum()) for tile in some]
    assert written == [40 * 40 * 3] * 2


@pytest.mark.parametrize("name", ["Keeps", "KeepsViews"])
def test_what_the_partner_keeps_or_writes_to_is_its_own(name, start_predictor, room, written):
    predictor = start_predictor(f"sequence:{name}", pool=room)
    for number in range(3):
        strip = strip_of(room, number)
        before = strip.copy()
        tiles = tiles_of(strip)
        for tile, answer in zip(tiles, predictor.predict_several(tiles), strict=True):
            assert told(answer)["mean"] == pytest.approx(tile.array.mean())
            assert told(answer)["same"]
        assert (strip == before).all()
        strip[:] = 0  # as the next tiles may
    assert not written


def test_the_next_process_sees_it_too(start_predictor, room, written):
    predictor = start_predictor("sequence:Reads", pool=room, max_requests=5)
    tiles = tiles_of(strip_of(room)) * 3
    answers = predictor.predict_several(tiles)
    assert [told(answer)["array"][2] for answer in answers] == [int(tile.array.sum()) for tile in tiles]
    assert not written
    assert predictor.state().restarts


def test_limited_memory_is_not_filled_with_it(start_predictor, room, written):
    predictor = start_predictor("sequence:Reads", pool=room, memory_mb=10_000)
    predictor.predict_several(tiles_of(strip_of(room)))
    assert len(written) == 7  # the first goes alone


def test_room_is_used_again_when_nobody_looks_any_more(room, monkeypatch):
    monkeypatch.setattr(pool, "MOST", 2)
    one, other = strip_of(room), strip_of(room)
    places = {room.place_of(one), room.place_of(other)}
    assert places == {0, 24576}
    assert room.place_of(one[20:60]) == room.place_of(one) + 20 * 120
    assert room.place_of(one[:, 3:]) is None
    assert room.place_of(strip_of(room)) is None
    view = memoryview(one[100:].reshape(-1)[5:])
    before = room.place_of(one)
    del one
    gc.collect()
    assert room.place_of(strip_of(room)) is None
    assert view
    del view
    assert room.place_of(strip_of(room)) == before
    assert room.place_of(room.empty((5, 5), np.uint8)) is None
    assert room.place_of(room.empty((300, 40, 3), np.uint8)) is None


def test_where_there_is_no_such_memory_it_is_copied(start_predictor, room, written, monkeypatch, caplog):
    def refuse(*args: Any) -> int:
        raise OSError("no such thing here")

    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", refuse)
        strip = strip_of(room)
    assert "no such thing here" in caplog.text
    assert room.place_of(strip) is None
    answers = start_predictor("sequence:Reads", pool=room).predict_several(tiles_of(strip))
    assert told(answers[7])["array"][2] == int(strip[140:180].sum())
