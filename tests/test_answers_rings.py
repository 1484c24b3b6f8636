"""What arithmetic says of positions and rings is what reading one by one, and GEOS, say."""

from __future__ import annotations

from typing import Any

import mercantile
import numpy as np
import pytest
import shapely

from playground.answers.crossings import are_simple
from playground.answers.numbers import LEAST, numbers_of
from playground.answers.shapes import polygons_of_table
from playground.answers.steady import are_steady
from playground.answers.table import Table, table_of_polygons
from playground.area.world import UNITS, WorldFrame

SIZE = 256
STEP = UNITS / SIZE


class Third:
    """A number of somebody's own."""

    def __float__(self) -> float:
        return 1 / 3


@pytest.mark.parametrize(
    "positions",
    [
        [[1, 2], [300, -4]],
        [[1.5, 2.0], [float("inf"), -0.0]],
        [[1, 2.5], [3.5, 4]],
        [(1, 2), (3, 4)],
        [[2.5, 1.5], (3.5, 4.5)],
        [[True, 2], [3, 4]],
        [[2**40, 1], [3, 4]],
        [[np.float64(1.5), 2.0], [3.0, np.float32(4)]],
        [[1, np.int64(7)], [3, 4]],
        [[1.5, Third()]],
        [np.array([1.5, 2.5]), np.array([3.0, 4.0])],
    ],
    ids=lambda positions: repr(positions[:2])[:40],
)
@pytest.mark.parametrize("times", [1, LEAST, 40_000])
def test_positions_are_read_as_the_numbers_that_they_are(positions: list[Any], times: int) -> None:
    positions = positions * times
    coords, width = numbers_of(positions)
    assert width == 2
    assert coords.tolist() == [[float(x), float(y)] for x, y in positions]


@pytest.mark.parametrize(
    "positions",
    [
        [[1.5, "2"]],
        [["1", 2]],
        [[1.5, None]],
        [[1, b"12345678"]],
        [[1, [2]]],
        [[1.5, 2.5], [1.5]],
        [[1, 2], [1, 2, 3]],
        [[1, 2], 5],
        [None],
        [[]],
        [{"x": 1.5, "y": 2.5}],
        [[1.5, 2.5], [{}, {}]],
    ],
    ids=repr,
)
@pytest.mark.parametrize("around", [0, LEAST])
def test_what_is_no_number_is_not_read_as_one(positions: list[Any], around: int) -> None:
    for good in ([1, 2], [1.5, 2.5]):
        with pytest.raises((TypeError, ValueError, OverflowError, KeyError)):
            numbers_of([good] * around + positions + [good] * around)


def rings(count: int, spread: float, seed: int) -> list[list[list[float]]]:
    """Rings around and beside a point, on whole pixels, some crossing themselves."""
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        corners = int(chance.integers(3, 20))
        angles = chance.uniform(0, 2 * np.pi, corners)
        if chance.uniform() < 0.9:
            angles = np.sort(angles)
        reach = chance.uniform(0.1, 1, corners) * spread
        ring = np.round(128 + np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=1))
        found.append([*ring.tolist(), ring[0].tolist()])
    return found


def valid_of(table: Table, coords: Any) -> Any:
    return np.asarray(shapely.is_valid(polygons_of_table(table, coords)))


@pytest.mark.parametrize("spread", [3, 10, 100])
def test_rings_said_to_be_simple_are(spread: float) -> None:
    table, _ = table_of_polygons([[ring] for ring in rings(3000, spread, 1)])
    said = are_simple(table.coords, table.starts, table.positions)
    valid = valid_of(table, table.coords)
    assert not (said & ~valid).any()
    assert said.sum() > 0.4 * valid.sum()
    assert not valid.all()


def rivers(count: int, seed: int, tangled: bool) -> list[list[list[float]]]:
    """Long thin outlines on whole pixels that lie in any direction and begin anywhere, some with upright steps.

    Args:
        tangled: in some, two vertices have changed places.
    """
    chance = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        steps = int(chance.integers(3, 25))
        along = np.cumsum(chance.choice([0, 1, 2, 4], steps, p=[0.04, 0.32, 0.32, 0.32]))
        width = np.r_[1, chance.integers(3, 6, steps - 2), 1]
        banks = [np.round(along * chance.uniform(-0.4, 0.4)) + side * width for side in (-1, 1)]
        ring = np.concatenate([np.stack([along, banks[0]], axis=1), np.stack([along, banks[1]], axis=1)[::-1]])
        if tangled and chance.uniform() < 0.5:
            one = chance.integers(0, len(ring) - 2)
            ring[[one, one + 2]] = ring[[one + 2, one]]
        ring = np.roll(ring, chance.integers(0, len(ring)), axis=0)[:, :: int(chance.choice([-1, 1]))]
        found.append([*ring.tolist(), ring[0].tolist()])
    return found


@pytest.mark.parametrize("tangled", [False, True])
def test_long_thin_rings_said_to_be_simple_are(tangled: bool) -> None:
    table, _ = table_of_polygons([[ring] for ring in rivers(3000, 4, tangled)])
    said = are_simple(table.coords, table.starts, table.positions)
    valid = valid_of(table, table.coords)
    assert not (said & ~valid).any()
    assert said.sum() > 0.6 * valid.sum()
    assert not valid.all() or not tangled


@pytest.mark.parametrize(("zoom", "least"), [(3, 0.0), (10, 0.9), (14, 0.9), (17, 0.5), (20, 0.0)])
def test_rings_said_to_stay_simple_do(zoom: int, least: float) -> None:
    table, _ = table_of_polygons([[ring] for ring in rings(3000, 15, 2)])
    table = table.take(valid_of(table, table.coords))
    frame = WorldFrame.of(zoom, STEP)
    for share in (0.001, 0.3, 0.5):
        tile = mercantile.Tile(int(0.7 * 2**zoom), int(share * 2**zoom), zoom)
        placed = table.at(table.coords * STEP + np.array([tile.x, tile.y]) * UNITS)
        said = are_steady(placed, frame)
        assert not (said & ~valid_of(table, frame.round(frame.place(placed.coords)))).any()
        assert said.mean() >= (least if share > 0.1 else 0.0)
    assert not are_steady(table.at(table.coords + 0.5), frame).any(), "what lies on no grid is not sure"
