"""The seam proof: an area seen tile by tile gives what it gives as one image."""

from __future__ import annotations

import numpy as np
import pytest
from fields import as_one, assert_same, outlines, stitched
from scipy import ndimage

SIZE = 32


def smooth(seed: int, side: int, grain: float, level: float) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(side, side))
    # Around the globe is no seam here: what crosses the antimeridian is cut by RFC 7946.
    field = ndimage.gaussian_filter(noise, grain, mode="wrap")
    return field > level * field.std()


@pytest.mark.parametrize("padding", [0, 1, 5, 32])
@pytest.mark.parametrize(("seed", "grain", "level"), [(1, 1.5, 0.5), (2, 4.0, 0.0), (3, 0.7, 0.8), (4, 12.0, -0.3)])
def test_random_fields(seed: int, grain: float, level: float, padding: int) -> None:
    world = smooth(seed, 4 * SIZE, grain, level)
    world[:, 0] = False
    assert_same(stitched(world, SIZE, padding), as_one(world, SIZE))


def test_noise_full_of_corners() -> None:
    world = np.random.default_rng(5).random((4 * SIZE, 4 * SIZE)) < 0.55
    world[:, 0] = False
    assert_same(stitched(world, SIZE, 3), as_one(world, SIZE))
