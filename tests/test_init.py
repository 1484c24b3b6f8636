"""`playground init` makes a project whose own tests, and playground's, pass at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from playground.commands import main
from playground.errors import GenerateError
from playground.settings import load_service
from playground.wrap.appengine import rules
from playground.wrap.scaffold import FILES, render_project, templates


def init(*arguments: str) -> str:
    told = CliRunner().invoke(main, ["init", *arguments], catch_exceptions=False)
    assert told.exit_code == 0, told.stderr
    return told.stdout.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init") / "ship-detection"
    assert init(str(folder), "--padding", "8", "--zoom", "14") == str(folder)
    return folder


def test_its_tests_pass(project: Path):
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    assert "4 passed" in told.stdout


def test_it_is_fit_for_service(project: Path):
    playground = str(Path(sys.executable).parent / "playground")
    command = [playground, "check", "service.yaml", "--calls", "10"]
    told = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
    assert "fit for service" in told.stdout
    assert " 0 failed" in told.stdout


def test_its_settings_are_what_was_asked_for(project: Path):
    settings = load_service(project / "service.yaml", rules("some-project"))
    assert (settings.name, settings.zoom_level, settings.padding) == ("ship-detection", 14, 8)
    assert (settings.predictor_package, settings.predictor_class) == (
        "ship_detection.predictor",
        "ShipDetectionDetector",
    )
    workflow = yaml.safe_load((project / ".github/workflows/check.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["check"]["steps"]]
    assert any("playground check service.yaml" in step for step in steps)
    for path in project.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert "{{" not in path.read_text(), path


def test_nothing_is_written_over(project: Path):
    before = (project / "service.yaml").read_text()
    told = CliRunner().invoke(main, ["init", str(project)])
    assert told.exit_code == 1
    assert "already" in told.output + told.stderr
    assert (project / "service.yaml").read_text() == before


def test_every_template_is_used():
    assert sorted(FILES.values()) == sorted(templates())


@pytest.mark.parametrize(
    ("name", "package", "class_name"),
    [
        ("Ship Detection", "ship_detection", "ShipDetectionDetector"),
        ("OilTankDetector", "oil_tank_detector", "OilTankDetector"),
        ("fôret", "foret", "ForetDetector"),
        ("roads2", "roads2", "Roads2Detector"),
    ],
)
def test_names(name: str, package: str, class_name: str):
    files = render_project(name, 16, 0)
    assert f"{package}/predictor.py" in files
    assert f"class {class_name}(BaseProcess)" in files[f"{package}/predictor.py"].decode()
    for path, content in files.items():
        if path.endswith(".py"):
            compile(content, path, "exec")


@pytest.mark.parametrize("name", ["", "42", "$(rm)!", "class", "playground", "tests", "x" * 50, "\n"])
def test_names_that_make_no_package(name: str):
    if name == "$(rm)!":
        assert "rm/predictor.py" in render_project(name, 16, 0)
        return
    with pytest.raises(GenerateError):
        render_project(name, 16, 0)
