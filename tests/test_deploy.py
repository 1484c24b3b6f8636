"""playground deploy: the plan, gcloud's own word on each command, and the judgement on a service that really answers.

App Engine is not here: a gcloud that only notes what it is asked stands in for it, its versions being services on this
machine. That each command is one that the real gcloud takes is shown by gcloud's own linter.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path

import pytest
from conftest import require
from test_commands import playground

from playground.errors import CertificateError, DeployError
from playground.settings import ServiceSettings
from playground.wrap import google
from playground.wrap.certificate import Certificate, CheckResult, check_covers, read_certificate, write_certificate
from playground.wrap.deploy import Deployment, check_names, plan, stage_splits, version_name
from playground.wrap.render import render_cloudbuild, render_context
from playground.wrap.rollout import roll_out
from playground.wrap.write import write_files

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"europe-docker.pkg.dev/my-project/playground/water@{DIGEST}"
SETTINGS = ServiceSettings(image="a/b", predictor_package="documented", predictor_class="P", zoom_level=1, name="water")
GOOD = Certificate(target=IMAGE, image=IMAGE, digest=DIGEST, results=(CheckResult("contract", "must", "passed"),))


def deployment(**changes) -> Deployment:
    given = {"folder": Path("build/water"), "service": "water", "project": "my-project", "version": "v2", **changes}
    return Deployment(**given)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    write_files(render_context(SETTINGS, "my-project"), tmp_path / "water")
    return tmp_path / "water"


def commands(**changes) -> list[list[str]]:
    return [command for _, command in plan(deployment(**changes), {"v0": 0.25, "v1": 0.75}) if command]


@pytest.mark.parametrize("image_url", [None, IMAGE])
def test_each_command_is_there(image_url):
    assert len(commands(image_url=image_url, promote=False)) == 3
    assert len(commands(image_url=image_url, promote=True)) == 8


@pytest.mark.parametrize(
    ("promote", "image_url"), [(False, None), (False, IMAGE), pytest.param(True, IMAGE, marks=pytest.mark.slow)]
)
def test_every_command_is_one_that_gcloud_takes(image_url, promote):
    require(google.sdk_root(), "the Google Cloud SDK is not here")
    made = commands(promote=promote, image_url=image_url)
    for command in made if promote else made[:1]:
        assert google.command_problem(command) is None


def test_cloud_build_takes_its_file(tmp_path: Path, golden):
    content = render_cloudbuild(SETTINGS, "../water", "my-project")["cloudbuild.yaml"]
    golden("cloudbuild/cloudbuild.yaml", content)
    require(google.sdk_root(), "the Google Cloud SDK is not here")
    path = tmp_path / "cloudbuild.yaml"
    path.write_bytes(content)
    received = google.parse_cloudbuild(path)
    assert [step["id"] for step in received["steps"]] == ["build", "push"]
    assert received["images"] == ["$_REPOSITORY/water:$_VERSION"]
    command = ["gcloud", "builds", "submit", "../water", "--config", "cloudbuild.yaml", "--project", "my-project"]
    assert google.command_problem(command) is None


def test_stages_add_up():
    stages = stage_splits(deployment(), {"a": 1 / 3, "b": 2 / 3})
    assert [each["v2"] for each in stages] == [0.1, 0.5, 1.0]
    assert stages[0] == {"a": 0.3, "b": 0.6, "v2": 0.1}
    for each in stage_splits(deployment(stages=(1, 7, 33, 100)), {"a": 0.1, "b": 0.2, "c": 0.7, "v2": 0.0}):
        assert sum(each.values()) == pytest.approx(1, abs=1e-9)
    assert stage_splits(deployment(), {}) == [{"v2": 1.0}]


def test_names():
    now = datetime.datetime(2026, 11, 21, 10, 15)
    assert version_name(now, IMAGE) == "20261121t101500-01234567"
    assert version_name(now) == "20261121t101500"
    check_names(deployment(image_url=IMAGE))
    for wrong, words in (
        ({"version": "V2"}, "lowercase"),
        ({"version": "latest"}, "reserved"),
        ({"service": "s" * 40, "project": "p" * 20}, "allowed: 63"),
        ({"image_url": "docker.io/a/b:1"}, "Artifact Registry"),
    ):
        with pytest.raises(DeployError, match=words):
            check_names(deployment(**wrong))


@pytest.mark.parametrize(
    ("certificate", "image", "words"),
    [
        (GOOD, IMAGE.partition("@")[0] + ":latest", "names no digest"),
        (GOOD, IMAGE.replace("0123", "3210", 1), "the certificate is of sha256:0123"),
        (Certificate(target="a:B"), IMAGE, "is of no image"),
        (Certificate(target=IMAGE, digest=DIGEST), IMAGE, "tells of no check"),
        (
            Certificate(target=IMAGE, digest=DIGEST, results=(CheckResult("geometry", "must", "failed"),)),
            IMAGE,
            "these failed: geometry",
        ),
    ],
)
def test_what_was_not_checked_is_not_promoted(certificate, image, words):
    check_covers(GOOD, IMAGE)
    with pytest.raises(CertificateError, match=words):
        check_covers(certificate, image)


def test_certificates_come_back(tmp_path: Path):
    path = tmp_path / "certificate.json"
    write_certificate(GOOD, path)
    assert read_certificate(path) == GOOD
    for wrong in ("{}", "nothing", '{"kind": "x", "target": "a"}'):
        path.write_text(wrong)
        with pytest.raises(CertificateError, match="is no certificate"):
            read_certificate(path)


def test_the_plan_of_a_dry_run(context):
    told = playground("deploy", str(context), "--version", "v2", "--dry-run")
    assert told.returncode == 0, told.stderr
    first, *_, last = told.stdout.splitlines()
    wanted = f"gcloud app deploy {context}/app.yaml --version=v2 --no-promote --quiet --project=my-project"
    assert first == wanted
    assert last.startswith("gcloud app versions list")
    assert "set-traffic" not in told.stdout
    assert "nothing was run" in told.stderr


def test_promotion_needs_a_certificate(context):
    told = playground("deploy", str(context), "--promote", "--image-url", IMAGE, "--dry-run")
    assert told.returncode == 1
    assert "what was not checked is not promoted" in told.stderr
    assert not told.stdout


def test_a_context_with_errors_is_not_deployed(context):
    path = context / "app.yaml"
    path.write_text(path.read_text().replace("path: /liveness_check", "host: a"))
    told = playground("deploy", str(context), "--dry-run")
    assert told.returncode == 1
    assert "has 1 errors that App Engine would stumble over" in told.stderr


GCLOUD = """#!{python}
import json, os, sys
with open(os.environ["NOTES"], "a") as notes:
    notes.write(" ".join(sys.argv[1:4]) + (" " + sys.argv[5] if "set-traffic" in sys.argv else "") + "\\n")
