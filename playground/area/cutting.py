"""What is found in tiles, sorted by whose it is: many tiles at once cost a fraction of one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

import mercantile
import numpy as np

from playground import answers
from playground.area.crossing import parts_of
from playground.area.found import Found
from playground.area.parts import Feature, Pieces, names_of
from playground.area.world import UNITS
from playground.formats.features import FEATURE, SEPARATOR


class Seen(NamedTuple):
    """What was found in the image of one tile.

    Attributes:
        features: valid features in pixels of the padded image, as ``answers.normalize`` gives them, plain lists.
        missing: neighbours without imagery, of NW N NE W E SW S SE: what is seen there is made up.
    """

    tile: mercantile.Tile
    features: list[Feature]
    missing: Iterable[str] = ()


def cut(features: list[Feature], tile: mercantile.Tile, size: int, padding: int, missing: Iterable[str] = ()) -> Pieces:
    """Sort a tile's features by whose they are: ``cut_all`` for one tile."""
    return cut_all([Seen(tile, features, missing)], size, padding)[0]


def cut_all(seen: Sequence[Seen], size: int, padding: int) -> list[Pieces]:
    """Sort the features of tiles by whose they are.

    Args:
        seen: the tiles, all of one zoom.
        size: pixels along a tile's side.
        padding: pixels added on each side.
    """
    placed = answers.placed_of(list(chain.from_iterable(each.features for each in seen)))
    ends = np.cumsum([len(each.features) for each in seen], dtype=np.int64).tolist()
    return _cut(placed, ends, [each.tile for each in seen], [each.missing for each in seen], size=size, padding=padding)


def cut_answers(
    given: Sequence[Sequence[Any]],
    tiles: Sequence[mercantile.Tile],
    missing: Sequence[Iterable[str]],
    size: int,
    padding: int,
    *,
    options: answers.Options,
) -> list[tuple[Pieces, dict[str, Any]]]:
    """What tiles give of all that a predictor found in their images, and the report of each answer.

    Args:
        given: of each tile, the features as ``answers.normalize`` takes them, in pixels of the padded image.
        tiles: all of one zoom.
        missing: of each, neighbours without imagery.
        size: pixels along a tile's side.
        padding: pixels added on each side.
        options: what the configuration asks for.
    """
    found = answers.place_all(given, answers.Frame(None, size, padding), options)
    return list(
        zip(_cut(found.placed, found.ends, tiles, missing, size=size, padding=padding), found.reports, strict=True)
    )


def _cut(
    placed: answers.Placed,
    ends: list[int],
    tiles: Sequence[mercantile.Tile],
    missing: Sequence[Iterable[str]],
    *,
    size: int,
    padding: int,
) -> list[Pieces]:
    cuts = [Pieces(size) for _ in tiles]
    if not len(placed.kept):
        return cuts
    found = Found(placed, ends, size, padding)
    bounds = found.bounds
    inside = np.all((bounds > 0) & (bounds < UNITS), axis=1)
    centred = np.all(np.floor((bounds[:, :2] + bounds[:, 2:]) / 2 / UNITS) == 0, axis=1)
    # Points and mixtures of kinds are nobody's half: they are where their middle is.
    loose = ~inside & found.loose
    features, geometries, properties = found.finished(inside | (loose & centred), tiles)
    names = names_of(tiles, found.images[features].tolist(), found.indices[features].tolist())
    counts = np.bincount(found.images[features], minlength=len(tiles)).tolist()
    own = map(FEATURE.__mod__, zip(geometries, properties, names, strict=True))
    for pieces, count in zip(cuts, counts, strict=True):
        pieces.inside, pieces.count = SEPARATOR.join(islice(own, count)), count
    # What only touches the core has nothing in it, but for lines, which may run along its edge.
    apart = (bounds[:, 2:] < 0) | (bounds[:, :2] > UNITS)
    apart |= ((bounds[:, 2:] == 0) | (bounds[:, :2] == UNITS)) & found.areal[:, None]
    beyond = ~inside & np.where(loose, ~centred, apart.any(axis=1))
    for image, count in enumerate(np.bincount(found.images[beyond], minlength=len(cuts)).tolist()):
        cuts[image].beyond = count
    crossing = ~inside & ~loose & ~beyond
    if crossing.any():
        for image, part in parts_of(found, crossing, tiles, missing, padding * UNITS / size):
            if part is None:
                cuts[image].beyond += 1
            else:
                cuts[image].parts.append(part)
    return cuts
