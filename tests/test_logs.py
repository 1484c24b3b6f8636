"""The log: one JSON object a line, whatever is said; with traces, without secrets."""

from __future__ import annotations

import base64
import datetime
import json
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service import start_service
from test_service import png
from werkzeug.datastructures import Headers

from playground.serving.calls import Call, enter, leave
from playground.serving.lines import LineHandler
from playground.serving.logs import JsonFormatter, clean, log
from playground.serving.traces import read_trace

IMAGE = {"Content-Type": "image/png"}
TRACE = "105445aa7843bc8bf206b12000100000"


def lines_of(log):
    """Every line of a log, parsed; strictly: NaN is no JSON."""
    *lines, last = log.read_bytes().split(b"\n")
    assert last == b""
    return [json.loads(line.decode("utf-8"), parse_constant=pytest.fail) for line in lines]


def record(message, *args, **extra):
    made = logging.LogRecord("some.module", logging.WARNING, "f.py", 1, message, args, None)
    vars(made).update(extra)
    return made


@given(
    st.text(st.characters(codec=None)), st.dictionaries(st.text(st.characters(codec=None)), st.floats() | st.integers())
)
def test_any_text_is_one_line(text, fields):
    line = JsonFormatter().format(record("%s", text, fields={"odd": fields}))
    assert "\n" not in line
    told = json.loads(line.encode("utf-8"), parse_constant=pytest.fail)
    assert told["message"] == clean(text).encode("utf-8", "replace").decode()
    assert told["severity"] == "WARNING"


@pytest.mark.parametrize("letter", ["x y ", "\x00 ", "☃ ", '"\\ '])
def test_an_endless_line_is_cut(letter):
    text = letter * 400_000
    made = record(text, fields={"small": 1, "large": [text]}, exc_info=(ValueError, ValueError(text + "the end"), None))
    line = JsonFormatter().format(made)
    assert len(line.encode()) <= 250_000
    told = json.loads(line)
    assert told["message"].endswith("characters cut)")
    assert told["stack_trace"].endswith("the end")
    assert told["small"] == 1


def test_what_cannot_be_formatted_is_said_all_the_same():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no repr")

        __str__ = __repr__

    assert json.loads(JsonFormatter().format(record("%d apples", "two")))["message"].startswith("'%d apples' ('two',)")
    assert json.loads(JsonFormatter().format(record("said", fields={"a": Broken(), "b": 2**80})))["message"] == "said"


def test_secrets_and_images_are_left_out():
    url = "at https://bob:opensesame@tiles.example/3/1/2.png?key=opensesame&style=day, then"
    assert clean(url) == "at https://tiles.example/3/1/2.png?key=***&style=day, then"
    data = bytes(range(256)) * 8
    for text in (base64.b64encode(data).decode(), repr(data)):
        assert len(clean(f"image {text} end")) < 60
    assert clean("word " * 1000) == "word " * 1000


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}, (TRACE, "0000000000000001", True)),
        ({"X-Cloud-Trace-Context": f"{TRACE.upper()}/18446744073709551615"}, (TRACE, "f" * 16, False)),
        ({"X-Cloud-Trace-Context": TRACE}, (TRACE, "", False)),
        ({"X-Cloud-Trace-Context": f"{TRACE}/18446744073709551616;o=0"}, (TRACE, "", False)),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, (TRACE, "00f067aa0ba902b7", True)),
        ({"traceparent": f"01-{TRACE}-00f067aa0ba902b7-00-more"}, (TRACE, "00f067aa0ba902b7", False)),
        (
            {"X-Cloud-Trace-Context": "?", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"},
            (TRACE, "00f067aa0ba902b7", False),
        ),
        ({}, None),
        ({"X-Cloud-Trace-Context": "0" * 32 + "/1"}, None),
        ({"X-Cloud-Trace-Context": f"{TRACE}/1;o=1;drop table"}, None),
        ({"X-Cloud-Trace-Context": f"{TRACE[:-1]}/1"}, None),
        ({"X-Cloud-Trace-Context": f"{TRACE}/٣"}, None),
        ({"X-Cloud-Trace-Context": "x" * 100_000}, None),
        ({"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"}, None),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01-more"}, None),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, None),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, None),
        ({"traceparent": f"00-{TRACE.upper()}-00F067AA0BA902B7-01"}, None),
    ],
)
def test_trace_headers(headers, expected):
    assert read_trace(Headers(headers)) == expected


