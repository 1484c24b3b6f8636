"""Tile sources: one file per kind, one string names one source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from playground import registry
from playground.errors import SourceSettingsError
from playground.sources.base import SourceInfo, TileSource, without_secrets

if TYPE_CHECKING:
    from playground.fetching.policy import FetchPolicy

__all__ = ["SOURCES", "SourceInfo", "SourceKind", "TileSource", "kind_of", "open_source"]


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
    "wmts": SourceKind(
        r"wmts:https?://|https?://.*\{TileMatrix\}|https?://[^{#]*WMTSCapabilities\.xml"
        r"|https?://(?=[^{#]*[?&]service=wmts)(?=[^{#]*[?&]request=getcapabilities)[^{#]*",
        "playground.sources.wmts:WMTSSource",
        "wmts:https://maps.example.com/wmts?SERVICE=WMTS&REQUEST=GetCapabilities#layer=imagery",
        "a layer of a WMTS, by its capabilities or a template with {TileMatrix}, {TileRow} and {TileCol}; after # "
        "what to choose: layer, style, matrixset, format, TIME and other dimensions",
    ),
    "xyz": SourceKind(
        r"https?://(?!.*\{TileMatrix\}).*\{.*\}",
        "playground.sources.xyz:XYZSource",
        "https://tiles.example.com/{z}/{x}/{y}.jpg",
        "a tile server; {-y} counts rows from the south, {q} is a quadkey, {s} a subdomain (a, b, c), "
        "{r} is what stands after # at the end, like #@2x",
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
    "directory": SourceKind(
        r"(?!\w+:).*(/|\{(z|q)\}.*)$",
        "playground.sources.directory:DirectorySource",
        "tiles/{z}/{x}/{y}.png",
        "a folder of tiles, like tiles/, or a template of their paths",
    ),
}


def kind_of(text: str) -> str | None:
    """The kind of source that a string names, one of SOURCES; None if it names none."""
    kinds = (name for name, kind in SOURCES.items() if re.match(kind.pattern, text, re.IGNORECASE))
    return next(kinds, None)


def open_source(text: str, policy: FetchPolicy | None = None) -> TileSource:
    """The tile source that a string names.

    Args:
        text: the string.
        policy: what the configuration says about fetching; the source adds its own hosts to it.

    Raises:
        SourceSettingsError: it names none, or one that cannot be read.
    """
    text = text.strip()
    if text and "://" not in text and Path(text).expanduser().is_dir():
        text = text.rstrip("/") + "/"  # so do the patterns know a folder
    kind_name = kind_of(text)
    if kind_name is not None:
        opener = registry.load(SOURCES[kind_name].target)
        source: TileSource = opener(text, policy) if opener.takes_policy else opener(text)
        return source
    possible = ", ".join(kind.example for kind in SOURCES.values())
    hint = f"possible are {possible}; `playground sources` explains each"
    if re.match("https?://", text):
        hint = f"a tile server's address has placeholders, like {SOURCES['xyz'].example}; {hint}"
    raise SourceSettingsError(f"{without_secrets(text)!r} names no tile source", hint)
