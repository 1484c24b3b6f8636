"""Nine tiles to one padded image: which neighbours there are, and how their pixels are joined. No input, no output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import mercantile
import numpy as np

from playground.imagery import Mask, Pixels

Fill = Literal["reflect", "edge", "nodata"]
FILLS: tuple[str, ...] = get_args(Fill)
PLACES = ("NW", "N", "NE", "W", "C", "E", "SW", "S", "SE")
"""The nine places of a mosaic, row by row from the north-west; C is the centre."""
CENTRE = 4
Span3 = tuple[slice, slice, slice]


def neighbourhood(tile: mercantile.Tile) -> tuple[mercantile.Tile | None, ...]:
    """The 3 x 3 tiles around a tile, in the order of PLACES; None beyond the map's top and bottom.

    x wraps at the antimeridian, which mercantile.neighbors does not do: at zoom 0 a tile is its own west and east
    neighbour, at zoom 1 both are the same tile.
    """
    count = 2**tile.z
    return tuple(
        mercantile.Tile((tile.x + column) % count, tile.y + row, tile.z) if 0 <= tile.y + row < count else None
        for row in (-1, 0, 1)
        for column in (-1, 0, 1)
    )


def neighbourhoods(tiles: Iterable[mercantile.Tile]) -> list[mercantile.Tile]:
    """All tiles of the neighbourhoods of many, each once, column by column as far as the tiles are so."""
    columns: dict[tuple[int, int], dict[int, None]] = {}
    for x, y, z in tiles:
        count = 2**z
        rows = [row for row in (y - 1, y, y + 1) if 0 <= row < count]
        for column in (x, (x - 1) % count, (x + 1) % count):
            columns.setdefault((z, column), {}).update(dict.fromkeys(rows))
    return [mercantile.Tile._make((x, y, z)) for (z, x), rows in columns.items() for y in rows]


def valid_pixels(present: Sequence[bool], size: int, padding: int) -> Mask:
    """Where a padded image shows imagery.

    Args:
        present: for each of PLACES, whether there is imagery.
        size: pixels along a side of the tile without its padding.
        padding: pixels on each side.

    Returns:
        (size + 2 * padding, size + 2 * padding) booleans.
    """
    sides = (padding, size, padding)
    return np.repeat(np.repeat(np.reshape(present, (3, 3)), sides, axis=0), sides, axis=1)


def stitch(images: Sequence[Pixels | None], padding: int, fill: Fill = "reflect") -> Pixels:
    """Join 3 x 3 neighbours into one padded image.

    What is missing is filled. ``reflect`` mirrors the imagery at its outermost edge, the edge pixel twice, so that
    there is no seam (numpy's pad mode "symmetric"); ``edge`` repeats the outermost pixel; ``nodata`` leaves zeros.
    A missing side (N, S, W, E) is filled from the centre. A missing corner is filled from W or E if one is there
    (beyond the map's top and bottom that is what mirroring the whole level would give), else from N or S.

    Args:
        images: nine (H, H, bands) arrays of one shape and type, in the order of PLACES; None where there is no
            imagery, never for the centre. Those that the padding does not touch are not looked at.
        padding: pixels kept on each side, 0 to H.
        fill: how missing pixels are made up.

    Returns:
        (H + 2 * padding, H + 2 * padding, bands).
    """
    centre = images[CENTRE]
    if centre is None:
        raise ValueError("there is no padded image without its centre")
    size, _, bands = centre.shape
    if not 0 <= padding <= size:
        raise ValueError(f"padding is {padding}; neighbours give 0 to {size} pixels")
    if padding == 0:
        return centre
    out = np.zeros((size + 2 * padding, size + 2 * padding, bands), centre.dtype)
    into, of = spans(size, padding)
    for place, image in enumerate(images):
        if image is not None:
            row, column = divmod(place, 3)
            out[into[row], into[column]] = image[of[row], of[column]]
    fill_missing(out, [image is not None for image in images], padding, fill)
    return out


def spans(size: int, padding: int) -> tuple[Span3, Span3]:
    """Three spans of rows (or columns) of a padded image, and which rows of the neighbour there they show.

    Args:
        size: pixels along a side of a tile.
        padding: pixels on each side.
    """
    far = size + padding
    into = (slice(0, padding), slice(padding, far), slice(far, far + padding))
    return into, (slice(size - padding, size), slice(0, size), slice(0, padding))


def split(padded: Pixels | Mask, padding: int) -> list[Pixels | Mask]:
    """The nine parts of a padded image, as views, in the order of PLACES; padding is more than 0."""
    into, _ = spans(padded.shape[0] - 2 * padding, padding)
    return [padded[rows, columns] for rows in into for columns in into]


def fill_missing(out: Pixels, present: list[bool], padding: int, fill: Fill) -> None:
    """Make up the missing ones of the nine parts of a padded image, in place, as ``stitch`` says."""
    if fill != "nodata" and padding:
        _fill(out, spans(out.shape[0] - 2 * padding, padding)[0], present, fill)


def _fill(out: Pixels, into: Span3, present: list[bool], fill: Fill) -> None:
    """Make up the missing parts of a padded image, in place: first the sides, then the corners from them."""
    padding = into[0].stop
    beside = (slice(padding, 2 * padding), into[1], slice(into[2].start - padding, into[2].start))
    last = (slice(padding, padding + 1), into[1], slice(into[2].start - 1, into[2].start))
    source = beside if fill == "reflect" else last
    step = -1 if fill == "reflect" else 1
    for place in (1, 3, 5, 7, 0, 2, 6, 8):
        row, column = divmod(place, 3)
        if present[place]:
            continue
        corner = row != 1 and column != 1
        down = (present[3 + column] or not present[3 * row + 1]) if corner else column == 1
        if down:
            out[into[row], into[column]] = out[source[row], into[column]][::step]
        else:
            out[into[row], into[column]] = out[into[row], source[column]][:, ::step]
