"""Seas and lakes, from colour and texture."""

import numpy as np
from scipy import ndimage

from playground_interfaces import BaseProcess, PredictError, PredictionResult
from playground_interfaces.masks import polygons_of_mask

CROSS = ndimage.generate_binary_structure(2, 1)

# How far each step looks, in pixels. Together 22: what lies within 22 pixels of the image's edge may be wrong, so the
# service must give us 24 of padding (PADDING in service.yaml).
SMOOTHING = 1
SURROUNDINGS = 9
HYSTERESIS = 5
OPENING = 2
REGROWTH = 5
RECEPTIVE_FIELD = SMOOTHING + SURROUNDINGS + HYSTERESIS + OPENING + REGROWTH


class WaterDetector(BaseProcess):
    """Finds water in true-colour imagery of 1 to 10 km a pixel, Blue Marble above all.

    1. Each pixel gets a margin, above 0 if it looks like water (see ``margins``).
    2. Hysteresis: sure water is kept, and likely water that is connected to it within a few pixels.
    3. Opening by reconstruction: what nowhere holds a cross of 3 x 3 pixels is a speck and goes; what remains gets
       back its outline.
    4. Each 4-connected region becomes a polygon with its islands as holes; its confidence is its mean probability.

    Every step looks a bounded number of pixels around (RECEPTIVE_FIELD in all), so that a pixel's answer is the same
    in whichever tile it comes. A region's confidence is that of the part that the tile shows.
    """

    def __init__(self):
        self.sure = 0.4
        self.likely = -0.1

    def predict(self, tile):
        image = tile.array
        if image.ndim != 3 or image.shape[2] < 3:
            raise PredictError("the water detector needs colour imagery", "send tiles with red, green and blue")
        margin = margins(image[:, :, :3])
        if tile.valid is not None:
            margin[~tile.valid] = -1.0
        water = self.water(margin)

        result = PredictionResult(tile)
        regions, count = ndimage.label(water)
        probability = 1.0 / (1.0 + np.exp(-2.0 * np.clip(margin, -3.0, 3.0)))
        confidence = ndimage.mean(probability, regions, np.arange(1, count + 1))
        for exterior, holes in polygons_of_mask(water):
            column, row = exterior[0]  # the corner above and to the left of the region's first pixel
            result.add_polygon("water", exterior, holes, confidence=confidence[regions[row, column] - 1])
        return result

    def water(self, margin):
        """The mask of water, from margins."""
        likely = margin > self.likely
        water = ndimage.binary_dilation(margin > self.sure, CROSS, HYSTERESIS, mask=likely)
        opened = ndimage.binary_opening(water, CROSS)
        return ndimage.binary_dilation(opened, CROSS, REGROWTH, mask=water)


def margins(rgb):
    """How much each pixel looks like water: above 0 it does.

    Water is one of
    - blue: sea, from nearly black (2, 5, 20) to the light shelves (28, 70, 128);
    - black: lakes, (0..6, 2..14, 1..16); rain forest is never below 24 of green;
    - darker than its surroundings: smaller lakes, blended with their shores;
    - turquoise and smooth: shallow and silty water, (29, 82, 71), but not the blended pixels of a coast;
    and never bright: ice and snow in shadow are blue too.
    """
    rgb = rgb.astype(np.float32)
    # A light blur against JPEG noise.
    for axis in (0, 1):
        rgb = ndimage.convolve1d(rgb, [0.1, 0.8, 0.1], axis=axis, mode="nearest")
    red, green, blue = np.moveaxis(rgb, 2, 0)
    land = np.maximum(red, green)
    light = rgb.mean(axis=2)
    mean = ndimage.uniform_filter(light, 5)
    texture = np.sqrt(np.maximum(ndimage.uniform_filter(light * light, 5) - mean * mean, 0.0))
    surroundings = ndimage.uniform_filter(np.minimum(land, 60.0), 2 * SURROUNDINGS + 1)

    is_blue = (blue - land - 4.0) / 10.0
    is_black = (20.0 - land) / 8.0
    is_darker = np.minimum(0.65 * surroundings - land, 26.0 - land) / 8.0
    is_turquoise = np.minimum((np.minimum(green, blue) - red - 6.0) / 12.0, (6.0 - texture) / 6.0)
    is_not_bright = (110.0 - red) / 30.0
    margin = np.maximum(np.maximum(is_blue, is_black), np.maximum(is_darker, is_turquoise))
    return np.minimum(margin, is_not_bright)
