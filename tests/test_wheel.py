"""Our own packer against the real one, and the generator from an installed wheel."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import parse_email
from test_generate import LEAST, files_in

from playground.wrap.render import render_context
from playground.wrap.wheel import wheel_bytes

ROOT = Path(__file__).parent.parent
SERVICE = """\
image: eu.gcr.io/theplayground_repo/my_service:latest
ZOOM_LEVEL: 16
PADDING: 24
PREDICTOR_CLASS: ShipDetector
PREDICTOR_PACKAGE: ship_detection.predictor
"""


@pytest.fixture(scope="module")
def real_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that hatchling makes of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--python", sys.executable, "--out-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_same_files_as_the_real_wheel(real_wheel: Path):
    name, content = wheel_bytes()
    assert name == real_wheel.name
    with zipfile.ZipFile(io.BytesIO(content)) as ours, zipfile.ZipFile(real_wheel) as real:
        assert sorted(ours.namelist()) == sorted(real.namelist())
        for member in real.namelist():
            if ".dist-info/" not in member:
                assert ours.read(member) == real.read(member), member
        for member in ("entry_points.txt", "licenses/LICENSE"):
            (path,) = [each for each in real.namelist() if each.endswith(f".dist-info/{member}")]
            assert ours.read(path) == real.read(path)


def test_metadata_is_the_real_one_without_the_readme(real_wheel: Path):
    name, content = wheel_bytes()
    path = f"{'-'.join(name.split('-')[:2])}.dist-info/METADATA"
    with zipfile.ZipFile(io.BytesIO(content)) as ours, zipfile.ZipFile(real_wheel) as real:
        (mine, unknown), (theirs, _) = parse_email(ours.read(path)), parse_email(real.read(path))
    theirs.pop("description_content_type", None)
    theirs.pop("description", None)
    assert not unknown
    assert mine == theirs, "this checkout was installed long ago: uv pip install -e ."


def test_generate_from_an_installed_wheel(real_wheel: Path, tmp_path: Path):
    """Installed elsewhere, run in an empty folder, every byte as from the checkout."""
    venv, empty = tmp_path / "venv", tmp_path / "empty"
    empty.mkdir()
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    python = str(venv / "bin" / "python")
    # The dependencies are this environment's; only the library itself comes from the wheel.
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, "--no-deps", str(real_wheel)], check=True)
    site = next((venv / "lib").glob("python*/site-packages"))
    (site / "zz_dependencies.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    (empty / "service.yaml").write_text(SERVICE)
    command = [str(venv / "bin" / "playground"), "generate", "service.yaml", "-o", "out"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    told = subprocess.run(command, cwd=empty, env=environ, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    code = "import playground; print(playground.__file__)"
    where = subprocess.run([python, "-c", code], cwd=empty, env=environ, capture_output=True, text=True, check=True)
    assert Path(where.stdout).is_relative_to(site)
    generated = files_in(empty / "out")
    del generated[".playground-files"]
    assert generated == render_context(LEAST)
