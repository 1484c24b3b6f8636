"""The README's own commands, run as they stand in a folder that holds what they name."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import requests
from PIL import Image
from service import ROOT, serving
from test_commands import PLAYGROUND, playground

PREDICTOR = """
from playground_interfaces import PredictionResult


class ShipDetector:
    def predict(self, tile):
        result = PredictionResult(tile)
        result.add_result("ship", [(10, 10), (20, 10), (20, 20), (10, 20)], 0.9)
        return result
"""
SERVICE = """image: a/ships:1
ZOOM_LEVEL: 3
PREDICTOR_PACKAGE: ship_detection.predictor
PREDICTOR_CLASS: ShipDetector
TILES: imagery.mbtiles
"""
AREA = {"type": "Polygon", "coordinates": [[[2, 45], [60, 45], [60, 60], [2, 45]]]}


def commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]


@pytest.fixture
def folder(tmp_path: Path, imagery_file: Path) -> Path:
    (tmp_path / "ship_detection").mkdir()
    (tmp_path / "ship_detection/predictor.py").write_text(PREDICTOR)
    (tmp_path / "service.yaml").write_text(SERVICE)
    (tmp_path / "area.geojson").write_text(json.dumps(AREA))
    Image.new("RGB", (256, 256), (1, 2, 3)).save(tmp_path / "tile.jpg")
    (tmp_path / "imagery.mbtiles").symlink_to(imagery_file)
    return tmp_path


def test_the_two_commands_stand_first():
    assert [line.split("#")[0].split() for line in commands()[:2]] == [["make", "demo"], ["make", "test"]]


def test_every_command_of_the_readme_runs(folder: Path):
    ran = []
    for line in commands():
        name, *arguments = shlex.split(line, comments=True)
        if name != "playground":
            assert name in ("make", "pip"), line
            continue
        ran.append(arguments[0])
        if arguments[0] == "serve":
            # The imagery at hand ends at zoom 3; and the port of the README may be taken.
            arguments = [
                "3" if before == "--zoom" else word for before, word in zip(["", *arguments], arguments, strict=False)
            ]
            with serving([str(PLAYGROUND), *arguments, "--port", "0"], folder) as url:
                answer = requests.post(f"{url}/predict", json={"z": 3, "x": 1, "y": 2}, timeout=30).json()
            assert [each["properties"]["category"] for each in answer["prediction"]["features"]] == ["ship"]
        else:
            told = playground(*arguments, cwd=folder)
            assert told.returncode == 0, f"{line}\n{told.stderr}"
    assert {"predict", "serve", "generate"} <= set(ran)
    assert (folder / "build/ships/Dockerfile").exists()
