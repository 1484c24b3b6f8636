"""How jobs go to workers: before they are needed, in whole columns, and to others where a worker never gets ready."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from areas import SIDE, plan_and_spec, write_source
from fields import smooth
from tileserver import TileServer

from playground import imagery
from playground.area.cover import BAND_ROWS
from playground.area.engines.local import LocalEngine, whole_columns
from playground.area.outcome import Job, Outcome
from playground.area.running import AreaRun


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("area"))


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(path))
    return path


def jobs(count: int) -> list[Job]:
    return [Job(seq, 100 + seq // SIDE, 100 + seq % SIDE) for seq in range(count)]


@pytest.fixture
def engine(source: Path) -> Iterator[LocalEngine]:
    _, spec = plan_and_spec(source, "gated:LoadsLate")
    engine = LocalEngine(spec, 1, SIDE)
    yield engine
    engine.close()


def all_of(engine: LocalEngine, count: int) -> list[Outcome]:
    found: list[Outcome] = []
    while len(found) < count:
        found += engine.collect(1.0)
    return found


def test_tiles_are_fetched_while_the_predictor_is_loaded(gate: Path) -> None:
    picture = imagery.encode_png(np.dstack([smooth(1, 64, 6.0, 0.3).astype(np.uint8) * 255] * 3))
    asked = threading.Event()

    def answer(path: str) -> bytes:
        asked.set()
        return picture

    with TileServer(answer) as server:
        _, spec = plan_and_spec(server.template, "gated:LoadsLate")
        engine = LocalEngine(spec, 1, SIDE)
        try:
            engine.launch()
            engine.submit(jobs(SIDE))
            assert asked.wait(30)
            gate.touch()
            engine.start()
            assert {outcome.fate for outcome in all_of(engine, SIDE)} <= {"ok", "empty"}
        finally:
            engine.close()


def test_a_worker_that_dies_while_it_loads_costs_no_tile_a_try(engine: LocalEngine, gate: Path) -> None:
    engine.launch()
    engine.submit(jobs(SIDE))
    engine._workers[0].process.kill()
    gate.touch()
    engine.start()
    assert {outcome.fate for outcome in all_of(engine, SIDE)} <= {"ok", "empty"}


def test_a_worker_that_never_loads_keeps_no_tiles(source: Path, tmp_path: Path, gate: Path) -> None:
    plan, spec = plan_and_spec(source, "gated:OneLoads", side=6)
    run = AreaRun(plan, lambda total: LocalEngine(spec, 2, total), tmp_path / "journal")
    assert len(list(run)) > 6
    assert run.report.whole
    run.close()


def test_chunks_are_whole_columns() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        rows = rng.integers(1, BAND_ROWS + 1, 12)
        some = [Job(0, x, y) for x, count in enumerate(rows.tolist()) for y in range(count)]
        size = int(rng.integers(1, len(some) + 20))
        chunk = whole_columns(some, size)
        assert chunk in np.cumsum(rows)
        assert chunk <= max(size, rows[0])
        assert chunk + BAND_ROWS > min(size, len(some))
