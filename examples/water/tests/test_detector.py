import numpy as np
import pytest
from water.detector import WaterDetector

from playground_interfaces import PredictError, Tile

SEA, SHELF, LAKE, FOREST, DESERT, ICE = (
    (4, 12, 35),
    (28, 70, 128),
    (0, 4, 8),
    (26, 37, 11),
    (169, 142, 107),
    (249, 251, 253),
)


def found(ground, *patches):
    """What is found on an image of one colour with patches of others: (rows, columns, colour)."""
    image = np.empty((304, 304, 3), dtype=np.uint8)
    image[:] = ground
    for rows, columns, colour in patches:
        image[rows, columns] = colour
    return WaterDetector().predict(Tile("test", image, padding=24)).format()["features"]


@pytest.mark.parametrize("ground", [FOREST, DESERT, ICE])
def test_land_is_no_water(ground):
    assert found(ground) == []


@pytest.mark.parametrize("water", [SEA, SHELF, LAKE])
@pytest.mark.parametrize("ground", [FOREST, DESERT, ICE])
def test_a_lake_is_one_polygon(ground, water):
    (feature,) = found(ground, (slice(100, 160), slice(120, 220), water))
    corners = np.array(feature["geometry"]["coordinates"][0])
    np.testing.assert_allclose(corners.min(axis=0), (120, 100), atol=1)
    np.testing.assert_allclose(corners.max(axis=0), (220, 160), atol=1)
    assert 0.5 < feature["properties"]["score"] <= 1


def test_islands_are_holes():
    (feature,) = found(SHELF, (slice(40, 60), slice(40, 60), DESERT), (slice(200, 250), slice(100, 150), FOREST))
    assert len(feature["geometry"]["coordinates"]) == 3


def test_specks_are_no_water():
    assert found(DESERT, (slice(100, 102), slice(100, 102), SEA)) == []


def test_images_without_colour_are_refused():
    with pytest.raises(PredictError):
        WaterDetector().predict(Tile("test", np.zeros((304, 304), dtype=np.uint8)))