words = " ".join(sys.argv[1:4])
if os.environ.get("BROKEN") == words:
    sys.exit("ERROR: (gcloud) quota exceeded")
if words == "app versions describe":
    print(os.environ["VERSION_URL"])
if words == "app services describe":
    print(json.dumps({{"split": {{"allocations": {{"v1": 1.0}}}}}}))
"""


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch):
    """What the stand-in for gcloud was asked."""
    folder, notes = tmp_path / "bin", tmp_path / "notes"
    folder.mkdir()
    (folder / "gcloud").write_text(GCLOUD.format(python=sys.executable))
    (folder / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(notes))
    return lambda: notes.read_text().splitlines()


@pytest.fixture(scope="module")
def service(serve):
    started = serve("documented:Process")
    started.wait_loaded()
    return started


def traffic(notes):
    return [line.rpartition(" ")[2] for line in notes if "set-traffic" in line]


def test_a_good_version_gets_the_traffic_in_stages(gcloud, service, monkeypatch):
    monkeypatch.setenv("VERSION_URL", service.url)
    said: list[str] = []
    url = roll_out(deployment(promote=True, image_url=IMAGE), said.append, watch_seconds=0)
    assert url == service.url
    assert traffic(gcloud()) == ["--splits=v1=0.9,v2=0.1", "--splits=v1=0.5,v2=0.5", "--splits=v2=1"]
    assert any("answers a tile with valid GeoJSON" in words for words in said)


def test_without_promote_nobody_is_sent_to_it(gcloud, service, monkeypatch):
    monkeypatch.setenv("VERSION_URL", service.url)
    roll_out(deployment(), print, watch_seconds=0)
    assert traffic(gcloud()) == []
    assert len(gcloud()) == 3


def test_a_version_that_fails_gets_no_traffic(gcloud, serve, monkeypatch):
    broken = serve("misbehaving:Raises")
    broken.wait_loaded()
    monkeypatch.setenv("VERSION_URL", broken.url)
    with pytest.raises(DeployError, match="the version answers 500"):
        roll_out(deployment(promote=True), print, watch_seconds=0)
    assert traffic(gcloud()) == []


def test_a_version_that_is_never_ready(gcloud, serve, monkeypatch):
    never = serve("nothing:There")
    never.wait_loaded()
    monkeypatch.setenv("VERSION_URL", never.url)
    with pytest.raises(DeployError, match=r"not ready after 0 seconds: .*nothing"):
        roll_out(deployment(promote=True), print, watch_seconds=0, start_seconds=0.3)
    assert traffic(gcloud()) == []


def test_a_failure_on_the_way_is_undone(gcloud, service, monkeypatch):
    monkeypatch.setenv("VERSION_URL", service.url)
    seen = []

    def say(words):
        if "set-traffic" in words:
            seen.append(words)
            if len(seen) == 2:
                service.process.terminate()
                service.process.wait(30)

    with pytest.raises(DeployError, match=r"does not answer: .*the traffic is as it was before"):
        roll_out(deployment(promote=True), say, watch_seconds=0)
    assert traffic(gcloud()) == ["--splits=v1=0.9,v2=0.1", "--splits=v1=0.5,v2=0.5", "--splits=v1=1"]


def test_what_gcloud_says_is_told(gcloud, context, monkeypatch):
    monkeypatch.setenv("BROKEN", "app deploy " + str(context / "app.yaml"))
    told = playground("deploy", str(context))
    assert told.returncode == 1
    assert "gcloud app deploy" in told.stderr
    assert "quota exceeded" in told.stderr
    assert "Traceback" not in told.stderr
    assert json.dumps(gcloud())
