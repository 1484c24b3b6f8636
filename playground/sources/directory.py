"""Folders of tiles: z/x/y files, as slippy-map tools and gdal2tiles write them."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from xml.etree.ElementTree import ParseError

import defusedxml.ElementTree
import mercantile
from defusedxml import DefusedXmlException

from playground import geo, imagery
from playground.errors import SourceSettingsError, TileNotFoundError, TileSourceError
from playground.sources.base import SourceInfo, TileSource, name_of
from playground.sources.template import PLACEHOLDERS, check_template, fill_in

EXTENSIONS = ("png", "jpg", "jpeg", "webp")
"""What a folder's tiles may end with, mixed as they come."""
TMS_FILE = "tilemapresource.xml"
"""gdal2tiles writes it beside tiles in TMS row order, and not beside those of ``--xyz``."""
MAX_COLUMNS = 512
"""Bounds are read from the deepest zoom with at most so many columns: each is a folder to list."""


class DirectorySource(TileSource):
    """The tiles below a folder.

    Args:
        text: the folder, or a template such as ``folder/{z}/{x}/{y}.png``. A template is followed to the letter; a
            folder is ``z/x/y`` with any of EXTENSIONS, rows from the south where TMS_FILE is in it.
    """

    local = True

    def __init__(self, text: str) -> None:
        fixed, brace, rest = text.partition("{")
        if brace:
            check_template(text, PLACEHOLDERS)
            fixed, _, start = fixed.rpartition("/")
            self._templates = [start + brace + rest]
            fixed = fixed or ("/" if text.startswith("/") else ".")
        self._root = Path(fixed).expanduser()
        if not self._root.is_dir():
            raise SourceSettingsError(f"there is no folder {self._root}", "give a folder of z/x/y tiles")
        self._name = self._root.resolve().name
        if not brace:
            row = "{-y}" if _counts_from_the_south(self._root) else "{y}"
            self._templates = [f"{{z}}/{{x}}/{row}.{extension}" for extension in EXTENSIONS]
            if not _numbers(self._root):
                raise SourceSettingsError(
                    f"{self._root} holds no tiles: it has no folders named by zoom",
                    "tiles are files such as 3/4/2.png below it; name another layout by a template, "
                    "like folder/{z}/{x}/{y}.png",
                )

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        for template in self._templates:
            try:
                with open(f"{self._root}/{fill_in(template, tile, PLACEHOLDERS)}", "rb", buffering=0) as file:
                    data = file.read()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise TileSourceError(f"{self._name}, tile {name_of(tile)}: {error.strerror}") from error
            if data:
                return data
        raise TileNotFoundError(f"{self._name} has no tile {name_of(tile)}")

    def url(self, tile: mercantile.Tile) -> str:
        return f"directory://{self._name}/{name_of(tile)}"

    def info(self) -> SourceInfo:
        return self._info

    @cached_property
    def _info(self) -> SourceInfo:
        if not all(re.fullmatch(r"\{z\}/\{x\}/\{-?y\}\.\w+", template) for template in self._templates):
            return SourceInfo(self._name)
        zooms = [zoom for zoom in _numbers(self._root) if zoom <= geo.MAX_ZOOM]
        columns = {zoom: _numbers(self._root / str(zoom)) for zoom in zooms}
        listed = [zoom for zoom in zooms if 0 < len(columns[zoom]) <= MAX_COLUMNS]
        found = [tile for zoom in listed[-1:] for tile in self._tiles(zoom, columns[zoom])]
        return SourceInfo(
            self._name,
            minzoom=min(zooms, default=None),
            maxzoom=max(zooms, default=None),
            bounds=_bounds(found),
            format=imagery.image_format(self.fetch(found[0])) if found else None,
        )

    def _tiles(self, zoom: int, columns: list[int]) -> list[mercantile.Tile]:
        """The southern and northern end of each column, for these are what bounds need."""
        from_south = self._templates[0].rpartition("/")[2].startswith("{-y}")
        endings = tuple(template.rpartition(".")[2] for template in self._templates)
        tiles = []
        for x in columns:
            names = (name.partition(".") for name in os.listdir(self._root / str(zoom) / str(x)))
            rows = sorted(int(stem) for stem, _, ending in names if stem.isdecimal() and ending in endings)
            ends = {2**zoom - 1 - y if from_south else y for y in rows[:1] + rows[-1:]}
            tiles += [mercantile.Tile(x, y, zoom) for y in sorted(ends) if 0 <= y < 2**zoom and x < 2**zoom]
        return tiles


def _counts_from_the_south(root: Path) -> bool:
    """Whether TMS_FILE says so, by being there.

    Raises:
        SourceSettingsError: it is no XML, or the tiles are not in web mercator.
    """
    path = root / TMS_FILE
    if not path.is_file():
        return False
    try:
        tree = defusedxml.ElementTree.fromstring(path.read_bytes())
    except (ParseError, DefusedXmlException, ValueError, OSError) as error:
        raise SourceSettingsError(
            f"{path} cannot be read: {error}", "mend it, or say the rows with folder/{z}/{x}/{-y}.png"
        ) from error
    sets = tree.find("TileSets")
    profile = "" if sets is None else sets.get("profile", "")
    if profile and profile.removeprefix("global-") != "mercator":
        raise SourceSettingsError(
            f"{path}: the tiles have the profile {profile}, not mercator", "cut them anew in web mercator (EPSG:3857)"
        )
    return True


def _numbers(folder: Path) -> list[int]:
    """The folders below that are named by a number, in order."""
    try:
        return sorted(int(each.name) for each in os.scandir(folder) if each.name.isdecimal() and each.is_dir())
    except OSError as error:
        raise SourceSettingsError(f"{folder} cannot be read: {error.strerror}") from error


def _bounds(tiles: list[mercantile.Tile]) -> tuple[float, float, float, float] | None:
    """(west, south, east, north) of tiles of one zoom, degrees."""
    if not tiles:
        return None
    boxes = [geo.bounds(tile) for tile in tiles]
    west, south = (min(box[side] for box in boxes) for side in (0, 1))
    east, north = (max(box[side] for box in boxes) for side in (2, 3))
    return (west, south, east, north)
