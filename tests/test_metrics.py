"""/metrics: what one client sees of a service with two workers, whichever of them answers."""

from __future__ import annotations

import collections
import concurrent.futures
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from service import ROOT
from test_logs import lines_of
from test_service import png

from playground.pipeline import Outcome
from playground.serving.errors import OUTCOME, STATUS
from playground.serving.metrics import Metrics

IMAGE = {"Content-Type": "image/png"}
STATUSES = {"fine": 200, "empty": 200, "raise": 500, "reject": 422, "crash": 500, "sleep": 504}
OUTCOMES = {"fine": "ok", "raise": "failed", "reject": "rejected", "crash": "crashed", "sleep": "timeout"}


def scrape(service, parse=parse_text, **headers):
    """(name, labels in order) -> value."""
    response = service.get("/metrics", headers=headers)
    samples = [sample for family in parse(response.text) for sample in family.samples]
    return {(each.name, *sorted(each.labels.items())): each.value for each in samples}


def scrape_until(service, key, value):
    """The numbers once one of them is what it must become: some are read once a second."""
    deadline = time.monotonic() + 60
    while (found := scrape(service)).get(key) != value:
        assert time.monotonic() < deadline, (key, value, found.get(key))
        service.pause()
    return found


def predictions(found):
    """Outcome to count."""
    return {
        dict(labels)["outcome"]: value
        for (name, *labels), value in found.items()
        if name == "playground_requests_total" and ("endpoint", "predict") in labels
    }


@pytest.fixture(scope="module")
def service(serve, imagery_file):
    """Two workers."""
    service = serve(
        "chatty:Chatty",
        WORKERS="2",
        BACKLOG="0",
        TIMEOUT="20",
        PREDICT_TIMEOUT="2",
        TILES=str(imagery_file),
        PADDING="8",
    )
    scrape_until(service, ("playground_predictor_ready",), 2)
    return service


def test_every_error_that_has_a_status_has_an_outcome():
    assert set(OUTCOME) == set(STATUS)
    assert len(set(OUTCOME.values())) == len(OUTCOME)


def test_sums_over_the_workers_are_right_whoever_answers(service):
    before = predictions(scrape(service))
    counted: collections.Counter[str] = collections.Counter()
    turn = threading.Lock()

    def post(job):
        number, name = job
        outcome = "busy"
        while outcome == "busy":  # again, so that each kind has its turn
            # Each image is its own: one that ended the predictor twice would not be tried again.
            answer = service.post(data=png(colour=(number, 8, 7)) + name.encode(), headers=IMAGE)
            if answer.status_code == 503:
                outcome = "busy" if "enough requests" in answer.json()["message"] else "not_ready"
            else:
                assert answer.status_code == STATUSES[name], answer.text
                outcome = OUTCOMES.get(name, name)
            with turn:
                counted[outcome] += 1

    jobs = [*enumerate(["fine", "fine", "empty", "raise", "reject"] * 8), *enumerate(["crash", "sleep"] * 2)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(post, jobs))
    for _ in range(3):
        assert service.post(json={}).status_code == 400
        assert service.post(data="a", headers={"Content-Type": "text/plain"}).status_code == 415
    counted.update(bad_request=3, refused=3)
    assert {"ok", "empty", "failed", "rejected", "busy"} <= set(counted)
    seen = [predictions(scrape(service)) for _ in range(12)]
    assert all(each == seen[0] for each in seen)
    assert collections.Counter({key: value - before.get(key, 0) for key, value in seen[0].items()}) == counted
    found = scrape(service)
    assert found["playground_request_seconds_count",] == sum(seen[0].values())
    came = counted["ok"] + counted["empty"]
    assert found["playground_step_seconds_count", ("step", "predict")] >= came
    assert found["playground_features_total",] >= counted["ok"]
    assert found["playground_in_progress",] == 0
    for cause, outcome in (("exit", "crashed"), ("timeout", "timeout")):
        if counted[outcome]:
            scrape_until(service, ("playground_predictor_restarts_total", ("cause", cause)), counted[outcome])
    workers = {line["process"] for line in lines_of(service.log) if "httpRequest" in line}
    assert len(workers) == 2  # or nothing was shown


def test_tiles_and_steps(service):
    scrape_until(service, ("playground_predictor_ready",), 2)
    asked = [(3, x, y) for x in (4, 5) for y in (4, 5)]
    for z, x, y in asked:
        assert service.get(f"/predictions/{z}/{x}/{y}.geojson").status_code == 200
    assert service.post(json={"z": 3, "x": 3, "y": 2}).json()["report"]["missing_neighbours"] == ["W"]
    assert service.post(json={"z": 3, "x": 2, "y": 2}).status_code == 404
    deadline = time.monotonic() + 60
    while True:
        found = scrape(service)
        tiles = {
            label[1]: value
            for (name, *labels), value in found.items()
            for label in labels
            if name == "playground_tiles_total"
        }
        if sum(tiles.values()) == 9 * 6:  # each needs its neighbours, from the source or from a cache
            break
        assert time.monotonic() < deadline, tiles
    assert 9 + 8 <= tiles["fetched"] <= 9 * 6
    assert found["playground_requests_total", ("endpoint", "prediction"), ("outcome", "ok")] == 4
    assert predictions(found)["not_found"] == 1
    assert found["playground_missing_neighbours_total",] == 1
    for step in ("fetch", "decode", "encode"):
        assert found["playground_step_seconds_count", ("step", step)] >= 5
        assert found["playground_step_seconds_sum", ("step", step)] > 0


