"""Answers as masks: what lies where, whatever polygons it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from playground.imagery import Mask

Windows = tuple[tuple[slice, slice], tuple[slice, slice]]
"""(rows, columns) in each of two images."""
ENOUGH = 0.2
"""Share of what is covered that must be left to judge by when what was cut off is left aside."""
FloatArray = npt.NDArray[np.float64]


def mask_of(features: Iterable[Any], height: int, width: int) -> Mask:
    """The pixels whose centres the features cover; a point covers the pixel that it is in and those around it."""
    mask = np.zeros((height, width), bool)
    for feature in features:
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        rings = []
        for kind, path in paths_of(geometry):
            coords = np.clip(path[np.isfinite(path).all(axis=1)], -1e6, 1e6)
            if kind == "Point" and len(coords):
                rows, columns = (slice(max(0, int(v) - 1), max(0, int(v) + 2)) for v in coords[0][::-1])
                mask[rows, columns] = True
            elif kind == "Polygon" and len(coords) >= 3:
                rings.append(coords)
        if not rings:
            continue
        positions = np.concatenate(rings)
        left, top = np.clip(np.floor(positions.min(axis=0)), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(positions.max(axis=0)), 0, (width, height)).astype(int)
        toggles = np.zeros((bottom - top, right - left + 1), np.int32)
        for ring in rings:
            _toggle(toggles, ring - (left, top))
        mask[top:bottom, left:right] |= (np.cumsum(toggles, axis=1) % 2).astype(bool)[:, : right - left]
    return mask


def paths_of(geometry: Any) -> Iterator[tuple[str, FloatArray]]:
    """(Polygon, Line or Point; (n, 2) positions) of every path of a geometry; what cannot be read is left out."""
    if not isinstance(geometry, dict):
        return
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "GeometryCollection":
        for member in geometry.get("geometries") or []:
            yield from paths_of(member)
        return
    single = str(kind).removeprefix("Multi").removesuffix("String")
    if single not in ("Point", "Line", "Polygon"):
        return
    for path in _at_depth(coordinates, (single == "Polygon") + str(kind).startswith("Multi")):
        try:
            array = np.asarray([path] if single == "Point" else path, dtype=np.float64)
        except (TypeError, ValueError):
            continue
        if array.ndim == 2 and array.shape[1] >= 2 and len(array):
            yield single, array[:, :2]


def _at_depth(value: Any, depth: int) -> Iterator[Any]:
    if depth <= 0 or not isinstance(value, list | tuple):
        yield value
        return
    for member in value:
        yield from _at_depth(member, depth - 1)


def _toggle(toggles: npt.NDArray[np.int32], ring: FloatArray) -> None:
    """Count, in each row, how often a ring crosses the row of pixel centres to the left of each pixel's centre."""
    height, width = toggles.shape
    x0, y0 = ring.T
    x1, y1 = np.roll(ring, -1, axis=0).T  # closed, whether the ring is or not
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, height).astype(int)
    last = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, height).astype(int)
    counts = last - first
    edges = np.repeat(np.arange(len(ring)), counts)
    rows = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edges]
    share = (rows + 0.5 - y0[edges]) / (y1[edges] - y0[edges])
    crossing = x0[edges] + share * (x1[edges] - x0[edges])
    columns = np.clip(np.ceil(crossing - 0.5), 0, width - 1).astype(int)
    np.add.at(toggles, (rows, columns), 1)


def grown(mask: Mask) -> Mask:
    """The mask and the eight pixels around each of its own."""
    tall = mask.copy()
    tall[1:] |= mask[:-1]
    tall[:-1] |= mask[1:]
    wide = tall.copy()
    wide[:, 1:] |= tall[:, :-1]
    wide[:, :-1] |= tall[:, 1:]
    return wide


def disagreement(one: Mask, other: Mask) -> float:
    """Which share of what either covers the other has not even a pixel beside it; 0 where neither covers anything."""
    union = int((one | other).sum())
    if union == 0:
        return 0.0
    return float((one & ~grown(other)).sum() + (other & ~grown(one)).sum()) / union


def is_cut(feature: Any, side: int, reach: int) -> bool:
    """Whether a feature comes within ``reach`` pixels of the edge of its image of ``side`` pixels."""
    paths = [path for _, path in paths_of(feature.get("geometry") if isinstance(feature, dict) else None)]
    return any(bool((path <= reach).any() or (path >= side - reach).any()) for path in paths)


def view_disagreement(
    one: Sequence[Any], other: Sequence[Any], side: int, windows: Windows, reach: int
) -> float | None:
    """How much two answers disagree about the ground that both show: the share of what either covers there.

    Things that the image cuts off may look different in each (a box around what is seen of a ship); if the rest agrees,
    and is no small part, that is no disagreement.

    Args:
        one, other: features, in two images of ``side`` pixels.
        windows: that ground, in each.
        reach: pixels from the edge within which a thing counts as cut off.

    Returns:
        None where neither covers anything there.
    """
    whole, cut = [], []
    for features, window in zip((one, other), windows, strict=True):
        whole.append(mask_of(features, side, side)[window])
        cut.append(mask_of([each for each in features if is_cut(each, side, reach)], side, side)[window])
    if not (whole[0].any() or whole[1].any()):
        return None
    share = disagreement(*whole)
    if share == 0 or not (cut[0].any() or cut[1].any()):
        return share
    rest, free = [], []
    for features, window, elsewhere in zip((one, other), windows, (cut[1], cut[0]), strict=True):
        masks = [mask_of([each], side, side)[window] for each in features if not is_cut(each, side, reach)]
        rest.append(_union(masks, elsewhere.shape))
        free.append(_union([mask for mask in masks if not (mask & elsewhere).any()], elsewhere.shape))
    enough = ENOUGH * min(whole[0].sum(), whole[1].sum())
    if (free[0] | free[1]).sum() > enough:  # neither image cuts these off
        share = min(share, disagreement(*free))
    if (rest[0] | rest[1]).sum() > enough:  # what one cuts off need only be there in it
        share = min(share, disagreement(rest[0] | (rest[1] & whole[0]), rest[1] | (rest[0] & whole[1])))
    return share


def _union(masks: Sequence[Mask], shape: tuple[int, ...]) -> Mask:
    return np.asarray(np.logical_or.reduce(masks)) if masks else np.zeros(shape, bool)
