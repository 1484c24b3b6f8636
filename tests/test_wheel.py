"""Our own packer against the real one, and the generator from an installed wheel."""

from __future__ import annotations

import dataclasses
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import requests
import rfc7946
from packaging.metadata import parse_email
from PIL import Image
from service import serving
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
SHIPS = """\
from playground_interfaces import PredictionResult

class Ships:
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_box("ship", (1, 2, 3, 4), 0.5)
        return result
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


@dataclasses.dataclass(frozen=True)
class Installed:
    """The library installed from its wheel, with its dependencies and nothing else, and an empty folder."""

    bin: Path
    folder: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            check=False,
        )

    @property
    def environ(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder)}


@pytest.fixture(scope="module")
def installed(real_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("elsewhere")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, str(real_wheel)], check=True)
    (folder / "empty").mkdir()
    return Installed(folder / "venv" / "bin", folder / "empty")


def test_generate_from_an_installed_wheel(installed: Installed):
    """Installed elsewhere, run in an empty folder, every byte as from the checkout."""
    (installed.folder / "service.yaml").write_text(SERVICE)
    told = installed.run("playground", "generate", "service.yaml", "-o", "out")
    assert told.returncode == 0, told.stderr
    where = installed.run("python", "-c", "import playground; print(playground.__file__)").stdout.decode()
    assert Path(where).is_relative_to(installed.bin.parent)
    generated = files_in(installed.folder / "out")
    del generated[".playground-files"]
    assert generated == render_context(LEAST)


@pytest.mark.slow
def test_serve_and_predict_from_an_installed_wheel(installed: Installed):
    (installed.folder / "ships.py").write_text(SHIPS)
    Image.new("RGB", (64, 64)).save(installed.folder / "tile.png")
    told = installed.run("playground", "predict", "tile.png", "--predictor", "ships:Ships")
    assert told.returncode == 0, told.stderr
    rfc7946.check_text(told.stdout, degrees=False)
    command = [str(installed.bin / "playground"), "serve", "--predictor", "ships:Ships", "--port", "0"]
    with serving(command, installed.folder, installed.environ) as url:
        image = (installed.folder / "tile.png").read_bytes()
        answer = requests.post(f"{url}/predict", data=image, headers={"Content-Type": "image/png"}, timeout=30)
        assert len(answer.json()["prediction"]["features"]) == 1
