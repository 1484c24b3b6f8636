"""Whether coordinates mean what the contract says: x right, y down, from the corner of the padded image, on edges.

Method: two images with different answers are spliced, the left part of one with the right part of the other, and top
with bottom. The answer to the splice must change from one's answer to the other's at the cut. Where it changes
elsewhere, the place tells which mistake it is; it needs no knowledge of what the predictor finds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from playground.acceptance.bench import Bench
from playground.acceptance.checks.geometry import NOTHING
from playground.acceptance.masks import paths_of
from playground.acceptance.model import Check, Sample, Verdict, failed, passed, skipped
from playground.imagery import Mask

Grid = npt.NDArray[np.float64]
LEAST = 40
"""Pixels that it takes to tell."""
CLEAR = 0.65
"""Share of the telling pixels that an explanation must fit; by chance it is a half."""
CUTS = (0.3, 0.45, 0.62, 0.75)

RIGHT = "as the contract says"
FROM_CORE = "counted from the tile without its padding"
INTO_PADDING = "with the padding added twice"
AXES = {"with x and y swapped", "upside down", "with x from right to left", "as (row, column) from the tile's corner"}


def explanations(side: int, padding: int) -> dict[str, Callable[[Grid, Grid], tuple[Grid, Grid]]]:
    """How a predictor may mean its coordinates: words -> the image's x and y of the answer's."""
    found: dict[str, Callable[[Grid, Grid], tuple[Grid, Grid]]] = {
        RIGHT: lambda x, y: (x, y),
        "with x and y swapped": lambda x, y: (y, x),
        "upside down": lambda x, y: (x, side - y),
        "with x from right to left": lambda x, y: (side - x, y),
    }
    if padding:
        found[FROM_CORE] = lambda x, y: (x + padding, y + padding)
        found[INTO_PADDING] = lambda x, y: (x - padding, y - padding)
        found["as (row, column) from the tile's corner"] = lambda x, y: (y + padding, x + padding)
    return found


def _explain(bench: Bench) -> tuple[str, float] | str:
    """The explanation that fits, and the share of the telling pixels that it fits; or why there is none."""
    scene = bench.busy
    if scene is None:
        return NOTHING
    tile = bench.samples(scene)["tile"]
    other = _contrast(bench, tile)
    if other is None:
        return "its answer does not depend on the image"
    mask, differs = bench.mask(tile), bench.mask(tile) != bench.mask(other)
    y, x = np.mgrid[: bench.side, : bench.side] + 0.5
    known = explanations(bench.side, bench.padding)
    fits, pixels = dict.fromkeys(known, 0), dict.fromkeys(known, 0)
    for cut, axis in _cuts(differs, bench.padding):
        across = x if axis else y
        spliced = np.where((across < cut)[..., np.newaxis], tile.pixels, other.pixels)
        name = f"splice of {tile.name} and {other.name} at {'x' if axis else 'y'} {cut}"
        sample = Sample(name, spliced, bench.padding, address=tile.address)
        if not bench.see(sample).answered:
            continue
        seen = bench.mask(sample)
        for words, meant in known.items():
            from_tile = meant(x, y)[0 if axis else 1] < cut
            # What is right is held against the cut alone; each mistake where it says something else.
            where = differs if words == RIGHT else differs & (from_tile != (across < cut))
            fits[words] += int(((seen == np.where(from_tile, mask, bench.mask(other))) & where).sum())
            pixels[words] += int(where.sum())
    shares = {words: fits[words] / pixels[words] for words in known if pixels[words] >= LEAST}
    if len(shares) < 2:
        return "too little is found to tell"
    wrong = max(shares.keys() - {RIGHT}, key=lambda words: shares[words])
    if shares[wrong] >= CLEAR:
        return wrong, shares[wrong]
    if shares[RIGHT] < CLEAR:
        return "the answer to a part of an image is not a part of its answer: it looks at the image as a whole"
    return RIGHT, shares[RIGHT]


def _contrast(bench: Bench, tile: Sample) -> Sample | None:
    """The image whose answer differs most from the tile's; None where none does."""
    others = [*bench.plain[:3], *bench.ordinary()]
    others = [other for other in others if other.pixels.shape == tile.pixels.shape and bench.see(other).answered]
    mask = bench.mask(tile)
    best = max(others, key=lambda other: int((mask != bench.mask(other)).sum()))
    return best if (mask != bench.mask(best)).sum() >= LEAST else None


