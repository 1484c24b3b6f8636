"""Runs over areas: the same bytes whoever does the work, every tile accounted for, nothing lost to a crash."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import mercantile
import numpy as np
import pytest
import rasterio.features
import shapely
from areas import CORNER, SIDE, SIZE, bbox, call, command, field, plan_and_spec, write_source, written
from conftest import PREDICTORS
from fields import assert_same
from flaky import FlakyService

from playground import area, geo
from playground.area.aoi import Area
from playground.area.engines.worker import TileWorker
from playground.area.outcome import Job, Outcome
from playground.area.running import AreaRun, Plan
from playground.errors import PredictorNotReadyError, RunError


@pytest.fixture(scope="module")
def world() -> np.ndarray:
    return field()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("area"))


@pytest.fixture(scope="module")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with one worker, that nobody disturbed."""
    folder = tmp_path_factory.mktemp("finished")
    more = ["--workers", "1", "--out", str(folder / "b.geojsonl")]
    tables = ["--summary", str(folder / "summary.json"), "--table", str(folder / "tiles.csv")]
    ended = call(command(source, folder / "a.geojson", *more, *tables))
    assert ended.returncode == 0, ended.stderr
    return folder


def test_the_command_maps_an_area_as_if_it_were_one_image(finished: Path, world: np.ndarray) -> None:
    found = json.loads((finished / "a.geojson").read_bytes())["features"]

    def place(pixels: np.ndarray) -> np.ndarray:
        return np.column_stack(geo.lnglat_of_pixel(CORNER, pixels[:, 0], pixels[:, 1], SIZE, 0))

    shapes = rasterio.features.shapes(world.astype("uint8"), mask=world, connectivity=4)
    wanted = shapely.transform(shapely.from_geojson([json.dumps(shape) for shape, _ in shapes]), place)
    assert_same(found, [{"geometry": shapely.geometry.mapping(shape)} for shape in wanted])
    lines = (finished / "b.geojsonl").read_bytes().split(b"\x1e")[1:]
    assert [json.loads(line) for line in lines] == found
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["asked"] == SIDE * SIDE == summary["ok"] + summary["empty"]
    assert (summary["missing"], summary["failed"], summary["left"]) == (0, 0, 0)
    assert summary["features"] == len(found)
    assert 0 < summary["joined"] < len(found)
    table = (finished / "tiles.csv").read_text().splitlines()
    assert len(table) == SIDE * SIDE + 1
    assert table[1].startswith("8,100,100,ok,1,")
    assert not list(finished.glob("*journal*")) + list(finished.glob("*.part"))


def test_bytes_do_not_depend_on_the_workers(source: Path, finished: Path, tmp_path: Path) -> None:
    ended = call(command(source, tmp_path / "a.geojson", "--workers", "4"))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "a.geojson").read_bytes() == (finished / "a.geojson").read_bytes()


class Shuffled:
    """An engine that predicts for real, and tells of the tiles in a random order."""

    def __init__(self, worker: TileWorker, seed: int) -> None:
        self._worker = worker
        self._random = random.Random(seed)
        self._kept: list[Outcome] = []

    def launch(self) -> None:
        """The worker has started."""

    def start(self) -> None:
        """And loaded its predictor."""

    def room(self) -> int:
        return max(0, 40 - len(self._kept))

    def submit(self, jobs: list[Job]) -> None:
        self._kept += [self._worker.predict(job) for job in jobs]
        self._random.shuffle(self._kept)

    def collect(self, seconds: float) -> list[Outcome]:
        told, self._kept = self._kept[:7], self._kept[7:]
        return told

    def close(self) -> None:
        """The worker works for the next run."""


def test_bytes_do_not_depend_on_the_order_or_what_is_cached(source: Path, finished: Path, tmp_path: Path) -> None:
    plan, spec = plan_and_spec(source)
    worker = TileWorker(spec)
    worker.start()
    for seed, temperature in enumerate(("cold", "warm")):
        run = AreaRun(plan, lambda total, seed=seed: Shuffled(worker, seed), tmp_path / f"{temperature}.journal")
        out = tmp_path / f"{temperature}.geojson"
        assert written(run, out) == (finished / "a.geojson").read_bytes(), temperature
    worker.close()