def test_many_threads_write_whole_lines_and_a_fork_does_not_inherit_their_turn():
    code = """if True:
        import logging, os, threading
        from playground.serving import logs
        logs.configure(logs.JsonFormatter(), logging.INFO)
        log = logging.getLogger("threads")
        (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, logs.LineHandler)]
        def talk(number):
            for count in range(200):
                log.info("%d %d %s", number, count, "x" * 300)
        threads = [threading.Thread(target=talk, args=[number]) for number in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        with handler._writing:  # as another thread of the parent might have it
            if not os.fork():
                log.info("child")
                os._exit(0)
            os.wait()
            log.info("left with who writes")
        log.info("parent")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *talked, child, left, last = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert (child, left, last) == ("child", "left with who writes", "parent")
    found = [tuple(int(word) for word in each.split()[:2]) for each in talked]
    assert sorted(found) == [(number, count) for number in range(8) for count in range(200)]
    assert all([count for who, count in found if who == number] == list(range(200)) for number in range(8))


def test_warnings_and_uncaught_errors_are_lines_too():
    code = """if True:
        import logging, sys, threading, warnings
        from playground.serving import logs
        logs.configure(logs.JsonFormatter(), logging.INFO)
        warnings.warn("old\\nthing")
        thread = threading.Thread(target=lambda: 1 / 0, name="worker-7")
        thread.start()
        thread.join()
        class Dies:
            def __del__(self): raise OSError("in del")
        Dies()
        print("printed,", "in parts")
        logging.getLogger("any.library").warning("apples: %d", "two")
        raise KeyError("at the end")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [each["severity"] for each in told] == ["WARNING", "ERROR", "ERROR", "INFO", "WARNING", "CRITICAL"]
    assert "old\nthing" in told[0]["message"]
    assert told[3]["message"] == "printed, in parts"
    for each, error in ((told[1], "ZeroDivisionError"), (told[2], "in del"), (told[5], "KeyError: 'at the end'")):
        assert each["stack_trace"].startswith("Traceback")
        assert error in each["stack_trace"]


@pytest.fixture(scope="module")
def session(serve):
    """The lines of a service with everything that goes wrong, and the answers by what was asked."""
    tiles = "http://bob:opensesame@127.0.0.1:9/{z}/{x}/{y}.png?key=opensesame"
    service = serve(
        "chatty:Chatty", WORKERS="2", TIMEOUT="20", PREDICT_TIMEOUT="1", TILES=tiles, PROJECT_NAME="my-project"
    )
    service.wait_loaded()
    answers = {}
    for name in ("fine", "raise", "reject", "crash", "empty", "sleep", "warn"):
        headers = {**IMAGE, "X-Correlation-ID": name, "X-Cloud-Trace-Context": f"{TRACE}/1;o=1"}
        answers[name] = service.post("/predict?key=opensesame", data=png() + name.encode(), headers=headers)
    answers["tile"] = service.post(json={"z": 3, "x": 1, "y": 2}, headers={"X-Correlation-ID": "tile"})
    answers["none"] = service.post(
        json={}, headers={"X-Correlation-ID": "none", "X-Forwarded-For": "203.0.113.9, 10.0.0.1", "traceparent": "junk"}
    )
    image = base64.b64encode(b"no image" * 1000).decode()
    answers["image"] = service.post(json={"image": image}, headers={"X-Correlation-ID": "image"})
    for path in ("/ping", "/metrics", "/readiness_check", "/no/such/page"):
        service.get(path)
    service.stop()
    return service, lines_of(service.log), answers


def test_every_line_of_a_session_is_json(session):
    _, lines, _ = session
    for line in lines:
        assert {"severity", "time", "message", "logger", "process"} <= set(line)
    said = {line["message"] for line in lines if line["logger"] == "playground.predictor.output"}
    assert "stdout é☃ {'json': \"quotes\"} \\ back" in said
    assert "bytes \ufffd\ufffd\ufffd that are no text" in said
    assert any(each.startswith("loading wéights ☃ 😀\x00") for each in said)
    streams = {(line["stream"], type(line["predictor_pid"])) for line in lines if "stream" in line}
    assert streams == {("stdout", int), ("stderr", int)}


def test_one_line_for_each_prediction(session):
    _, lines, answers = session
    calls = {line["correlationId"]: line for line in lines if "httpRequest" in line}
    assert set(calls) == set(answers)
    outcomes = {name: (line["outcome"], line["severity"]) for name, line in calls.items()}
    assert outcomes == {
        "fine": ("ok", "INFO"),
        "warn": ("ok", "INFO"),
        "empty": ("empty", "INFO"),
        "raise": ("failed", "ERROR"),
        "reject": ("rejected", "INFO"),
        "crash": ("crashed", "ERROR"),
        "sleep": ("timeout", "ERROR"),
        "tile": ("source_failed", "ERROR"),
        "none": ("bad_request", "INFO"),
        "image": ("bad_request", "INFO"),
    }
    for name, line in calls.items():
        http = line["httpRequest"]
        assert (http["requestMethod"], http["requestUrl"]) == ("POST", "/predict")
        assert http["status"] == answers[name].status_code
        assert http["responseSize"] == answers[name].headers["Content-Length"]  # as it was sent, compressed
        assert 0 < float(http["latency"].rstrip("s")) < 30
        assert http["userAgent"].startswith("python-requests")
    assert calls["fine"]["features"] == 1
    assert {"queue", "predict", "format", "total"} <= set(calls["fine"]["timing"])
    assert calls["tile"]["tile"] == "3/1/2"
    assert calls["none"]["httpRequest"]["remoteIp"] == "203.0.113.9"
    assert calls["fine"]["httpRequest"]["remoteIp"] == "127.0.0.1"