def test_both_formats(service):
    text = service.get("/metrics")
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    accepted = "application/openmetrics-text; version=1.0.0"
    assert service.get("/metrics", headers={"Accept": accepted}).headers["Content-Type"].startswith(accepted)
    found = scrape(service, parse_openmetrics, Accept=accepted)
    assert found["playground_workers",] == 2
    (build,) = [dict(labels) for name, *labels in found if name == "playground_build_info"]
    assert build["service"] == "chatty"


def test_metrics_and_health_never_wait_for_a_predictor(service):
    scrape_until(service, ("playground_predictor_ready",), 2)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sleeping = pool.submit(service.post, data=png(colour=(1, 2, 200)) + b"sleep", headers=IMAGE)
        while scrape(service)["playground_in_progress",] != 1:
            assert not sleeping.done()
        for path in ("/metrics", "/ping", "/readiness_check", "/metrics"):
            assert service.get(path).status_code == 200
        assert not sleeping.done()
        assert sleeping.result().status_code == 504


def test_a_worker_that_dies_takes_no_count_with_it(service):
    found = scrape_until(service, ("playground_predictor_ready",), 2)
    before = predictions(found)
    booted = [line["process"] for line in lines_of(service.log) if "Booting worker" in line["message"]]
    os.kill(booted[0], signal.SIGKILL)
    while service.log.read_text().count("Booting worker") < 3:
        service.pause()
    found = scrape_until(service, ("playground_predictor_ready",), 2)
    assert predictions(found) == before
    assert found["playground_workers",] == 2


def test_the_folder_goes_with_the_server(serve):
    began = time.time()
    service = serve("chatty:Chatty")
    assert scrape_until(service, ("playground_predictor_ready",), 1)
    pattern = f"playground-metrics-{service.process.pid}-*"
    folders = [found for root in ("/dev/shm", "/tmp") for found in Path(root).glob(pattern)]
    folders = [found for found in folders if found.stat().st_mtime >= began]  # another of that number was killed
    assert len(folders) == 1
    environ = Path(f"/proc/{service.get('/readiness_check').json()['predictor']['pid']}/environ").read_bytes()
    assert b"PROMETHEUS" not in environ  # what the partner counts is not ours
    service.process.send_signal(signal.SIGHUP)
    while "Worker exiting" not in service.log.read_text():
        service.pause()
    assert service.post(data=png(), headers=IMAGE).status_code == 200
    assert predictions(scrape(service)) == {"ok": 1}
    service.stop()
    assert not folders[0].exists()


def test_the_predictor_is_not_ready_while_it_cannot_be_loaded(serve):
    service = serve("misbehaving:RaisesInConstructor")
    service.wait_loaded()
    found = scrape(service)
    assert (found["playground_predictor_ready",], found["playground_workers",]) == (0, 1)
    assert service.post(data=png(), headers=IMAGE).status_code == 503
    assert predictions(scrape(service)) == {"not_ready": 1}


def test_what_a_request_costs():
    """Without a server: less than the issue's limit by far, on a machine that others use too; the best of several."""
    metrics = Metrics()
    report = {"features_in": 3, "features_out": 2, "repairs": {"winding": 2}, "dropped": {"empty": 1}}
    timing = {"fetch": 12.0, "queue": 0.1, "predict": 40.0, "decode": 2.0, "format": 0.3, "total": 60.0}
    outcome = Outcome(None, {}, report, timing)  # type: ignore[arg-type]
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(500):
            metrics.in_progress.inc()
            metrics.answered("predict", "ok")
            metrics.predicted(0.06, outcome)
            metrics.in_progress.dec()
        best = min(best, (time.perf_counter() - began) / 500)
    assert best < 200e-6
    text, _ = metrics.render("")
    assert b'playground_requests_total{endpoint="predict",outcome="ok"} 2500.0' in text
    assert b'playground_repairs_total{kind="winding"} 5000.0' in text
    assert b'playground_dropped_total{kind="empty"} 2500.0' in text


def test_the_page_names_every_metric_and_outcome():
    page = (ROOT / "docs" / "watching.md").read_text()
    text, _ = Metrics().render("")
    names = {family.name for family in parse_text(text.decode())}
    assert not {name for name in names if name not in page and not name.endswith("_created")}
    assert not {outcome for outcome in OUTCOME.values() if f"`{outcome}`" not in page}