def test_a_predictor_that_dies_costs_its_own_tiles_only(source: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(PREDICTORS / "blobs.py", project)
    tables = ["--summary", str(tmp_path / "s.json"), "--table", str(tmp_path / "t.csv")]
    ended = call(
        command(
            source,
            tmp_path / "a.geojson",
            *tables,
            side=5,
            predictor="blobs:SomeDie",
        ),
        cwd=project,
    )
    assert ended.returncode == 1, ended.stderr
    told = json.loads((tmp_path / "s.json").read_text())
    numbers = [x * 31 + y for x in range(100, 105) for y in range(100, 105)]
    refused = sum(number % 53 == 0 for number in numbers)
    assert told["failed"] == refused + 1
    assert told["ok"] + told["empty"] == 25 - told["failed"]
    assert told["retries"] >= sum(number % 37 == 0 for number in numbers)
    assert {failure["kind"] for failure in told["failures"]} <= {
        "TileRejectedError",
        "PredictorCrashedError",
        "TilePoisonedError",
    }
    assert (tmp_path / "a.geojson.journal").exists()


@pytest.mark.slow
def test_a_thousand_tiles_with_failures_add_up(tmp_path: Path) -> None:
    tiles = [mercantile.Tile(x, y, 10) for x in range(40) for y in range(25)]
    chosen = np.random.default_rng(1).permutation(len(tiles))
    transient = {tiles[index] for index in chosen[:50]}
    permanent = {tiles[index] for index in chosen[50:70]}
    absent = {tiles[index] for index in chosen[70:75]}
    busy = {mercantile.Tile(x, 24, 10) for x in range(0, 40, 10)}
    with FlakyService(10, transient, permanent, absent, busy) as service:
        (tmp_path / "tiles.txt").write_text("".join(f"10/{tile.x}/{tile.y}\n" for tile in tiles))
        arguments = [sys.executable, "-c", "from playground.commands import main; main()", "run"]
        arguments += [str(tmp_path / "tiles.txt"), "--service", service.url, "--out", str(tmp_path / "a.geojson")]
        ended = call([*arguments, "--summary", str(tmp_path / "s.json")])
        assert ended.returncode == 1, ended.stderr
        told = json.loads((tmp_path / "s.json").read_text())
        counts = [told[fate] for fate in ("ok", "empty", "missing", "failed", "left")]
        assert counts == [975, 0, 5, 20, 0]
        assert told["asked"] == 1000
        assert 50 <= told["retries"] < 55  # on a busy machine a connection may be lost, too
        found = json.loads((tmp_path / "a.geojson").read_bytes())["features"]
        assert len(found) == 1000 - 25
        assert {failure["tile"] for failure in told["failures"]} == {f"10/{t.x}/{t.y}" for t in permanent}
        before = service.asked
        service.permanent.clear()
        ended = call([*arguments, "--resume", "--summary", str(tmp_path / "s.json")])
        assert ended.returncode == 0, ended.stderr
        assert 20 <= service.asked - before < 25
        told = json.loads((tmp_path / "s.json").read_text())
        assert (told["ok"], told["missing"], told["failed"]) == (995, 5, 0)
        assert not service.together.broken


@pytest.mark.slow
def test_a_real_service_gives_the_same_objects(serve: Callable, source: Path, finished: Path, tmp_path: Path) -> None:
    service = serve("blobs:Blobs", TILES=str(source), ZOOM_LEVEL="8", PADDING="8")
    service.wait_loaded()
    out = tmp_path / "a.fgb"
    arguments = [sys.executable, "-c", "from playground.commands import main; main()", "run", bbox()]
    ended = call([*arguments, "--service", service.url, "--out", str(out), "--out", str(tmp_path / "a.geojson")])
    assert ended.returncode == 0, ended.stderr
    found = json.loads((tmp_path / "a.geojson").read_bytes())["features"]
    wanted = json.loads((finished / "a.geojson").read_bytes())["features"]
    assert_same(found, wanted)
    assert [feature["id"] for feature in found] == [feature["id"] for feature in wanted]
    assert out.read_bytes()[:3] == b"fgb"


def test_from_python(source: Path) -> None:
    options = {"tiles": str(source), "zoom": 8, "padding": 8, "workers": 1, "project": PREDICTORS}
    run = area.run(shapely.box(*map(float, bbox(2).split(","))), predictor="blobs:Blobs", provenance=True, **options)
    found = list(run)
    assert run.report.whole
    assert run.report.asked == 4
    assert run.report.features == len(found) > 0
    assert all(feature["properties"]["tiles"] for feature in found)
    with pytest.raises(PredictorNotReadyError, match="could not be loaded"):
        list(area.run(bbox(2), predictor="blobs:Nothing", **options))


def test_to_geopandas(source: Path) -> None:
    options = {"tiles": str(source), "zoom": 8, "padding": 8, "workers": 1, "project": PREDICTORS}
    run = area.run(bbox(2), predictor="blobs:Blobs", **options)
    frame = run.to_geopandas()
    assert len(frame) == run.report.features > 0
    assert frame.crs.to_epsg() == 4326
    assert set(frame["category"]) == {"blob"}
    assert frame.geometry.is_valid.all()
    west, south, east, north = map(float, bbox(2).split(","))
    assert frame.within(shapely.box(west - 1e-6, south - 1e-6, east + 1e-6, north + 1e-6)).all()


def test_another_runs_journal_is_refused(source: Path, tmp_path: Path) -> None:
    plan, _ = plan_and_spec(source)
    first = AreaRun(plan, None, tmp_path / "journal")
    first.close()
    with pytest.raises(RunError, match="of another run: its tiles is 144, not 1"):
        AreaRun(Plan(Area(tiles=(CORNER,)), 8, plan.about), None, tmp_path / "journal", resume=True)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal")) as database, database:
        database.execute("DELETE FROM about WHERE key = 'format'")
    with pytest.raises(RunError, match="by another version of playground"):
        AreaRun(plan, None, tmp_path / "journal", resume=True)
    (tmp_path / "text").write_text("no journal" * 500)
    with pytest.raises(RunError, match="cannot be used as a journal"):
        AreaRun(plan, None, tmp_path / "text", resume=True)
