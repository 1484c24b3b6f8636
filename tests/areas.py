"""The area that tests run over: a field of blobs, 12 x 12 tiles."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import mercantile
import numpy as np
import pytest
from conftest import PREDICTORS
from fields import smooth, write_world

from playground import area
from playground.area import outputs
from playground.area.engines.local import LocalEngine
from playground.area.local import about_of, worker_spec
from playground.area.running import AreaRun, Plan
from playground.settings import load_running

CORNER = mercantile.Tile(100, 100, 8)
SIZE = 64
SIDE = 12


def field() -> np.ndarray:
    return smooth(3, SIDE * SIZE, 6.0, 0.3)


def write_source(folder: Path) -> Path:
    """The field as a tile source."""
    path = folder / "field.mbtiles"
    write_world(path, field(), SIZE, CORNER)
    return path


def undisturbed(source: Path, folder: Path) -> bytes:
    """What a run with one worker writes that nobody disturbs."""
    planned, spec = plan_and_spec(source)
    return written(
        AreaRun(planned, lambda total: LocalEngine(spec, 1, total), folder / "journal"), folder / "a.geojson"
    )


def written(run: AreaRun, out: Path) -> bytes:
    """What a run writes."""
    outputs.write(run.batches(), [str(out)])
    assert run.report.whole
    run.close()
    return out.read_bytes()


def bbox(side: int = SIDE) -> str:
    first, last = mercantile.bounds(CORNER), mercantile.bounds(CORNER.x + side - 1, CORNER.y + side - 1, CORNER.z)
    return f"{first.west},{last.south},{last.east},{first.north}"


def command(source: Path, out: Path, *more: str, side: int = SIDE, predictor: str = "blobs:Blobs") -> list[str]:
    where = ["--tiles", str(source), "--zoom", "8", "--padding", "8", "--predictor", predictor]
    program = "from playground.commands import main; main()"
    workers = [] if "--workers" in more else ["--workers", "2"]
    return [sys.executable, "-c", program, "run", *where, *workers, "--out", str(out), *more, "--", bbox(side)]


def call(arguments: list[str], cwd: Path = PREDICTORS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)


def plan_and_spec(
    source: Path, predictor: str = "blobs:Blobs", *, side: int = SIDE, **more: object
) -> tuple[Plan, object]:
    package, _, class_name = predictor.partition(":")
    named = {"PREDICTOR_PACKAGE": package, "PREDICTOR_CLASS": class_name, "PREDICTOR_PYTHON": sys.executable}
    settings = load_running(None, {**named, "TILES": str(source), "ZOOM_LEVEL": "8", "PADDING": "8"})
    return Plan(area.read_area(bbox(side)), 8, about_of(settings), **more), worker_spec(settings, PREDICTORS)


def until_written(process: subprocess.Popen, journal: Path) -> None:
    """Wait for the first tiles in a journal."""
    while rows(journal) < 1:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.03)
            pytest.fail("it ended before")


def rows(journal: Path) -> int:
    try:
        database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
        try:
            return int(database.execute("SELECT count(*) FROM tiles").fetchone()[0])
        finally:
            database.close()
    except sqlite3.Error:
        return 0
