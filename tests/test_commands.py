"""The command line as people use it: data on stdout, words on stderr, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import rfc7946
from click.testing import CliRunner
from conftest import PREDICTORS
from PIL import Image
from service import serving

from playground.commands import COMMANDS, main

PLAYGROUND = str(Path(sys.executable).parent / "playground")
BYTES = ("--predictor", "readers:Bytes")
SERVICE = "ZOOM_LEVEL: 3\nPADDING: 8\nPREDICTOR_CLASS: Array\nPREDICTOR_PACKAGE: readers\nname: readers\n"


def playground(*arguments: str, cwd: Path = PREDICTORS, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    told = subprocess.run([PLAYGROUND, *arguments], cwd=cwd, input=stdin, capture_output=True, check=False)
    return subprocess.CompletedProcess(told.args, told.returncode, told.stdout.decode(), told.stderr.decode())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "tile.png"
    Image.new("RGB", (32, 32), (1, 2, 3)).save(path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A partner's folder with a service.yaml."""
    (tmp_path / "readers.py").write_text((PREDICTORS / "readers.py").read_text())
    (tmp_path / "service.yaml").write_text(SERVICE)
    return tmp_path


def test_help_and_version():
    for arguments in (["--help"], ["-h"], *([name, "-h"] for name in COMMANDS)):
        told = CliRunner().invoke(main, arguments, prog_name="playground")
        assert told.exit_code == 0
        assert "Usage: playground" in told.stdout
    assert "Usage: playground run" in playground("run", "--help").stdout
    assert playground("--version").stdout.startswith("playground, version ")


def test_predict_an_image(image):
    for told in (
        playground("predict", str(image), *BYTES),
        playground("predict", "-", *BYTES, stdin=image.read_bytes()),
    ):
        assert told.returncode == 0, told.stderr
        (feature,) = rfc7946.check_text(told.stdout.encode(), degrees=False)["features"]
        assert feature["properties"]["length"] == len(image.read_bytes())
        assert "features 1" in told.stderr