def test_traces_lead_from_a_request_to_all_that_was_said_about_it(session):
    _, lines, _ = session
    raised = [line for line in lines if line.get("correlationId") == "raise"]
    assert [line["logger"] for line in raised] == ["playground.predictor.results", "playground.serving.watch"]
    for line in raised:
        assert line["logging.googleapis.com/trace"] == f"projects/my-project/traces/{TRACE}"
        assert line["logging.googleapis.com/spanId"] == "0000000000000001"
        assert line["logging.googleapis.com/trace_sampled"] is True
    assert "chatty.py" in raised[0]["message"]
    assert not any("trace" in key for line in lines if line.get("correlationId") == "none" for key in line)


def test_no_secret_and_no_image_in_the_log(session):
    service, lines, _ = session
    text = service.log.read_text()
    assert "opensesame" not in text
    assert base64.b64encode(png())[:40].decode() not in text
    assert "IHDR" not in text
    assert any("tiles.example" in line["message"] for line in lines)


def test_a_service_that_cannot_start_says_so_in_lines(tmp_path):
    environ = {"PREDICTOR_PACKAGE": "a", "PREDICTOR_CLASS": "A", "ZOOM_LEVEL": "3", "PADDING": "many"}
    with pytest.raises(AssertionError, match="cannot start"):
        start_service(environ, tmp_path, tmp_path / "log")
    said = [line["message"] for line in lines_of(tmp_path / "log") if line["severity"] == "WARNING"]
    assert "environment variable PADDING: found many" in "".join(said)


def test_calls_are_not_logged_where_nobody_wants_them(serve):
    service = serve("chatty:Chatty", LOG_API_CALLS="off")
    service.wait_loaded()
    for name in ("fine", "reject", "raise"):
        service.post(data=png() + name.encode(), headers={**IMAGE, "X-Correlation-ID": name})
    service.stop()
    assert [line["correlationId"] for line in lines_of(service.log) if "httpRequest" in line] == ["raise"]


def test_text_for_people_and_gunicorns_access_log_without_queries(serve):
    service = serve("chatty:Chatty", LOG_FORMAT="text", ACCESS_LOG="1")
    service.wait_loaded()
    service.post("/predict?key=opensesame", data=png(), headers=IMAGE)
    service.stop()
    text = service.log.read_text()
    assert "[INFO] playground.serving.watch: POST /predict 200 ok" in text
    assert '"POST /predict HTTP/1.1" 200' in text
    assert "opensesame" not in text


class Kept(logging.Handler):
    """A handler of somebody else's."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def test_a_line_about_a_request_is_the_same_with_and_without_a_record(tmp_path):
    known = Call({"HTTP_X_CORRELATION_ID": "one", "HTTP_TRACEPARENT": f"00-{TRACE}-00f067aa0ba902b7-01"})
    logger, others = logging.getLogger("test_logs.requests"), Kept()
    logger.propagate = False
    logger.setLevel(logging.INFO)
    path = tmp_path / "log"
    with path.open("wb") as file:
        handler = LineHandler(file.fileno(), JsonFormatter("project"))
        logger.addHandler(handler)
        here = enter(known)
        try:
            for message in ("POST /predict 200 ok", "é \ud800 http://user:secret@host/", "a" * 300_000):
                fields = {"outcome": "ok", "timing": {"total": 1.5}}
                log(logger, logging.INFO, message, known, fields)
                logger.addHandler(others)
                log(logger, logging.INFO, message, known, fields)
                logger.removeHandler(others)
        finally:
            leave(here)
            logger.removeHandler(handler)
    lines = lines_of(path)
    assert len(others.records) == 3
    for direct, recorded in zip(lines[::2], lines[1::2], strict=True):
        assert list(direct) == list(recorded)
        assert direct | {"time": ""} == recorded | {"time": ""}
        assert 0 <= (moment(recorded) - moment(direct)).total_seconds() < 5


def moment(line):
    return datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
