"""The hand-over alone: a 304 x 304 x 3 tile from the server to the predictor's process, and the answer back."""

from __future__ import annotations

import sys
import time

import numpy as np
from servers import HERE

from playground.predictor import Limits, PredictorSpec, ProcessPredictor
from playground.predictor.state import ServedTile


def handover(tiles: int = 3000) -> tuple[float, float]:
    """Milliseconds for each tile, median and 99th percentile."""
    pixels = np.random.default_rng(1).integers(0, 256, (304, 304, 3), np.uint8)
    predictor = ProcessPredictor(PredictorSpec("nothing", "ReadsPixels", HERE, sys.executable), Limits())
    predictor.start()
    try:
        state = predictor.wait_ready(60)
        if state.phase != "ready":
            sys.exit(f"the predictor did not load: {state.error}")
        took = []
        for _ in range(tiles):
            tile = ServedTile("", pixels, padding=24, size=256)
            began = time.perf_counter()
            predictor.predict(tile)
            took.append(1000 * (time.perf_counter() - began))
    finally:
        predictor.close()
    took = sorted(took[tiles // 10 :])  # the first ones warm up
    return took[len(took) // 2], took[int(0.99 * len(took))]
