"""One model for several workers: loaded once, forked for each; what dies is replaced, and nothing is left behind."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from conftest import PREDICTORS
from test_lifecycle import is_running
from test_zoo import BAD, GOOD

from playground.errors import PredictorCrashedError, PredictorNotReadyError
from playground.predictor import Limits, PredictorSpec, ProcessPredictor
from playground_interfaces import Tile

PLAIN = Tile("plain", b"good")


@pytest.fixture
def start_shared(tmp_path) -> Iterator:
    """Start predictors that share one model: ``start_shared("Model", 2)``; stopped afterwards, with nothing left."""
    started: list[ProcessPredictor] = []

    def start(name: str, count: int, python: str = sys.executable, **limits: float) -> list[ProcessPredictor]:
        spec = PredictorSpec("shared", name, PREDICTORS, python, nursery=tmp_path / "nursery")
        predictors = [ProcessPredictor(spec, Limits(**limits)) for _ in range(count)]
        started.extend(predictors)
        for predictor in predictors:
            predictor.start()
        for predictor in predictors:
            predictor.wait_ready(60)
        return predictors

    yield start
    for predictor in started:
        predictor.close()


def told(predictor: ProcessPredictor) -> dict[str, int]:
    (feature,) = predictor.predict(PLAIN)["features"]
    assert feature["properties"].pop("category") == "w"
    found: dict[str, int] = feature["properties"]
    return found


def wait_noticed(predictor: ProcessPredictor, pid: int) -> None:
    """Wait until a predictor knows that its process has ended."""
    until = time.monotonic() + 60
    while (session := predictor._session) is not None and session.process.pid == pid and not session.is_gone():
        assert time.monotonic() < until


def wait_gone(*pids: int) -> None:
    until = time.monotonic() + 60
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, pids


def test_the_model_is_loaded_once_in_every_python(python, start_shared, caplog):
    caplog.set_level("INFO", "playground.predictor.output")
    predictors = start_shared("Model", 3, python)
    assert [predictor.state().error for predictor in predictors] == [None] * 3
    answers = [told(predictor) for predictor in predictors]
    nursery = answers[0]["parent"]
    assert {(answer["parent"], answer["loaded_by"]) for answer in answers} == {(nursery, nursery)}
    assert {answer["pid"] for answer in answers} == {predictor.state().pid for predictor in predictors}
    assert len({answer["pid"] for answer in answers}) == 3
    assert caplog.text.count("loading 60 MB") == 1
    for predictor in predictors:
        predictor.close()
    wait_gone(nursery, *[answer["pid"] for answer in answers])


def test_a_crash_is_told_as_it_was_and_the_next_is_forked_not_loaded(start_shared):
    first, second = start_shared("Model", 2)
    before, other = told(first), told(second)
    with pytest.raises(PredictorCrashedError, match="exited with status 7"):
        first.predict(Tile("bad", b"bad"))
    after = told(first)
    assert after["loaded_by"] == before["loaded_by"]
    assert after["pid"] != before["pid"]
    assert told(second) == other
    assert (first.state().restarts, second.state().restarts) == (1, 0)
    os.kill(after["pid"], signal.SIGSEGV)
    wait_noticed(first, after["pid"])
    assert told(first)["pid"] != after["pid"]
    assert "SIGSEGV" in first.state().error


def test_the_only_predictor_is_forked_again_too(start_shared):
    (only,) = start_shared("Model", 1, max_requests=2)
    answers = [told(only) for _ in range(6)]
    assert len({answer["pid"] for answer in answers}) == 3
    assert len({answer["loaded_by"] for answer in answers}) == 1


def test_when_the_holder_of_the_model_dies_another_one_loads(start_shared):
    predictors = start_shared("Model", 3)
    before = [told(predictor) for predictor in predictors]
    os.kill(before[0]["parent"], signal.SIGKILL)
    for predictor, each in zip(predictors, before, strict=True):
        wait_noticed(predictor, each["pid"])
    after = [told(predictor) for predictor in predictors]
    assert {each["parent"] for each in after} == {after[0]["parent"]}
    assert after[0]["parent"] != before[0]["parent"]
    assert [predictor.state().restarts for predictor in predictors] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("StartsAThread", r"cannot be shared \(share_model\): it started threads \(prefetch\)"),
        ("CannotLoad", "weights.h5 is not here"),
        ("CrashesLoading", "exited with status 9 while"),
        ("NoSuch", "module shared has no NoSuch"),
    ],
)
def test_a_model_that_cannot_be_loaded_or_shared_says_why_to_every_worker(name, words, start_shared):
    for predictor in start_shared(name, 2):
        assert predictor.state().phase == "failed"
        with pytest.raises(PredictorNotReadyError, match=words):
            predictor.predict(PLAIN)


def test_loading_that_takes_too_long_is_given_up(tmp_path):
    spec = PredictorSpec("zoo", "HangsInTheConstructor", PREDICTORS, sys.executable, nursery=tmp_path / "nursery")
    predictor = ProcessPredictor(spec, Limits(load_seconds=2))
    predictor.start()
    state = predictor.wait_ready(60)
    predictor.close()
    assert state.phase == "failed"
    assert "was not done constructing within 2 seconds: loading weights" in state.error


def test_numpys_threads_are_harmless(start_shared):
    predictors = start_shared("UsesNumpy", 2)
    assert [told(predictor)["loaded_by"] for predictor in predictors] == [told(predictors[0])["parent"]] * 2


def test_each_prints_to_its_own_workers_log_and_helpers_end_with_the_holder(start_shared, caplog):
    caplog.set_level("INFO", "playground.predictor.output")
    predictors = start_shared("PrintsAndStartsHelpers", 2)
    answers = [told(predictor) for predictor in predictors]
    helpers = [
        pid
        for pid in (int(path.name) for path in Path("/proc").glob("[0-9]*"))
        if pid not in {answer["pid"] for answer in answers} and parent_of(pid) == answers[0]["parent"]
    ]
    assert len(helpers) == 1
    for predictor in predictors:
        predictor.close()
    wait_gone(answers[0]["parent"], *helpers)
    said = {record.pid for record in caplog.records if record.message == "predicting"}
    assert said == {answer["pid"] for answer in answers}


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def pss_mb(pid: int) -> float:
    """Memory of a process, shared pages divided by how many share them."""
    (kilobytes,) = re.findall(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    return int(kilobytes) / 1024


def answers_of(service, count: int) -> dict[int, dict]:
    """What the predictors of all workers say, by their number."""
    found: dict[int, dict] = {}
    until = time.monotonic() + 60

    def ask(_: int) -> None:
        with contextlib.suppress(requests.ConnectionError):  # a worker that was killed
            answer = service.post(**GOOD)
            if answer.status_code == 200:
                (feature,) = answer.json()["prediction"]["features"]
                found[feature["properties"]["pid"]] = feature["properties"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        while len(found) < count:
            assert time.monotonic() < until, found
            list(pool.map(ask, range(8)))
    return found


def test_a_service_shares_restarts_reloads_and_leaves_nothing(serve):
    service = serve("shared:Model", WORKERS="3", SHARE_MODEL="true", BACKLOG="16")
    service.wait_loaded()
    first = answers_of(service, 3)
    (nursery,) = {each["loaded_by"] for each in first.values()}
    shared = sum(pss_mb(pid) for pid in [nursery, *first])
    assert shared < 0.6 * 3 * 60

    assert service.post(**BAD).status_code == 500
    second = answers_of(service, 3)
    assert {each["loaded_by"] for each in second.values()} == {nursery}
    assert len(set(first) & set(second)) == 2

    os.kill(parent_of(nursery), signal.SIGKILL)  # the worker that had it loaded; the others still use it
    third = answers_of(service, 3)
    assert {each["loaded_by"] for each in third.values()} == {nursery}
    assert len(set(second) & set(third)) == 2
    wait_gone(*(set(second) - set(third)))

    service.process.send_signal(signal.SIGHUP)  # loads anew
    wait_gone(nursery, *third)
    fourth = answers_of(service, 3)
    (renewed,) = {each["loaded_by"] for each in fourth.values()}
    assert renewed != nursery

    service.process.kill()  # the workers notice, and end
    wait_gone(renewed, *fourth)


def test_when_the_worker_that_loads_dies_another_one_loads(serve):
    service = serve("shared:LoadsSlowly", WORKERS="2", SHARE_MODEL="true")
    until = time.monotonic() + 60
    while not (nursery := re.findall(r"loading in (\d+)\D", service.log.read_text())):
        assert time.monotonic() < until
    os.kill(parent_of(int(nursery[0])), signal.SIGKILL)
    wait_gone(int(nursery[0]))
    assert {each["loaded_by"] for each in answers_of(service, 2).values()} != {int(nursery[0])}
