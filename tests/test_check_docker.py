"""`playground check IMAGE`: a wrapped image is started, checked from outside, and told to end."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from test_check_service import run
from test_docker import base, context, docker, partner, wrapped  # noqa: F401 - fixtures

from playground.wrap.certificate import check_covers, read_certificate

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def test_an_image_is_checked_and_drained(wrapped: str, tmp_path: Path):  # noqa: F811
    only = [
        word for name in ("loads", "predicts", "health", "errors", "latency", "drains") for word in ("--only", name)
    ]
    told = run(wrapped, *only, "--calls", "10", "--certificate", str(tmp_path / "certificate.json"))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "6 passed, 0 failed, 0 skipped: fit for service" in told.stdout
    certificate = read_certificate(tmp_path / "certificate.json")
    assert certificate.image == wrapped
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", certificate.digest)
    assert 0 < certificate.figures["drain_seconds"] < 24
    check_covers(certificate, f"{wrapped}@{certificate.digest}")
    left = subprocess.run(["docker", "ps", "-aq", "--filter", f"ancestor={wrapped}"], capture_output=True, check=False)
    assert left.stdout == b""


def test_there_is_no_such_image(base: str):  # noqa: F811
    told = run("playground-test-nothing:v1", "--only", "loads")
    assert told.returncode == 1
    assert "docker run:" in told.stderr
