"""A real service for tests: gunicorn on a free port, from the files that an image would run."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass
class RunningService:
    """A gunicorn and where it listens."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def post(self, path: str = "/predict", **options: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=30, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=30, **options)

    def wait_loaded(self, timeout: float = 90) -> dict[str, Any]:
        """The readiness answer once the predictor is ready or has failed."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.pause()
            try:
                told: dict[str, Any] = self.get("/readiness_check").json()
            except requests.ConnectionError:
                continue
            if told["predictor"]["phase"] in ("ready", "busy", "failed"):
                return told
        raise AssertionError(f"not loaded within {timeout} s:\n{self.log.read_text()}")

    def pause(self) -> None:
        """Leave the processors to the service, so long that nobody notices; fail if it has ended."""
        pause(self.process, self.log)

    def stop(self) -> None:
        stop_all([self])


def stop_all(services: Sequence[RunningService]) -> None:
    """End services, all at once: one alone takes most of a second for it, and does nothing meanwhile."""
    for service in services:
        service.process.terminate()
    for service in services:
        service.process.wait(60)


def pause(process: subprocess.Popen[bytes], log: Path) -> None:
    """As RunningService.pause, before there is one."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.02)
        raise AssertionError(log.read_text())


def start_service(
    environ: dict[str, str], project: Path, log: Path, context: Path = ROOT, python: str = sys.executable
) -> RunningService:
    """Start a service; ``project`` is the partner's folder, ``context`` holds gunicorn.conf.py, app.yaml and app/."""
    config = str(context / "gunicorn.conf.py")
    # Port 0 and gunicorn's own word for where it listens: no other process can take the port in between.
    command = [python, "-I", "-m", "gunicorn", "--config", config, "--bind", "127.0.0.1:0", "app:APP"]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=project,
            env={**os.environ, "DRAIN_LINGER": "0", **environ},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + 90
    while not (told := re.search(r"Listening at: (\S+)\s", log.read_text())):  # all of the address
        assert time.monotonic() < deadline, log.read_text()
        pause(process, log)
    return RunningService(process, told[1], log)


@contextlib.contextmanager
def serving(command: list[str], cwd: Path, environ: dict[str, str] | None = None) -> Iterator[str]:
    """Run `playground serve` as a person would; its address once it says that it is ready."""
    process = subprocess.Popen(command, cwd=cwd, env=environ, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            ready = re.search(r"ready at (http://\S+)", line)
            if ready:
                # What is still said must go somewhere, or the service would wait for a reader.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield ready[1]
                return
        raise AssertionError("".join(said))
    finally:
        process.terminate()
        assert process.wait(60) == 0
