"""How a service ends and is renewed, under load: real signals to a real gunicorn."""

from __future__ import annotations

import collections
import concurrent.futures
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
import requests
from test_zoo import BAD, GOOD


class Clients:
    """Closed-loop clients, each request on a connection of its own; what they got is counted."""

    def __init__(self, url: str, count: int = 4) -> None:
        self.outcomes: collections.Counter[int | str] = collections.Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(url,)) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, url: str) -> None:
        headers = {**GOOD["headers"], "Connection": "close"}
        while not self._stop.is_set():
            try:
                answer = requests.post(f"{url}/predict", data=GOOD["data"], headers=headers, timeout=30)
                self.outcomes[answer.status_code] += 1
            except requests.RequestException as error:
                self.outcomes[type(error).__name__] += 1

    def stop(self) -> collections.Counter[int | str]:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.outcomes


def is_running(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def under_way(service) -> int:
    """How many predictions were asked for and not answered yet."""
    found = re.search(r"^playground_in_progress (\d+)", service.get("/metrics").text, re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_rolling_restarts_under_load_lose_nothing(serve, times):
    service = serve("zoo:Good", WORKERS="2", BACKLOG="16")
    service.wait_loaded()
    clients = Clients(service.url)
    pids = set()
    for _ in range(times):
        before = service.log.read_text().count("Booting worker")
        service.process.send_signal(signal.SIGHUP)
        while service.log.read_text().count("Worker exiting") < before:
            service.pause()
            pids.add(service.get("/readiness_check").json()["predictor"]["pid"])
    outcomes = clients.stop()
    assert set(outcomes) == {200}, outcomes
    assert outcomes[200] > 5 * times
    assert len(pids) >= times


def test_on_sigterm_newcomers_are_told_and_what_is_in_flight_is_finished(serve):
    service = serve("misbehaving:Slow", DRAIN_LINGER="3", WORKERS="1", BACKLOG="10")
    service.wait_loaded()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        in_flight = [pool.submit(service.post, **GOOD) for _ in range(10)]
        while under_way(service) + sum(each.done() for each in in_flight) < 10:  # all have arrived
            assert not all(each.done() for each in in_flight)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        while service.get("/readiness_check").status_code == 200:
            assert time.monotonic() - began < 3
        assert service.get("/readiness_check").json()["status"] == "draining"
        newcomer = service.post(**GOOD)
        assert newcomer.status_code == 503
        assert "shutting down" in newcomer.json()["message"]
        assert service.get("/liveness_check").status_code == 200
        answers = [each.result() for each in in_flight]
    assert service.process.wait(24) == 0
    assert time.monotonic() - began < 24
    assert [answer.status_code for answer in answers] == [200] * 10


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_on_sigterm_what_hangs_is_answered_in_time_and_leaves_no_process(serve):
    service = serve("zoo:SleepsForEver", DRAIN_LINGER="1")
    pid = service.wait_loaded()["predictor"]["pid"]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        in_flight = [pool.submit(service.post, **BAD) for _ in range(3)]
        while service.get("/readiness_check").json()["predictor"]["phase"] != "busy":
            assert not any(each.done() for each in in_flight)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert [each.result().status_code for each in in_flight] == [503] * 3
    assert service.process.wait(24) == 0
    assert time.monotonic() - began < 24
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_killed_worker_takes_its_predictor_with_it_and_is_replaced(serve):
    service = serve("zoo:Good")
    pid = service.wait_loaded()["predictor"]["pid"]
    worker = int(re.findall("Booting worker with pid: ([0-9]+)", service.log.read_text())[0])
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        service.pause()
        try:
            told = service.get("/readiness_check").json()["predictor"]
        except requests.ConnectionError:
            continue
        if told["pid"] not in (pid, None) and told["phase"] == "ready":
            break
    while is_running(pid):
        assert time.monotonic() < deadline
    assert service.post(**GOOD).status_code == 200