def _cuts(differs: Mask, padding: int) -> list[tuple[int, int]]:
    """(pixel, axis) of cuts: for each axis the two with most to see in the strip of one padding beside them."""
    side = len(differs)
    strip = max(padding, 8)
    found = []
    for axis in (0, 1):
        profile = differs.sum(axis=1 - axis) if axis == 0 else differs.sum(axis=0)
        places = [int(side * share) for share in CUTS]
        places.sort(key=lambda cut: -int(profile[max(0, cut - strip) : cut + strip].sum()))
        found += [(cut, axis) for cut in places[:2]]
    return found


def _told(bench: Bench) -> tuple[str, float] | str:
    if "placement" not in bench.kept:
        bench.kept["placement"] = _explain(bench)
    told: tuple[str, float] | str = bench.kept["placement"]
    return told


def _axis_order(bench: Bench) -> Verdict:
    told = _told(bench)
    if isinstance(told, str):
        return skipped(told)
    best, share = told
    if best in AXES:
        return failed(f"coordinates are {best}: {share:.0%} of the pixels that can tell say so")
    return passed(f"{share:.0%} of the pixels that can tell say so")


AXIS_ORDER = Check(
    "must",
    _axis_order,
    "positions are (x, y): x to the right, y down",
    "numpy and most networks count (row, column): mixed up, every object lies mirrored at the tile's diagonal",
    "give (column, row); of np.argwhere and skimage.measure.find_contours turn each position round: position[::-1]",
)


def _padded_frame(bench: Bench) -> Verdict:
    if bench.padding == 0:
        return skipped("there is no padding")
    told = _told(bench)
    if isinstance(told, str):
        return skipped(told)
    best, share = told
    if best in (FROM_CORE, INTO_PADDING) or best == "as (row, column) from the tile's corner":
        return failed(f"coordinates are {best}: {share:.0%} of the pixels that can tell say so")
    return passed(f"{share:.0%} of the pixels that can tell say so")


PADDED_FRAME = Check(
    "must",
    _padded_frame,
    "(0, 0) is the corner of the padded image, not of the tile in it",
    "otherwise every object lies beside its place by the padding, up and to the left",
    "do not subtract tile.padding; if you predict array[p:-p, p:-p] only, add p to x and y",
)


def _pixel_convention(bench: Bench) -> Verdict:
    starts = last_index = last_edge = 0
    for name, seen in bench.observations().items():
        height, width = bench.shape_of(name)
        if min(height, width) < 8:
            continue
        paths = [path for each in seen.features if isinstance(each, dict) for path in paths_of(each.get("geometry"))]
        for kind, coords in paths:
            if kind != "Polygon" or not np.isfinite(coords).all():
                continue
            starts += int((coords.min(axis=0) == 0).sum())
            greatest = coords.max(axis=0)
            last_index += int((greatest == (width - 1, height - 1)).sum())
            last_edge += int((greatest > (width - 1, height - 1)).sum())
    if last_edge and bench.pixel_convention == "index":
        return failed(f"declared as index, but {last_edge} outlines end on the image's edge")
    if bench.pixel_convention == "index":
        return passed(f"index, as declared; {last_index} outlines end at the last index")
    if starts and last_index >= 2 and not last_edge:
        return failed(f"outlines start at 0 ({starts} times) and end one pixel before the edge ({last_index} times)")
    return (
        passed(f"{last_edge} outlines end on the edge") if last_edge else skipped("nothing reaches the image's edges")
    )


PIXEL_CONVENTION = Check(
    "should",
    _pixel_convention,
    "coordinates are on pixel edges: a full tile spans 0 to 256, not 0 to 255",
    "with pixel indices every object is a pixel too small and lies half a pixel off; neighbours leave a gap",
    "declare PIXEL_CONVENTION: index in service.yaml, or add 1 to right and bottom; add_mask traces edges",
)
