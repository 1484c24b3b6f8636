"""Runs over areas that are interrupted: by kill -9, by Ctrl-C, by a full disk. What is done is kept, and goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from areas import SIDE, call, command, plan_and_spec, rows, undisturbed, until_written, write_source, written
from conftest import PREDICTORS

from playground.area import sweep
from playground.area.engines.local import LocalEngine
from playground.area.running import AreaRun

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("area"))


@pytest.fixture(scope="module")
def wanted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return undisturbed(source, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the predictor ``gated:Gated`` waits for, near its end: so a run does not end before it is interrupted."""
    path = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(path))
    return path


def test_killed_at_any_moment_it_goes_on(source: Path, wanted: bytes, tmp_path: Path, gate: Path) -> None:
    out = tmp_path / "a.geojson"
    journal = tmp_path / "a.geojson.journal"
    whole = SIDE * SIDE
    process = subprocess.Popen(command(source, out, predictor="gated:Gated"), cwd=PREDICTORS, stderr=subprocess.DEVNULL)
    until_written(process, journal)
    process.send_signal(signal.SIGKILL)
    process.wait()
    gate.touch()
    assert not out.exists()
    done = rows(journal)
    ended = call(command(source, out, "--resume", "--summary", str(tmp_path / "s.json"), predictor="gated:Gated"))
    assert ended.returncode == 0, ended.stderr
    assert out.read_bytes() == wanted
    told = json.loads((tmp_path / "s.json").read_text())
    assert told["asked"] == whole
    assert told["predicted"] == whole - done


DYING = """\
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from areas import plan_and_spec
from playground.area import running
from playground.area.engines.local import LocalEngine

source, journal, workers, place, when = sys.argv[2:]
running.WRITE_EVERY = 0.01
left = int(when)

def pass_by(here):
    global left
    left -= here == place
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Engine(LocalEngine):
    def collect(self, seconds):
        found = super().collect(seconds)
        for _ in found:
            pass_by("tile")
        return found

class Journal(running.Journal):
    def add(self, outcomes):
        with self.transaction():
            self._db.executemany("DELETE FROM tiles WHERE seq = ?", [(-1,)])
            pass_by("in a write")
        super().add(outcomes)
        pass_by("after a write")

running.Journal = Journal
plan, spec = plan_and_spec(Path(source), "blobs:Slow")
make = lambda total: Engine(spec, int(workers), total)
list(running.AreaRun(plan, make, Path(journal), resume=Path(journal).exists()))
"""


