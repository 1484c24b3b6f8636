"""Tile sources: one file per kind, one string names one source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from playground import registry
from playground.errors import SourceSettingsError
from playground.sources.base import SourceInfo, TileSource, without_secrets

if TYPE_CHECKING:
    from playground.fetching.policy import FetchPolicy

__all__ = ["SOURCES", "SourceInfo", "SourceKind", "TileSource", "open_source"]


class SourceKind(NamedTuple):
    """How a kind of source is recognised, where it lives, and what to tell people about it."""

    pattern: str
    """A regular expression of the strings that name such a source, matched whatever their case."""
    target: str
    """``module:Class``; the class takes the string."""
    example: str
    help: str


# Asked in this order; the first pattern that matches wins.
SOURCES: dict[str, SourceKind] = {
    "xyz": SourceKind(
        r"https?://.*\{.*\}",
        "playground.sources.xyz:XYZSource",
        "https://tiles.example.com/{z}/{x}/{y}.jpg",
        "a tile server; {-y} counts rows from the south, {q} is a quadkey, {s} a subdomain (a, b, c)",
    ),
    "mbtiles": SourceKind(
        r"(?!https?://).*\.mbtiles$",
        "playground.sources.mbtiles:MBTilesSource",
        "imagery.mbtiles",
        "an MBTiles file of pictures",
    ),
    "raster": SourceKind(
        r"((?!\w+://)|(https?|s3|gs)://)[^{}]*\.(tiff?|vrt|jp2|jpx|j2k|img|ntf|ecw)(\?[^{}]*)?$",
        "playground.sources.raster:RasterSource",
        "image.tif",
        "a georeferenced image of GDAL's many kinds, here or behind http(s), s3 or gs; needs tile-playground[raster]",
    ),
    "pmtiles": SourceKind(
        r"((?!\w+://)|https?://)[^{}]*\.pmtiles(\?[^{}]*)?$",
        "playground.sources.pmtiles:PMTilesSource",
        "imagery.pmtiles",
        "a PMTiles file of pictures, here or behind http(s)",
    ),
}


def open_source(text: str, policy: FetchPolicy | None = None) -> TileSource:
    """The tile source that a string names.

    Args:
        text: the string.
        policy: what the configuration says about fetching; the source adds its own hosts to it.

    Raises:
        SourceSettingsError: it names none, or one that cannot be read.
    """
    for kind in SOURCES.values():
        if re.match(kind.pattern, text.strip(), re.IGNORECASE):
            opener = registry.load(kind.target)
            source: TileSource = opener(text.strip(), policy) if opener.takes_policy else opener(text.strip())
            return source
    possible = "; ".join(f"{kind.example} ({kind.help})" for kind in SOURCES.values())
    raise SourceSettingsError(f"{without_secrets(text)!r} names no tile source", f"possible are: {possible}")
