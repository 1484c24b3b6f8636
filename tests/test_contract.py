"""The contract with the partner, in every Python that a partner may have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import playground
import playground_interfaces
from playground_interfaces import BaseProcess, PredictionResult, Tile

CONTRACT = Path(playground_interfaces.__file__).parent


def test_both_imports_give_the_same_classes():
    for name in playground_interfaces.__all__:
        assert getattr(playground, name) is getattr(playground_interfaces, name)


def test_the_documented_example_runs_in_every_python_with_nothing_installed(python, start_predictor):
    predictor = start_predictor("documented:Process", python)
    state = predictor.state()
    assert (state.phase, state.error) == ("ready", None)
    collection = predictor.predict(Tile("https://tiles.example/1.jpg", b"jpeg"))
    assert [feature["properties"] for feature in collection["features"]] == [
        {"category": "roi", "score": 1.0},
        {"category": "ior", "score": 0.5},
    ]
    assert collection["features"][1]["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[0.1, 0.1], [1.1, 1.1], [1.1, 0.1], [0.1, 0.1]]],
    }


def test_the_image_arrives_as_it_was_in_every_python(python, start_predictor):
    predictor = start_predictor("readers:Bytes", python)
    tile = Tile("u", b"\xff\xd8\xff\xe0" + bytes(70_000), z=3, x=1, y=2, padding=4, bounds=(-1.5, 2.0, 3.0, 4.0))
    for _ in range(2):  # asked for when read, then sent along because it was read
        (feature,) = predictor.predict(tile)["features"]
        told = feature["properties"]
        assert (told["length"], told["head"]) == (70_004, "ffd8ffe0")
        assert (told["z"], told["x"], told["y"], told["padding"], told["url"]) == (3, 1, 2, 4, "u")
        assert told["bounds"] == [-1.5, 2.0, 3.0, 4.0]


def test_the_whole_package_compiles_in_every_python(python):
    files = [str(path) for path in CONTRACT.glob("*.py")]
    code = "import sys; [compile(open(f, encoding='utf-8').read(), f, 'exec') for f in sys.argv[1:]]"
    subprocess.run([python, "-W", "error", "-c", code, *files], check=True)


def test_register_and_subclass_and_abstract():
    class Registered:
        def predict(self, tile):
            return PredictionResult(tile)

    BaseProcess.register(Registered)
    assert isinstance(Registered(), BaseProcess)
    with pytest.raises(TypeError):
        type("Incomplete", (BaseProcess,), {})()


def test_historic_bytes_and_arrays_are_both_taken():
    encoded = bytearray(b"encoded")
    assert Tile("u", encoded).image is encoded
    array = np.zeros((4, 4, 3), np.uint8)
    assert Tile("u", array).array is array
    assert Tile("u").image is None
    assert Tile("u", np.frombuffer(b"encoded", np.uint8)).image.shape == (7,)


def test_parts_of_a_tile_are_made_once_and_when_read():
    made = []
    tile = Tile("u", load_array=lambda: made.append("array") or [1])
    assert made == []
    assert tile.array is tile.array
    assert made == ["array"]
    with pytest.raises(TypeError, match="zoom"):
        Tile("u", zoom=3)


def test_format_rounds_to_two_decimals_and_keeps_holes_points_boxes_and_properties():
    result = PredictionResult(Tile("u"))
    result.add_result("ship", np.array([(0.123456, 0), (5, 0), (5, 5.005)]), np.float32(0.98765))
    result.add_polygon("lake", [(0, 0), (0, 9), (9, 9)], [[(1, 4), (1, 5), (2, 5)]], 0.5, depth=3)
    result.add_point("buoy", (1, 2))
    result.add_box("pier", (1, 2, 3, 4), 0.25)
    collection = result.format()
    assert collection["type"] == "FeatureCollection"
    assert collection.features is collection["features"]
    ship, lake, buoy, pier = collection["features"]
    assert ship["geometry"]["coordinates"] == [[[0.12, 0.0], [5.0, 0.0], [5.0, 5.0]]]
    assert ship["properties"] == {"category": "ship", "score": 0.99}
    assert len(lake["geometry"]["coordinates"]) == 2
    assert lake["properties"]["depth"] == 3
    assert buoy["geometry"] == {"type": "Point", "coordinates": [1.0, 2.0]}
    assert pier["geometry"]["coordinates"][0][0] == pier["geometry"]["coordinates"][0][-1]
    assert [category for category, _, _ in result.list_results] == ["ship", "lake", "buoy", "pier"]
    for category, ring, confidence in result.list_results:  # historic code unpacks three
        assert category
        assert len(ring)
        assert 0 <= confidence <= 1


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["Pillow", "OpenCV", "Array"])
def test_partners_read_the_image_in_their_own_environment(reader, start_predictor, partner_python, tmp_path):
    Image.new("RGB", (16, 12), (250, 100, 7)).save(tmp_path / "tile.png")
    predictor = start_predictor(f"readers:{reader}", partner_python.path)
    assert predictor.state().error is None
    tile = Tile(
        "u",
        (tmp_path / "tile.png").read_bytes(),
        load_array=lambda: np.full((12, 16, 3), (250, 100, 7), np.uint8),
        load_valid=lambda: np.ones((12, 16), bool),
    )
    for _ in range(2):
        (feature,) = predictor.predict(tile)["features"]
        assert feature["properties"]["pixel"] == [250, 100, 7]
    assert partner_python.freeze() == partner_python.frozen
