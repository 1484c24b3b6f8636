"""Runs over areas: the same bytes whoever does the work, every tile accounted for, nothing lost to a crash."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mercantile
import numpy as np
import pytest
import rasterio.features
import shapely
from conftest import PREDICTORS
from fields import assert_same, smooth, write_world
from flaky import FlakyService

from playground import area, geo
from playground.area.aoi import Area
from playground.area.engines.local import LocalEngine
from playground.area.engines.worker import TileWorker
from playground.area.local import about_of, worker_spec
from playground.area.outcome import Job, Outcome
from playground.area.running import AreaRun, Plan
from playground.errors import PredictorNotReadyError, RunError
from playground.settings import load_running

CORNER = mercantile.Tile(100, 100, 8)
SIZE = 64
SIDE = 12


@pytest.fixture(scope="module")
def world() -> np.ndarray:
    return smooth(3, SIDE * SIZE, 6.0, 0.3)


@pytest.fixture(scope="module")
def source(world: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("area") / "field.mbtiles"
    write_world(path, world, SIZE, CORNER)
    return path


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

    def __init__(self, spec: object, seed: int) -> None:
        self._worker = TileWorker(spec)
        self._random = random.Random(seed)
        self._kept: list[Outcome] = []

    def start(self) -> None:
        self._worker.start()

    def room(self) -> int:
        return max(0, 40 - len(self._kept))

    def submit(self, jobs: list[Job]) -> None:
        self._kept += [self._worker.predict(job) for job in jobs]
        self._random.shuffle(self._kept)

    def collect(self, seconds: float) -> list[Outcome]:
        told, self._kept = self._kept[:7], self._kept[7:]
        return told

    def close(self) -> None:
        self._worker.close()


def plan_and_spec(source: Path, **more: object) -> tuple[Plan, object]:
    named = {"PREDICTOR_PACKAGE": "blobs", "PREDICTOR_CLASS": "Blobs", "PREDICTOR_PYTHON": sys.executable}
    settings = load_running(None, {**named, "TILES": str(source), "ZOOM_LEVEL": "8", "PADDING": "8"})
    return Plan(area.read_area(bbox()), 8, about_of(settings), **more), worker_spec(settings, PREDICTORS)


def test_bytes_do_not_depend_on_the_order(source: Path, finished: Path, tmp_path: Path) -> None:
    plan, spec = plan_and_spec(source)
    run = AreaRun(plan, lambda total: Shuffled(spec, 5), tmp_path / "journal")
    assert list(run) == json.loads((finished / "a.geojson").read_bytes())["features"]
    run.close()


def test_killed_at_any_moment_it_goes_on(source: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.geojson"
    journal = tmp_path / "a.geojson.journal"
    whole = SIDE * SIDE
    process = subprocess.Popen(command(source, out), cwd=PREDICTORS, stderr=subprocess.DEVNULL)
    until_written(process, journal)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    done = rows(journal)
    ended = call(command(source, out, "--resume", "--summary", str(tmp_path / "s.json")))
    assert ended.returncode == 0, ended.stderr
    assert out.read_bytes() == (finished / "a.geojson").read_bytes()
    told = json.loads((tmp_path / "s.json").read_text())
    assert told["asked"] == whole
    assert told["predicted"] == whole - done


def until_written(process: subprocess.Popen, journal: Path) -> None:
    """Wait for the first tiles in a journal."""
    while rows(journal) < 1:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.03)
            pytest.fail("it ended before")


def rows(journal: Path) -> int:
    import sqlite3

    try:
        database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
        try:
            return int(database.execute("SELECT count(*) FROM tiles").fetchone()[0])
        finally:
            database.close()
    except sqlite3.Error:
        return 0


def test_ctrl_c_ends_it_in_order(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.geojson"
    process = subprocess.Popen(command(source, out), cwd=PREDICTORS, stderr=subprocess.PIPE, text=True)
    until_written(process, tmp_path / "a.geojson.journal")
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=30)
    if process.returncode == 0:
        pytest.skip("it was faster than the signal")
    assert process.returncode == 130, words
    assert "--resume goes on" in words
    assert not out.exists()
    refused = call(command(source, out))
    assert refused.returncode == 1
    assert "add --resume" in refused.stderr


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


def test_a_worker_that_is_killed_loses_nothing(source: Path, finished: Path, tmp_path: Path) -> None:
    plan, spec = plan_and_spec(source, pause=0.01)
    engines = []

    def make(total: int) -> LocalEngine:
        engines.append(LocalEngine(spec, 2, total))
        return engines[0]

    def kill_one(run: AreaRun) -> None:
        if run.report.predicted and len(engines) == 1:
            victim = engines[0]._workers[0].process
            victim.kill()
            engines.append(victim)

    run = AreaRun(plan, make, tmp_path / "journal", observe=kill_one)
    assert list(run) == json.loads((finished / "a.geojson").read_bytes())["features"]
    assert run.report.whole
    assert len(engines) == 2
    run.close()


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
        assert told["retries"] == 50
        found = json.loads((tmp_path / "a.geojson").read_bytes())["features"]
        assert len(found) == 1000 - 25
        assert {failure["tile"] for failure in told["failures"]} == {f"10/{t.x}/{t.y}" for t in permanent}
        before = service.asked
        service.permanent.clear()
        ended = call([*arguments, "--resume", "--summary", str(tmp_path / "s.json")])
        assert ended.returncode == 0, ended.stderr
        assert service.asked - before == 20
        told = json.loads((tmp_path / "s.json").read_text())
        assert (told["ok"], told["missing"], told["failed"]) == (995, 5, 0)
        assert not service.together.broken


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


def test_another_runs_journal_is_refused(source: Path, tmp_path: Path) -> None:
    plan, _ = plan_and_spec(source)
    first = AreaRun(plan, None, tmp_path / "journal")
    first.close()
    with pytest.raises(RunError, match="of another run: its tiles is 144, not 1"):
        AreaRun(Plan(Area(tiles=(CORNER,)), 8, plan.about), None, tmp_path / "journal", resume=True)
    (tmp_path / "text").write_text("no journal" * 500)
    with pytest.raises(RunError, match="cannot be used as a journal"):
        AreaRun(plan, None, tmp_path / "text", resume=True)


def test_a_full_disk_is_said(source: Path, tmp_path: Path) -> None:
    arguments = command(source, tmp_path / "a.geojson")
    limited = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", *arguments]
    ended = call(limited)
    assert ended.returncode == 1, ended.stderr
    assert "--resume" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "a.geojson.journal").exists()
    assert not (tmp_path / "a.geojson").exists()
