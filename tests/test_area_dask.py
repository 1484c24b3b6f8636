"""Runs over areas on a Dask cluster: a real scheduler, real workers as processes, some of them killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from areas import CORNER, SIDE, bbox, command, plan_and_spec, rows, undisturbed, until_written, write_source, written
from conftest import PREDICTORS
from distributed import Client

from playground import area
from playground.area.engines.dask import DaskEngine, place_of
from playground.area.engines.dask_worker import Desk, at_home
from playground.area.engines.local import LocalEngine
from playground.area.engines.shipping import pack, unpack
from playground.area.outcome import Job, Outcome
from playground.area.running import AreaRun
from playground.errors import PredictorNotReadyError, RunError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("area"))


@pytest.fixture(scope="module")
def wanted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return undisturbed(source, tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the predictor ``gated:Gated`` waits for."""
    return tmp_path_factory.mktemp("gate") / "open"


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self._folder = folder
        # Killed workers leave their folders: here, where they go with the tests' own.
        own = {"DASK_LOGGING__DISTRIBUTED": "error", "DASK_TEMPORARY_DIRECTORY": str(folder)}
        self._environ = {**os.environ, **environ, **own}
        self._file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen] = []
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        self._scheduler = self._start("scheduler", *options)
        self.address = ""
        while not self.address:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._scheduler.wait(0.05)
                pytest.fail("the scheduler ended")
            with contextlib.suppress(FileNotFoundError, ValueError):  # half of it may be there
                self.address = json.loads(self._file.read_text())["address"]

    def have(self, workers: int) -> None:
        """End workers, or start more of them: they need not be there yet."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for worker in self.workers[workers:]:
            end(worker)
        del self.workers[workers:]
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        self.workers += [self._start("worker", *options) for _ in range(workers - len(self.workers))]

    def close(self) -> None:
        self.have(0)
        end(self._scheduler)

    def _start(self, kind: str, *options: str) -> subprocess.Popen:
        arguments = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self._file), *options]
        return subprocess.Popen(arguments, cwd=self._folder, env=self._environ)


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"), {"GATE": str(gate)})
    yield started
    started.close()


@pytest.mark.slow
def test_it_waits_for_workers_and_writes_the_same_bytes(
    cluster: Cluster, source: Path, wanted: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "a.geojson"
    cluster.have(0)
    arguments = command(source, out, "--scheduler", cluster.address)
    with subprocess.Popen(arguments, cwd=PREDICTORS, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        words = ""
        while "waiting for the first" not in words:
            line = run.stderr.readline()
            assert line, words
            words += line
        assert "dashboard: http://127.0.0.1:" in words
        cluster.have(2)
        words += run.stderr.read()
    assert run.returncode == 0, words
    assert out.read_bytes() == wanted
    until_childless(cluster.workers)


def until_childless(workers: list[subprocess.Popen]) -> None:
    """Wait until the predictors of workers have ended."""
    end = time.monotonic() + 60
    while children := [child for worker in workers for child in psutil.Process(worker.pid).children()]:
        assert time.monotonic() < end, children
        psutil.wait_procs(children, 0.1)


@pytest.mark.slow
def test_a_client_that_is_killed_leaves_what_it_knew(
    cluster: Cluster, source: Path, gate: Path, wanted: bytes, tmp_path: Path
) -> None:
    cluster.have(2)
    out = tmp_path / "a.geojson"
    more = ["--scheduler", cluster.address, "--preinstalled", "--python", sys.executable]
    process = subprocess.Popen(
        command(source, out, *more, predictor="gated:Gated"), cwd=PREDICTORS, stderr=subprocess.DEVNULL
    )
    journal = tmp_path / "a.geojson.journal"
    until_written(process, journal)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = rows(journal)
    assert not out.exists()
    assert 0 < done < SIDE * SIDE
    gate.touch()
    plan, spec = plan_and_spec(source, "gated:Gated")
    run = AreaRun(plan, lambda total: DaskEngine(spec, total, scheduler=cluster.address), journal, resume=True)
    assert written(run, out) == wanted
    assert run.report.predicted == SIDE * SIDE - done


@pytest.mark.slow
def test_a_cluster_goes_on_with_what_this_machine_began(
    cluster: Cluster, source: Path, wanted: bytes, tmp_path: Path
) -> None:
    plan, spec = plan_and_spec(source)
    _, slow = plan_and_spec(source, "blobs:Slow")

    def stop_soon(run: AreaRun) -> None:
        if run.report.predicted:
            run.stop()

    journal = tmp_path / "journal"
    begun = AreaRun(plan, lambda total: LocalEngine(slow, 1, total), journal, observe=stop_soon)
    list(begun)
    begun.close()
    done = rows(journal)
    assert 0 < done < SIDE * SIDE
    cluster.have(1)
    run = AreaRun(plan, lambda total: DaskEngine(spec, total, scheduler=cluster.address), journal, resume=True)
    assert written(run, tmp_path / "a.geojson") == wanted
    assert run.report.predicted == SIDE * SIDE - done


class Killing(DaskEngine):
    """Kills a worker when the first tiles are told, and others are under way."""

    victim: subprocess.Popen

    def collect(self, seconds: float) -> list[Outcome]:
        found = super().collect(seconds)
        if found and self.victim.poll() is None:
            assert self._under_way
            self.victim.kill()
        return found


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(cluster: Cluster, source: Path, wanted: bytes, tmp_path: Path) -> None:
    plan, spec = plan_and_spec(source)
    cluster.have(2)
    victim = cluster.workers[-1]

    def make(total: int) -> DaskEngine:
        engine = Killing(spec, total, scheduler=cluster.address)
        engine.victim = victim
        return engine

    assert written(AreaRun(plan, make, tmp_path / "journal"), tmp_path / "a.geojson") == wanted
    assert victim.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_a_cluster_of_this_machine_from_python(source: Path) -> None:
    options = {"tiles": str(source), "zoom": 8, "padding": 8, "project": PREDICTORS, "workers": 1}
    found = [list(area.run(bbox(2), predictor="blobs:Blobs", engine=engine, **options)) for engine in ("dask", "local")]
    assert found[0] == found[1]
    assert found[0]


def test_what_a_worker_cannot_do_is_said(cluster: Cluster, source: Path, tmp_path: Path) -> None:
    cluster.have(1)
    plan, spec = plan_and_spec(source, "blobs:Nothing")
    run = AreaRun(plan, lambda total: DaskEngine(spec, total, scheduler=cluster.address), tmp_path / "journal")
    with pytest.raises(PredictorNotReadyError, match="a Dask worker cannot predict: the predictor could not be loaded"):
        list(run)
    run.close()


@pytest.mark.slow
def test_a_tile_that_takes_its_worker_down_leaves_the_others_alone(
    cluster: Cluster, source: Path, tmp_path: Path
) -> None:
    cluster.have(3)
    plan, spec = plan_and_spec(source, "gated:EndsItsParent", side=5, pause=0.01)

    def forgive_nothing(dask_scheduler: Any) -> None:
        dask_scheduler.allowed_failures = 0

    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(3)
        client.run_on_scheduler(forgive_nothing)
    run = AreaRun(plan, lambda total: DaskEngine(spec, total, scheduler=cluster.address), tmp_path / "journal")
    assert list(run)
    report = run.report
    assert (report.asked, report.ok + report.empty, report.failed) == (25, 24, 1)
    assert [(failure["tile"], failure["kind"]) for failure in report.failures] == [("8/102/101", "WorkerGone")]
    assert [worker.poll() for worker in cluster.workers].count(None) == 1
    run.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.area.engines.dask.CONNECT", 0.2)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--scheduler", "nonsense"], 1, "it looks like tcp://HOST:8786"),
        (["--scheduler", "tcp://nowhere.invalid:8786"], 1, "no Dask scheduler answers at tcp://nowhere.invalid:8786"),
        (["--scheduler", "tcp://h:1", "--engine", "local"], 2, "for --engine dask"),
        (["--preinstalled"], 2, "for --engine dask"),
        (["--engine", "service"], 2, "--service URL"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_wrong_command_line_is_said(source: Path, tmp_path: Path, options: list[str], status: int, said: str) -> None:
    from click.testing import CliRunner

    from playground.commands import main

    arguments = command(source, tmp_path / "a.geojson", *options)
    ended = CliRunner().invoke(main, arguments[3:])
    assert ended.exit_code == status, ended.output
    assert said in " ".join(ended.output.split())


def test_a_folder_is_packed_the_same_and_without_what_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    for name in (
        "a/code.py",
        "a/__pycache__/code.pyc",
        ".git/HEAD",
        "env/pyvenv.cfg",
        "env/bin/python",
        "all.mbtiles",
        "tiles/0/0/0.png",
    ):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (project / "a" / "tool").write_text("#!")
    (project / "a" / "tool").chmod(0o755)
    without = [project / "all.mbtiles", place_of(f"{project}/tiles/{{z}}/{{x}}/{{y}}.png"), project]
    first = pack(project, without)
    shutil.copytree(project, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "a" / "code.py", (0, 0))
    assert pack(tmp_path / "copy", [tmp_path / "copy" / path.relative_to(project) for path in without]) == first
    folder = unpack(first, tmp_path / "worker")
    assert unpack(first, tmp_path / "worker") == folder
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"a/code.py", "a/tool"}
    assert os.access(folder / "a" / "tool", os.X_OK)
    assert [path.name for path in (tmp_path / "worker").iterdir()] == [folder.name]
    monkeypatch.setattr("playground.area.engines.shipping.MOST_BYTES", 5)
    with pytest.raises(RunError, match="too much to send"):
        pack(project)


@pytest.mark.slow
def test_a_desk_that_nobody_asks_closes(source: Path, tmp_path: Path) -> None:
    _, spec = plan_and_spec(source)
    shipped = unpack(pack(PREDICTORS, [source]), tmp_path)
    before = set(psutil.Process().children())
    desk = Desk(at_home(spec, shipped, tmp_path), shipped, idle=1.0)
    with desk.seat() as seat:
        (outcome,) = seat.predict([Job(0, CORNER.x, CORNER.y)])
    assert outcome.fate == "ok", outcome.error
    assert desk.closed.wait(60)
    gone = set(psutil.Process().children()) - before
    assert not psutil.wait_procs(gone, 60)[1]
    assert seat.predict([Job(0, CORNER.x, CORNER.y)]) == []
    desk._free.clear()
    with desk.seat() as late:
        assert late.predict([Job(0, CORNER.x, CORNER.y)]) == []
    assert set(psutil.Process().children()) == before
