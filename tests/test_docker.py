"""A partner's image wrapped by a real Docker engine: it starts, it answers, and the partner's packages stay."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from conftest import require
from PIL import Image

from playground import resources
from playground.commands import main

PARTNER = Path(__file__).parent / "partner_image"
SERVICE = """\
image: playground-test-partner:v1
ZOOM_LEVEL: 16
PREDICTOR_CLASS: ShipDetector
PREDICTOR_PACKAGE: ship_detection
workers: 1
"""
# What Python has installed, and every byte of it.
PACKAGES = (
    "python3 -m pip freeze; find /usr/local/lib/python3* /usr/lib/python3/dist-packages -type f ! -name '*.pyc' "
    "-exec sha256sum {} + | sort; find /api -type f -exec sha256sum {} + | sort"
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run docker; ``check`` fails with what it said."""
    told = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert not check or told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    return told


def build(tag: str, context: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return docker("build", "--network", "host", "--tag", tag, *options, str(context), check=check)


@pytest.fixture(scope="module")
def base() -> str:
    """A Debian image with Python 3.11."""
    try:
        answers = docker("info", check=False).returncode == 0
    except FileNotFoundError:
        answers = False
    require(answers, "no Docker engine answers (source .ci/engine.sh; start_engine)")
    name = os.environ.get("PLAYGROUND_TEST_BASE", "")
    require(name, "PLAYGROUND_TEST_BASE names no image (source .ci/engine.sh; start_engine)")
    return name


@pytest.fixture(scope="module")
def partner(base: str) -> str:
    """The partner's image."""
    build("playground-test-partner:v1", PARTNER, "--build-arg", f"base={base}")
    return "playground-test-partner:v1"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``playground generate`` writes for it."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "service.yaml").write_text(SERVICE)
    arguments = ["generate", str(folder / "service.yaml"), "-o", str(folder / "out")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def wrapped(partner: str, context: Path) -> str:
    """The image that the generated context makes."""
    build("playground-test-wrapped", context)
    return "playground-test-wrapped"


class Container:
    """A running service."""

    def __init__(self, image: str, *options: str) -> None:
        self.id = docker("run", "--detach", "--publish", "127.0.0.1::8080", *options, image).stdout.strip()
        port = docker("port", self.id, "8080/tcp").stdout.strip().rpartition(":")[2]
        self.url = f"http://127.0.0.1:{port}"

    def wait_ready(self, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                answer = requests.get(f"{self.url}/readiness_check", timeout=5)
            except requests.RequestException:
                time.sleep(0.05)  # the engine's proxy takes the connection before the server listens
                continue
            if answer.status_code == 200:
                return
            assert answer.json()["predictor"]["phase"] != "failed", answer.text
        raise AssertionError(docker("logs", self.id).stderr)

    def run(self, command: str) -> str:
        return docker("exec", self.id, "sh", "-c", command).stdout.strip()


@pytest.fixture
def start() -> Iterator[Any]:
    """Start containers; removed afterwards."""
    started: list[Container] = []

    def run(image: str, *options: str) -> Container:
        started.append(Container(image, *options))
        return started[-1]

    yield run
    for container in started:
        docker("rm", "--force", container.id)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (256, 256), (20, 60, 120)).save(buffer, "JPEG")
    return buffer.getvalue()


def predict(container: Container) -> dict[str, Any]:
    body = {"image": base64.b64encode(jpeg()).decode()}
    answer = requests.post(f"{container.url}/predict", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["prediction"]


def assert_serves(container: Container) -> None:
    container.wait_ready()
    found = predict(container)
    assert found["type"] == "FeatureCollection"
    (feature,) = found["features"]
    assert feature["geometry"]["type"] == "Polygon"
    # The predictor saw the partner's own package app, packages, PYTHONPATH and folder, not the server's.
    assert feature["properties"]["category"] == "partner 7.1.2 2.25.1 secret /api"
    assert requests.get(f"{container.url}/liveness_check", timeout=5).status_code == 200


def test_generated_context_serves(wrapped: str, start):
    container = start(wrapped)
    assert_serves(container)
    assert (
        container.run("id -un; stat -c %U /proc/1; touch ~/written && echo ~")
        == "playground\nplayground\n/home/playground"
    )
    links = container.run("cd /api; for name in *; do echo $name $(readlink $name); done").splitlines()
    assert links == [
        "app",
        "app.py /opt/playground/app/app.py",
        "app.yaml /opt/playground/app/app.yaml",
        "app_utils.py /opt/playground/app/app_utils.py",
        "gunicorn.conf.py /opt/playground/app/gunicorn.conf.py",
        "playground_interfaces /opt/playground/app/playground_interfaces",
        "ship_detection",
        "vendored",
    ]
    docker("stop", "--time", "20", container.id)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container.id).stdout.strip() == "0"


def test_wrapping_changes_no_package_of_the_partner(partner: str, wrapped: str):
    before, after = (
        docker("run", "--rm", "--entrypoint", "sh", image, "-c", PACKAGES).stdout for image in (partner, wrapped)
    )
    assert "click==7.1.2" in before
    assert before.count("\n") > 100
    assert after == before


def test_integration_dockerfile_as_it_stands(partner: str, context: Path, start):
    dockerfile = str(resources.root() / "Dockerfile.integration")
    build("playground-test-integration", context, "--file", dockerfile, "--build-arg", f"base_id={partner}")
    assert_serves(start("playground-test-integration", "--env", "WORKERS=1"))


def test_base_named_by_its_digest(partner: str, wrapped: str, context: Path):
    digest = docker("inspect", "--format", "{{.Id}}", partner).stdout.strip()
    build("playground-test-digest", context, "--build-arg", f"base_id={digest}")
    images = [
        docker("inspect", "--format", "{{.RootFS.Layers}}", tag).stdout for tag in (wrapped, "playground-test-digest")
    ]
    assert images[0] == images[1]


@pytest.mark.parametrize(("user", "name"), [("root", "root"), ("modeler", "modeler"), ("12345", "12345")])
def test_run_as_another_user(wrapped: str, context: Path, start, user: str, name: str):
    build(f"playground-test-{user}", context, "--build-arg", f"run_as={user}")
    container = start(f"playground-test-{user}")
    assert_serves(container)
    assert container.run("id -un 2>/dev/null || true") == name


def test_what_the_image_says_of_itself(wrapped: str):
    fields = (
        "json .Config.Entrypoint",
        "json .Config.Healthcheck",
        ".Config.StopSignal",
        ".Config.WorkingDir",
        ".Config.User",
    )
    template = " ".join(f"{{{{{field}}}}}" for field in fields)
    told = docker("inspect", "--format", template, wrapped).stdout.split()
    assert told == ["null", '{"Test":["NONE"]}', "SIGTERM", "/api", "playground"]
    labels = docker("inspect", "--format", "{{json .Config.Labels}}", wrapped).stdout
    assert '"org.opencontainers.image.base.name":"playground-test-partner:v1"' in labels


OLD = "RUN printf '#!/bin/sh\\n[ \"$1\" = -V ] && echo Python 3.8.10\\nexit 1\\n' > /old; chmod +x /old"
STRANGE = {
    "own-gunicorn-conf": ("RUN mkdir /api; touch /api/gunicorn.conf.py", "the image has its own /api/gunicorn.conf.py"),
    "wrapped-twice": ("RUN mkdir /opt/playground", "this image is wrapped already"),
    "no-python": ("RUN rm /usr/bin/python3", "the image has no python3; give one with --build-arg server_python=PATH"),
    "old-python": (
        f"{OLD}; ln -sf /old /usr/bin/python3",
        "the server needs Python 3.10 or newer, python3 is Python 3.8.10",
    ),
    "no-venv": ("RUN rm -r /usr/lib/python3.11/venv", "python3 cannot make a virtual environment"),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_images_that_cannot_be_wrapped(base: str, context: Path, tmp_path: Path, strange: str):
    line, words = STRANGE[strange]
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\n{line}\n")
    build("playground-test-strange", tmp_path)
    told = build("playground-test-refused", context, "--build-arg", "base_id=playground-test-strange", check=False)
    assert told.returncode != 0
    assert f"playground: {words}" in told.stdout + told.stderr


def test_a_user_that_does_not_exist(wrapped: str, context: Path):
    told = build("playground-test-refused", context, "--build-arg", "run_as=nobody-here", check=False)
    assert told.returncode != 0
    assert "playground: the image has no user nobody-here" in told.stdout + told.stderr


def test_buildkit_takes_the_generated_context(partner: str, context: Path):
    """By the engine's own BuildKit, asked as its command line does: the context is sent beside the order to build."""
    socket = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    archive = context.parent / "context.tar"
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:  # told apart by its first 512 bytes
        tar.add(context, ".")
    address, name = "http://docker/v1.41/build?version=2&networkmode=host", "playground-test-buildkit:v1"
    curl = ["curl", "--silent", "--unix-socket", socket, "--request", "POST"]
    upload = [*curl, "--header", "Content-Type: application/x-tar", "--data-binary", f"@{archive}"]
    sent = subprocess.Popen([*upload, f"{address}&buildid=upload-request:context"], stdout=subprocess.DEVNULL)
    order = f"{address}&buildid=context&remote=upload-request&t={name}"
    try:
        told = subprocess.run([*curl, order], capture_output=True, text=True, check=True, timeout=500)
    finally:
        sent.terminate()  # whether the engine has answered it or not: the build is over
        sent.wait(30)
    assert f"Successfully tagged {name}" in told.stdout, told.stdout[-2000:]
    docker("image", "inspect", name)
    docker("image", "rm", name)