def test_predict_a_tile_and_a_place(project, imagery_file):
    tiles = ("--tiles", str(imagery_file))
    by_address = playground("predict", "3/5/4", *tiles, cwd=project)
    assert by_address.returncode == 0, by_address.stderr
    by_place = playground("predict", "--at", "50,-3", "--from", "service.yaml", *tiles, cwd=project)
    assert by_place.stdout == by_address.stdout
    (feature,) = rfc7946.check_text(by_place.stdout.encode())["features"]
    assert feature["properties"]["shape"] == [272, 272, 3]
    west = playground("predict", "--at", "-50,3", *tiles, cwd=project)
    assert west.returncode == 0, west.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["predict"], 2, "name one thing"),
        (["predict", "x.png"], 2, "there is no service.yaml"),
        (["predict", "x.png", *BYTES], 1, "cannot read x.png"),
        (["predict", "x.png", "--predictor", "readers"], 2, "package.module:Class"),
        (["predict", "--at", "50", *BYTES], 2, "LON,LAT"),
        (["predict", "3/5/4", *BYTES, "--zoom", "3"], 1, "no tile source"),
        (["predict", "3/5/4", *BYTES, "--tiles", "x.mbtiles"], 2, "--tiles needs --zoom"),
        (["predict", "3/5/4", *BYTES, "--tiles", "x.mbtiles", "--zoom", "3"], 1, "x.mbtiles"),
        (["predict", "3/5/4", *BYTES, "--tiles", "ftp://x", "--zoom", "3"], 1, "names no tile source"),
        (["predict", "3/5/4", *BYTES, "--zoom", "99"], 2, "from 0 to 30"),
        (["predict", "readers.py", "--predictor", "readers:Pilow"], 1, "readers has no Pilow; it has Array"),
        (["predict", "readers.py", *BYTES], 1, "not an image"),
        (["predict", "readers.py", *BYTES, "--python", "/no/python"], 1, "no Python at /no/python"),
        (["serve", *BYTES, "--port", "x"], 2, "not a valid integer"),
        (["serve", "service.yaml", *BYTES], 2, "a file or --predictor"),
        (["serve", "nowhere"], 2, "there is no nowhere"),
        (["serve", *BYTES, "--workers", "0"], 2, "'--workers': found 0"),
        (["no-such-command"], 2, "No such command"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(arguments, status, words, monkeypatch):
    monkeypatch.chdir(PREDICTORS)
    told = CliRunner().invoke(main, arguments, prog_name="playground")
    assert told.exit_code == status, told.stderr
    assert isinstance(told.exception, SystemExit)
    assert told.stdout == ""
    assert words in " ".join(told.stderr.split())
    assert "Traceback" not in told.stderr


def test_what_is_wrong_is_said_by_the_command(tmp_path):
    told = playground("predict", "3/5/4", *BYTES, "--zoom", "99", cwd=tmp_path)
    assert (told.returncode, told.stdout) == (2, "")
    assert "from 0 to 30" in told.stderr
    assert "Traceback" not in told.stderr


def test_serve_a_service_yaml(project, imagery_file):
    command = [PLAYGROUND, "serve", "--tiles", str(imagery_file), "--workers", "1", "--port", "0"]
    with serving(command, project) as url:
        answer = requests.post(f"{url}/predict", json={"z": 3, "x": 5, "y": 4}, timeout=30).json()
        assert answer["service"]["name"] == "readers"
        assert answer["prediction"]["features"][0]["properties"]["shape"] == [272, 272, 3]


def test_serve_opens_the_map(project, imagery_file, tmp_path):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    os.mkfifo(opened)
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    command = [PLAYGROUND, "serve", "--tiles", str(imagery_file), "--workers", "1", "--port", "0", "--open"]
    with serving(command, project, {**os.environ, "BROWSER": str(browser)}) as url:
        told = requests.get(f"{url}/developer.json", timeout=30).json()
        assert told["log"] is not None
        page = requests.get(url, headers={"Accept": "text/html"}, timeout=30)
        assert page.headers["Content-Type"].startswith("text/html")
        assert opened.read_text().strip() == url


def test_serve_a_build_context(project, imagery_file, tmp_path):
    with (project / "service.yaml").open("a") as file:
        file.write("image: eu.gcr.io/theplayground_repo/readers:latest\n")
    assert playground("generate", "service.yaml", "-o", "context", cwd=project).returncode == 0
    command = [PLAYGROUND, "serve", "context", "--tiles", str(imagery_file), "--workers", "1", "--port", "0"]
    with serving(command, project) as url:
        answer = requests.get(f"{url}/predictions/3/5/4.geojson", timeout=30).json()
        rfc7946.check(answer)


def test_serve_says_why_a_predictor_cannot_be_loaded(project):
    (project / "readers.py").write_text("import no_such_module\n")
    process = subprocess.Popen(
        [PLAYGROUND, "serve", "--workers", "1", "--port", "0"], cwd=project, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "Ctrl-C ends it" in line:
            break
    process.terminate()
    process.stderr.read()
    assert process.wait(30) == 0
    assert "No module named 'no_such_module'" in said
    assert 'readers.py", line 1' in said


def test_generated_json_is_one_line(image):
    told = playground("predict", str(image), *BYTES)
    assert json.loads(told.stdout)
    assert told.stdout.count("\n") == 1


def test_a_run_that_cannot_begin_leaves_no_journal(project, imagery_file):
    command = ["run", "0,0,10,10", "--predictor", "readers:Nobody", "--tiles", str(imagery_file), "--zoom", "3"]
    for _ in range(2):
        told = playground(*command, "--out", "a.geojson", cwd=project)
        assert told.returncode == 1
        assert told.stderr.count("has no Nobody") == 1, "an error is said once, not again as its hint"
    assert not list(project.glob("*.journal"))
