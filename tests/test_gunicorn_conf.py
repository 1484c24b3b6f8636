"""gunicorn.conf.py: the right app.py starts, whatever lies in the partner's folder; the numbers and what wins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from playground import resources
from playground.settings import ServiceSettings
from playground.wrap.render import render_runtime

APP = """\
import json, os, sys
import app_utils, flask, numpy, yaml
modules = {name: getattr(sys.modules[name], "__file__", "") for name in ("app", "app_utils", "flask", "numpy", "yaml")}
numbers = {name: os.environ[name] for name in ("WORKERS", "BACKLOG", "TIMEOUT")}
print(json.dumps({"modules": modules, "last": sys.path[-1], "home": os.environ["HOME"], **numbers}))
def APP(environ, start_response): ...
"""
"""Stands for app.py: tells what it sees when it is imported."""

HOSTILE = "raise SystemExit('the partner\\'s ' + __file__ + ' was imported')"


@pytest.fixture(params=["image", "context"])
def start(request: pytest.FixtureRequest, tmp_path: Path):
    """Let gunicorn load the app in a partner's folder, and tell what it saw or how it failed.

    In the image our files lie together, and the partner's /api has links to them; in a context app.py is in app/.
    """
    settings = ServiceSettings(predictor_package="a", predictor_class="A", zoom_level=1, name="a", workers=3, timeout=7)
    ours, api = tmp_path / "ours", tmp_path / "api"
    app = ours if request.param == "image" else ours / "app"
    app.mkdir(parents=True)
    api.mkdir()
    (ours / "gunicorn.conf.py").write_bytes(render_runtime(settings)["gunicorn.conf.py"])
    (app / "app.py").write_text(APP)
    (app / "app_utils.py").write_text("")
    conf = ours / "gunicorn.conf.py"
    if request.param == "image":
        conf = api / "gunicorn.conf.py"
        conf.symlink_to(ours / "gunicorn.conf.py")

    def run(*partner: str, python: tuple[str, ...] = ("-I",), **environ: str) -> dict:
        for name in partner:
            (api / name).parent.mkdir(exist_ok=True)
            (api / name).write_text(HOSTILE)
        command = [sys.executable, *python, "-m", "gunicorn", "--check-config", "--config", str(conf), "app:APP"]
        known = {name: value for name, value in os.environ.items() if name not in ("WORKERS", "BACKLOG", "TIMEOUT")}
        told = subprocess.run(command, cwd=api, env=known | environ, capture_output=True, text=True, check=False)
        if told.returncode:
            return {"failed": told.returncode, "stderr": told.stderr}
        seen = json.loads(told.stdout)
        assert Path(seen["modules"]["app"]).resolve() == app / "app.py"
        assert Path(seen["modules"]["app_utils"]).resolve() == app / "app_utils.py"
        for name in ("flask", "numpy", "yaml"):
            assert not Path(seen["modules"][name]).is_relative_to(tmp_path)
        assert seen["last"] == str(api)
        return seen

    return run


HIDING = [
    "app/__init__.py",
    "app.py",
    "app_utils.py",
    "app_utils/__init__.py",
    "flask.py",
    "json.py",
    "yaml/__init__.py",
    "numpy.py",
    "pathlib.py",
    "ssl.py",
    "gunicorn/__init__.py",
    "playground/__init__.py",
    "playground_interfaces/__init__.py",
    "sitecustomize.py",
]
"""Files of a partner that bear names of modules which the server needs."""


@pytest.mark.parametrize("kind", ["modules", "packages"])
def test_partners_files_do_not_hide_ours(start, kind: str):
    start(*[name for name in HIDING if name.endswith("__init__.py") == (kind == "packages")])


@pytest.mark.slow
@pytest.mark.parametrize("name", HIDING)
def test_one_file_of_a_partner_does_not_hide_ours(start, name: str):
    start(name)


def test_partners_pythonpath_does_not_reach_the_server(start, tmp_path: Path):
    start("flask.py", "json.py", "app.py", PYTHONPATH=str(tmp_path / "api"))


def test_numbers_of_the_service(start):
    seen = start()
    assert (seen["WORKERS"], seen["BACKLOG"], seen["TIMEOUT"]) == ("3", "6", "7")


def test_the_environment_wins(start):
    seen = start(WORKERS="1", BACKLOG="0", TIMEOUT="")
    assert (seen["WORKERS"], seen["BACKLOG"], seen["TIMEOUT"]) == ("1", "0", "7")


def test_a_number_that_is_none(start):
    told = start(BACKLOG="lots")
    assert told["failed"] == 1
    assert told["stderr"].splitlines() == [
        "gunicorn.conf.py: environment variable BACKLOG: found lots, allowed: a whole number from 0 to 2048"
    ]


def test_home_can_be_written(start, tmp_path: Path):
    assert start(HOME=str(tmp_path))["home"] == str(tmp_path)
    home = Path(start(HOME="/nowhere")["home"])
    assert os.access(home, os.W_OK)


def settings_of(folder: Path, **environ: str) -> dict[str, str]:
    """What gunicorn makes of the checkout's own file."""
    command = [sys.executable, "-I", "-m", "gunicorn", "--print-config", "--config"]
    (folder / "wsgi.py").write_text("def APP(environ, start_response): ...")
    told = subprocess.run(
        [*command, str(resources.root() / "gunicorn.conf.py"), "wsgi:APP"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PORT"} | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in told.stdout.splitlines())}


def test_what_gunicorn_is_told(tmp_path: Path):
    read = settings_of(tmp_path)
    assert (read["workers"], read["threads"], read["worker_class"]) == ("2", "21", "gthread")
    assert (read["backlog"], read["timeout"], read["graceful_timeout"], read["keepalive"]) == (
        "2048",
        "120",
        "21",
        "75",
    )
    assert read["bind"] == "['0.0.0.0:8080']"
    assert (read["control_socket_disable"], read["preload_app"], read["accesslog"]) == ("True", "False", "None")


def test_what_the_environment_changes(tmp_path: Path):
    read = settings_of(tmp_path, PORT="9000", ACCESS_LOG="1", LOG_LEVEL="WARNING", TIMEOUT="300")
    assert read["bind"] == "['0.0.0.0:9000']"
    assert (read["accesslog"], read["loglevel"], read["timeout"]) == ("-", "warning", "600")
