"""The predictor process: what a caller sees of loading, answering, misbehaving and dying."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time

import numpy as np
import pytest
from conftest import PREDICTORS, require
from interpreters import interpreter

from playground.errors import (
    PredictorBusyError,
    PredictorCrashedError,
    PredictorError,
    PredictorFailedError,
    PredictorNotReadyError,
    PredictorTimeoutError,
    TilePoisonedError,
    TileRejectedError,
    TileSourceError,
)
from playground.predictor import InlinePredictor, OtherResult, Poison, PredictorSpec, ProcessPredictor, ServedTile
from playground_interfaces import Tile

PLAIN = Tile("plain", b"")


def test_a_crash_costs_one_request(start_predictor):
    predictor = start_predictor("misbehaving:Segfaults")
    first = predictor.state().pid
    assert predictor.predict(PLAIN)["features"] == []
    with pytest.raises(PredictorCrashedError, match="SIGSEGV"):
        predictor.predict(Tile("segfault", b""))
    assert predictor.predict(PLAIN)["features"] == []
    state = predictor.state()
    assert (state.phase, state.restarts) == ("ready", 1)
    assert "SIGSEGV" in state.error
    assert state.pid != first


def test_a_kill_between_requests_costs_none(start_predictor):
    predictor = start_predictor("misbehaving:Segfaults")
    process = predictor._session.process
    process.kill_group()
    process.wait(30)
    assert predictor.predict(PLAIN)["features"] == []
    assert predictor.state().restarts == 1


def test_whoever_reads_from_a_process_that_ends_never_reads_from_the_next_one(start_predictor):
    predictor = start_predictor("misbehaving:Segfaults")
    session = predictor._session
    sock = session._socket
    number = sock.fileno()
    with pytest.raises(PredictorCrashedError):
        predictor.predict(Tile("segfault", b""))
    assert predictor.predict(PLAIN)["features"] == []
    assert predictor._session is not session
    assert sock.fileno() == -1
    assert os.read(number, 1) == b""  # ended, and its number is not the next socket's


def test_a_process_that_is_replaced_has_not_crashed_however_soon_its_end_is_noticed(start_predictor, monkeypatch):
    predictor = start_predictor("misbehaving:Segfaults", max_requests=1)
    lose, here = predictor._lose, threading.current_thread()

    def lose_late(session):
        until = time.monotonic() + 30
        while threading.current_thread() is here and not predictor.causes:
            assert time.monotonic() < until
        lose(session)

    monkeypatch.setattr(predictor, "_lose", lose_late)
    assert predictor.predict(PLAIN)["features"] == []
    assert predictor.predict(PLAIN)["features"] == []
    assert set(predictor.causes) == {"recycled"}
    assert predictor.state().error is None


def test_an_overdue_predictor_is_replaced(start_predictor):
    predictor = start_predictor("misbehaving:Sleeps")
    began = time.monotonic()
    with pytest.raises(PredictorTimeoutError):
        predictor.predict(ServedTile("sleep", b"", deadline=began + 0.3))
    assert time.monotonic() - began < 15
    assert predictor.predict(PLAIN)["features"] == []


def test_one_request_more_than_the_backlog_is_refused(start_predictor):
    predictor = start_predictor("misbehaving:Sleeps", backlog=1)
    errors = []
    refused = threading.Event()

    def ask():
        try:
            predictor.predict(ServedTile("sleep", b"", deadline=time.monotonic() + 1))
        except PredictorError as error:
            errors.append(type(error))
            if isinstance(error, PredictorBusyError):
                refused.set()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert refused.wait(30)
    for thread in threads:
        thread.join()
    assert errors[0] is PredictorBusyError  # at once, not at the deadline
    assert len(errors) == 3  # the others ran out of time: one in the predictor, one waiting for it or its successor
    assert errors.count(PredictorBusyError) == 1


def test_exceptions_and_exits_keep_the_process(start_predictor):
    for name, words in (("Raises", "KeyError: 'no such key'"), ("Exits", "SystemExit: 3")):
        predictor = start_predictor(f"misbehaving:{name}")
        pid = predictor.state().pid
        for _ in range(2):
            with pytest.raises(PredictorFailedError, match=words):
                predictor.predict(PLAIN)
        assert predictor.state().pid == pid


def test_prints_go_to_the_log_line_by_line_and_do_not_disturb_the_protocol(start_predictor, capfd, caplog):
    caplog.set_level("INFO", "playground.predictor.output")
    predictor = start_predictor("misbehaving:Prints")
    assert predictor.predict(PLAIN)["features"] == []
    predictor.close()
    assert capfd.readouterr().out == ""
    stdout = [record for record in caplog.records if getattr(record, "stream", "") == "stdout"]
    assert [record.message for record in stdout[:2]] == ["one", "two"]
    assert stdout[2].message.startswith("xxx")
    assert len(stdout[2].message) < 20_000
    assert stdout[0].pid != os.getpid()
    (stderr,) = (record for record in caplog.records if getattr(record, "stream", "") == "stderr")
    assert stderr.message == "no newline at the end \ufffd"


def test_a_rejected_tile_keeps_its_hint(start_predictor):
    with pytest.raises(TileRejectedError, match="too cloudy") as told:
        start_predictor("readers:Refuses").predict(PLAIN)
    assert told.value.hint == "send a clearer tile"


def test_other_results_are_told_apart_from_nothing_found(start_predictor):
    result = start_predictor("readers:Nothing").predict(PLAIN)
    assert isinstance(result, OtherResult)
    assert result.type_name == "NoneType"


def test_a_plain_collection_with_nan_arrives_for_the_audit(start_predictor):
    (feature,) = start_predictor("readers:Collection").predict(PLAIN)["features"]
    assert np.isnan(feature["geometry"]["coordinates"][1])


def test_a_part_that_cannot_be_made_is_the_callers_error_not_the_predictors(start_predictor):
    def broken():
        raise TileSourceError("1/0/0: truncated")

    predictor = start_predictor("readers:Array")
    with pytest.raises(TileSourceError, match="truncated"):
        predictor.predict(Tile("u", load_array=broken))
    assert predictor.predict(Tile("u", np.zeros((4, 4, 3), np.uint8), load_valid=lambda: np.ones((4, 4), bool)))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_package:Process", "No module named 'no_such_package'"),
        ("readers:Pilow", "module readers has no Pilow; it has Array, Bytes"),
        ("misbehaving:NoPredict", r"NoPredict has no method predict\(tile\)"),
        ("misbehaving:ExitsInConstructor", "SystemExit: no licence"),
        ("misbehaving:SegfaultsInConstructor", "was ended by SIGSEGV while constructing"),
    ],
)
def test_a_load_failure_says_why(target, words, start_predictor):
    predictor = start_predictor(target)
    assert predictor.state().phase == "failed"
    with pytest.raises(PredictorNotReadyError, match=words):
        predictor.predict(PLAIN)


def test_the_traceback_of_a_load_failure_shows_the_partners_frames_only(start_predictor):
    state = start_predictor("misbehaving:RaisesInConstructor").state()
    assert "weights.h5 is not here" in state.traceback
    assert "misbehaving.py" in state.traceback
    assert "loop.py" not in state.traceback
    assert "importlib" not in state.traceback


def test_no_such_interpreter(start_predictor):
    state = start_predictor("documented:Process", python="/no/such/python").state()
    assert state.phase == "failed"
    assert "/no/such/python" in state.error


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_an_interpreter_that_cannot_be_started_leaves_no_open_files(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/no/such/interpreter")
    broken.chmod(0o755)
    before = open_files()
    for spec in (
        PredictorSpec("documented", "Process", PREDICTORS, str(broken)),
        PredictorSpec("documented", "Process", tmp_path / "no such folder", sys.executable),
        PredictorSpec("documented", "Process", PREDICTORS, str(broken), nursery=tmp_path / "nursery"),
        PredictorSpec("documented", "Process", PREDICTORS, "/no/such/python", nursery=tmp_path / "nursery"),
    ):
        predictor = ProcessPredictor(spec)
        predictor.start()
        assert predictor.wait_ready(20).phase == "failed"
        predictor.close()
    until = time.monotonic() + 30
    while open_files() > before:  # threads close what they read from when it ends
        assert time.monotonic() < until


def test_a_predictor_that_is_stopped_leaves_no_open_files(tmp_path):
    before = open_files()
    for nursery in (None, tmp_path / "nursery"):
        predictor = ProcessPredictor(
            PredictorSpec("documented", "Process", PREDICTORS, sys.executable, nursery=nursery)
        )
        predictor.start()
        assert predictor.wait_ready(20).phase == "ready"
        predictor.close()
    until = time.monotonic() + 30
    while open_files() > before:  # threads close what they read from when it ends
        assert time.monotonic() < until


def test_a_tile_with_little_time_left_did_not_hang_the_predictor(start_predictor):
    predictor = start_predictor("misbehaving:Sleeps", predict_seconds=10)
    for _ in range(2):
        with pytest.raises(PredictorTimeoutError):
            predictor.predict(ServedTile("sleep", b"", deadline=time.monotonic() + 0.2))
        predictor.wait_ready(20)
    with pytest.raises(PredictorTimeoutError):  # not poison
        predictor.predict(ServedTile("sleep", b"", deadline=time.monotonic() + 0.2))


def test_poison_is_shared_and_kept_within_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr("playground.predictor.poison.KEPT", 4)
    first, second = Poison(tmp_path / "poison"), Poison(tmp_path / "poison")
    tiles = [Tile(f"{number}", b"bytes") for number in range(4)]
    for poison in (first, second):
        poison.check(tiles[0])
        poison.add(tiles[0])
        assert first.is_suspect(tiles[0])
        assert second.is_suspect(tiles[0])
    for poison in (first, second):
        with pytest.raises(TilePoisonedError):
            poison.check(tiles[0])
        poison.check(tiles[1])
    for tile in tiles[1:]:
        for _ in range(3):
            second.add(tile)
    first.check(tiles[0])
    with pytest.raises(TilePoisonedError):
        first.check(tiles[3])
    assert len(list((tmp_path / "poison").iterdir())) == 4
    shutil.rmtree(tmp_path / "poison")  # the server ends
    first.add(tiles[1])
    first.check(tiles[1])


def test_python_2_is_refused_with_words(start_predictor):
    python = interpreter("2.7")
    require(python, "there is no CPython 2.7 on this machine")
    state = start_predictor("documented:Process", str(python)).state()
    assert state.phase == "failed"
    assert "needs Python 3.6 or later" in state.error
    assert "needs Python 3.6 or later" in state.output[-1]


def test_closing_leaves_no_process(start_predictor):
    predictor = start_predictor("misbehaving:Sleeps")
    pid = predictor.state().pid
    predictor.close()
    assert predictor.state().phase == "stopped"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_partners_own_modules_win(start_predictor, tmp_path):
    for name in ("app", "app_utils", "wire", "loop", "errors", "tile", "masks", "playground"):
        (tmp_path / f"{name}.py").write_text(f"OWNER = 'partner {name}'\n")
    (tmp_path / "mine.py").write_text(
        "import app, app_utils, wire, loop, errors, tile, masks, playground\n"
        "from playground_interfaces import BaseProcess, PredictionResult\n"
        "class Mine(BaseProcess):\n"
        "    def __init__(self): pass\n"
        "    def predict(self, t):\n"
        "        assert all(m.OWNER.startswith('partner') for m in (app, app_utils, wire, loop, errors, tile, masks,\n"
        "                                                           playground))\n"
        "        return PredictionResult(t)\n"
    )
    predictor = ProcessPredictor(PredictorSpec("mine", "Mine", tmp_path, "python3"))
    predictor.start()
    try:
        assert predictor.wait_ready(20).error is None
        assert predictor.predict(PLAIN)["features"] == []
    finally:
        predictor.close()


def test_inline_for_debuggers(monkeypatch):
    monkeypatch.syspath_prepend(str(PREDICTORS))
    for target, expectation in (
        ("Refuses", pytest.raises(TileRejectedError, match="too cloudy")),
        ("Nothing", None),
    ):
        predictor = InlinePredictor(PredictorSpec("readers", target, PREDICTORS))
        predictor.start()
        assert predictor.state().phase == "ready"
        if expectation is None:
            assert isinstance(predictor.predict(PLAIN), OtherResult)
        else:
            with expectation:
                predictor.predict(PLAIN)
    failing = InlinePredictor(PredictorSpec("misbehaving", "Raises", PREDICTORS))
    failing.start()
    with pytest.raises(PredictorFailedError, match="no such key"):
        failing.predict(PLAIN)
    missing = InlinePredictor(PredictorSpec("readers", "Pilow", PREDICTORS))
    missing.start()
    with pytest.raises(PredictorNotReadyError, match="Pilow"):
        missing.predict(PLAIN)
