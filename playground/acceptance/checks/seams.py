"""Whether an area cut in tiles gives what it gives uncut."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from playground.acceptance.bench import Bench
from playground.acceptance.checks.geometry import NOTHING
from playground.acceptance.checks.repeat import stable_noise
from playground.acceptance.masks import Windows, view_disagreement
from playground.acceptance.model import Check, Verdict, failed, passed, skipped
from playground.acceptance.scene import SHIFT, TILE_SIZE

STRIP = 8
"""Pixels on either side of a seam that are compared."""
ALLOWED = 0.05
"""Share of what is covered there that may differ by more than a pixel."""
RING = 2
"""Outermost pixels that must not matter to the core."""


def _seams(bench: Bench) -> Verdict:
    padding = bench.padding
    if padding == 0:
        return skipped("without padding neighbours share no pixels")
    if not bench.telling:
        return skipped(NOTHING)
    width = min(STRIP, padding)
    along = slice(padding, padding + TILE_SIZE)
    strips = [slice(edge - width, edge + width) for edge in (padding + TILE_SIZE, padding)]
    windows: dict[str, Windows] = {
        "east": ((along, strips[0]), (along, strips[1])),
        "south": ((strips[0], along), (strips[1], along)),
    }
    shares: dict[str, float] = {}
    for scene in bench.telling:
        samples = bench.samples(scene)
        for name, window in windows.items():
            features = bench.see(samples["tile"]).features, bench.see(samples[name]).features
            share = view_disagreement(*features, bench.side, window, 1)
            if share is not None:
                shares[name] = share
        if shares:
            break
    if not shares:
        return skipped("nothing is found at a seam: give --scene or --tiles with more to find")
    worst = max(shares, key=lambda name: shares[name])
    bench.figures["seam_disagreement"] = round(shares[worst], 4)
    words = f"{shares[worst]:.1%} of what is found within {width} pixels of the {worst} seam differs"
    return failed(words) if shares[worst] > ALLOWED else passed(words)


SEAMS = Check(
    "should",
    _seams,
    "two neighbour tiles say the same about the strip along their common edge",
    "otherwise objects are broken or doubled there when the area is joined: a grid of tile edges on the map",
    "raise PADDING to what the model sees around a pixel (its receptive field); normalise by constants, not by tile",
)


def _padding_reach(bench: Bench, ring: int) -> tuple[float, int] | None:
    """(share of the core that changes when the outermost pixels do, how deep in the core the deepest lies)."""
    scene = bench.busy
    if scene is None:
        return None
    tile = bench.samples(scene)["tile"]
    edge = np.ones((bench.side, bench.side), bool)
    edge[ring:-ring, ring:-ring] = False
    core = (slice(bench.padding, bench.padding + TILE_SIZE),) * 2
    before = bench.mask(tile)[core]
    depth, share = 0, 0.0
    for number, name in enumerate(("noise", "black", "white")):
        filled = stable_noise(bench.side, 1) if name == "noise" else np.full(tile.pixels.shape, 255 * (number - 1))
        pixels = tile.pixels.copy()
        pixels[edge] = filled[edge][:, : pixels.shape[2]]
        sample = dataclasses.replace(tile, name=f"{tile.name} with {ring} pixels of {name} around it", pixels=pixels)
        if not bench.see(sample).answered:
            continue
        changed = before != bench.mask(sample)[core]
        if changed.any():
            rows, columns = np.nonzero(changed)
            inward = np.minimum.reduce([rows, columns, TILE_SIZE - 1 - rows, TILE_SIZE - 1 - columns])
            depth = max(depth, int(inward.max()) + 1)
        features = bench.see(tile).features, _without_new_points(bench.see(tile).features, bench.see(sample).features)
        share = max(share, view_disagreement(*features, bench.side, (core, core), ring) or 0.0)
    return share, depth


def _without_new_points(before: list[Any], after: list[Any]) -> list[Any]:
    """Features without the points that were not there before: a ring of white may be a thing, with its point inside."""
    known = [feature.get("geometry") for feature in before if isinstance(feature, dict)]
    kept = []
    for feature in after:
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        if geometry and (geometry.get("type") != "Point" or geometry in known):
            kept.append(feature)
    return kept


def _padding_used(bench: Bench) -> Verdict:
    if bench.padding == 0:
        return skipped("there is no padding")
    told = _padding_reach(bench, bench.padding)
    if told is None:
        return skipped(NOTHING)
    bench.figures["padding_reach_pixels"] = told[1]
    if told[1] == 0:
        pixels = (bench.side / TILE_SIZE) ** 2 - 1
        return failed(f"whatever the padding holds, the tile's answer is the same; it costs {pixels:.0%} more pixels")
    return passed(f"it changes the answer up to {told[1]} pixels inside the tile")


PADDING_USED = Check(
    "good",
    _padding_used,
    "the padding matters to the answer inside the tile",
    "padding is fetched, decoded and predicted: if the model does not look at it, it is wasted",
    "lower PADDING, to 0 if each pixel is judged by itself; or let the model see the whole padded image",
)


def _padding_enough(bench: Bench) -> Verdict:
    if bench.padding <= RING:
        return skipped("there is no padding to speak of")
    told = _padding_reach(bench, RING)
    if told is None:
        return skipped(NOTHING)
    share, depth = told
    if share > ALLOWED / 5:
        return failed(
            f"the outermost {RING} pixels change the answer up to {depth} pixels inside the tile, {share:.1%}"
        )
    return passed(f"the outermost {RING} pixels of the padded image do not matter inside the tile")


PADDING_ENOUGH = Check(
    "should",
    _padding_enough,
    "the model sees no further than the padding",
    "if the outermost pixels matter inside the tile, so do those that are cut off: the answer depends on the cut",
    "raise PADDING (256 at most); or normalise by constants instead of the image's own mean and maximum",
)


def _translation(bench: Bench) -> Verdict:
    if not bench.telling:
        return skipped(NOTHING)
    down, right = SHIFT
    margin = max(bench.padding, 16)
    height, width = (bench.side - 2 * margin - step for step in SHIFT)
    windows = (
        (slice(margin + down, margin + down + height), slice(margin + right, margin + right + width)),
        (slice(margin, margin + height), slice(margin, margin + width)),
    )
    for scene in bench.telling:
        samples = bench.samples(scene)
        features = bench.see(samples["tile"]).features, bench.see(samples["shifted"]).features
        share = view_disagreement(*features, bench.side, windows, 1)
        if share is not None:
            bench.figures["shift_disagreement"] = round(share, 4)
            words = f"shifted by {right} and {down} pixels, {share:.1%} of what is found differs"
            return failed(words) if share > 2 * ALLOWED else passed(words)
    return skipped("nothing is found in the middle of the tile")


TRANSLATION = Check(
    "should",
    _translation,
    "the same ground in another place of the image has the same answer",
    "what a map shows must not depend on where the grid of tiles happens to lie",
    "no thresholds from the whole image, no position as a feature of the model; resample by whole factors",
)