@pytest.mark.slow
def test_killed_again_and_again_with_other_numbers_of_workers(source: Path, wanted: bytes, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    journal = tmp_path / "journal"
    done = [0]
    for workers, place, most in ((1, "tile", 60), (2, "in a write", 4), (1, "after a write", 4)):
        when = str(rng.integers(1, most))
        arguments = [sys.executable, "-c", DYING, str(TESTS), str(source), str(journal), str(workers), place, when]
        ended = call(arguments)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        done.append(rows(journal))
    assert done == sorted(done)
    assert 0 < done[-1] < SIDE * SIDE
    plan, spec = plan_and_spec(source, "blobs:Slow")
    run = AreaRun(plan, lambda total: LocalEngine(spec, 4, total), journal, resume=True)
    assert written(run, tmp_path / "a.geojson") == wanted
    assert run.report.predicted == SIDE * SIDE - done[-1]


def test_ctrl_c_ends_it_in_order(source: Path, tmp_path: Path, gate: Path) -> None:
    out = tmp_path / "a.geojson"
    gated = command(source, out, predictor="gated:Gated")
    with subprocess.Popen(gated, cwd=PREDICTORS, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        until_written(process, tmp_path / "a.geojson.journal")
        process.send_signal(signal.SIGINT)
        words = until_said(process, "once more to end at once") + process.stderr.read()
    assert process.returncode == 130, words
    assert "--resume goes on" in words
    assert not out.exists()
    refused = call(gated)
    assert refused.returncode == 1
    assert "add --resume" in refused.stderr


def until_said(process: subprocess.Popen, end: str) -> str:
    """What a run says, up to these words."""
    assert process.stderr is not None
    words = ""
    while end not in words:
        line = process.stderr.readline()
        assert line, words
        words += line
    return words


@pytest.mark.slow
def test_the_picture_of_a_run_that_was_interrupted_is_that_of_one_that_was_not(
    source: Path, tmp_path: Path, gate: Path
) -> None:
    out, picture = tmp_path / "a.geojson", tmp_path / "a.png"
    gated = command(source, out, "--picture", str(picture), predictor="gated:Gated")
    process = subprocess.Popen(gated, cwd=PREDICTORS, stderr=subprocess.DEVNULL)
    until_written(process, tmp_path / "a.geojson.journal")
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    gate.touch()
    assert not picture.exists()
    ended = call(command(source, out, "--resume", "--picture", str(picture), predictor="gated:Gated"))
    assert ended.returncode == 0, ended.stderr
    whole = tmp_path / "whole.png"
    ended = call(command(source, out, "--anew", "--picture", str(whole), predictor="gated:Gated"))
    assert ended.returncode == 0, ended.stderr
    assert picture.read_bytes() == whole.read_bytes()


def test_a_second_ctrl_c_ends_it_at_once(source: Path, tmp_path: Path) -> None:
    arguments = command(source, tmp_path / "a.geojson", predictor="gated:NeverLoads")
    with subprocess.Popen(arguments, cwd=PREDICTORS, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not psutil.Process(process.pid).children():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.03)
                pytest.fail("it ended before")
        process.send_signal(signal.SIGINT)
        words = until_said(process, "once more to end at once")
        process.send_signal(signal.SIGINT)
        words += process.stderr.read()
    assert process.returncode == 130, words
    assert "Traceback" not in words
    assert "--resume goes on with" in words


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(source: Path, wanted: bytes, tmp_path: Path) -> None:
    plan, spec = plan_and_spec(source, "blobs:Slow", pause=0.01)
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
    assert list(run) == json.loads(wanted)["features"]
    assert run.report.whole
    assert len(engines) == 2
    run.close()


def test_what_memory_has_no_room_for_is_read_from_the_journal(
    source: Path, wanted: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "HELD", 20_000)
    plan, spec = plan_and_spec(source)
    run = AreaRun(plan, lambda total: LocalEngine(spec, 2, total), tmp_path / "journal")
    assert written(run, tmp_path / "a.geojson") == wanted


def test_a_full_disk_is_said(source: Path, tmp_path: Path) -> None:
    arguments = command(source, tmp_path / "a.geojson")
    limited = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", *arguments]
    ended = call(limited)
    assert ended.returncode == 1, ended.stderr
    assert "--resume" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "a.geojson.journal").exists()
    assert not (tmp_path / "a.geojson").exists()


@pytest.mark.parametrize("when", [pytest.param("at once", marks=pytest.mark.slow), "while its predictors load"])
def test_a_run_that_is_killed_leaves_no_process(source: Path, tmp_path: Path, when: str) -> None:
    arguments = command(source, tmp_path / "a.geojson", predictor="gated:NeverLoads")
    with subprocess.Popen(arguments, cwd=PREDICTORS, stderr=subprocess.DEVNULL) as process:
        run = psutil.Process(process.pid)
        started: list[psutil.Process] = []
        while len(started) < (1 if when == "at once" else 5):  # who forks, two workers, their predictors
            started = run.children(recursive=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
                pytest.fail("it ended before")
        process.send_signal(signal.SIGKILL)
    _, left = psutil.wait_procs(started, 60)
    for each in left:
        each.kill()
    assert not left


@pytest.mark.slow
def test_workers_come_back_when_the_process_that_forks_them_is_killed(
    source: Path, wanted: bytes, tmp_path: Path
) -> None:
    plan, spec = plan_and_spec(source, "blobs:Slow", pause=0.01)
    engine = LocalEngine(spec, 2, SIDE * SIDE)
    killed = []

    def kill_it(run: AreaRun) -> None:
        if run.report.predicted and not killed:
            killed.append(engine._forks)
            os.kill(engine._forks._process.pid, signal.SIGKILL)

    run = AreaRun(plan, lambda _: engine, tmp_path / "journal", observe=kill_it)
    assert list(run) == json.loads(wanted)["features"]
    assert run.report.whole
    assert killed
    run.close()
