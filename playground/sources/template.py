"""Templates of tile addresses: ``{z}/{x}/{y}`` and what else may stand for a tile."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import unquote, urlsplit

import mercantile

from playground.errors import SourceSettingsError
from playground.sources.base import without_secrets

Placeholders = Mapping[str, Callable[[mercantile.Tile], object]]

PLACEHOLDERS: Placeholders = {
    "z": lambda tile: tile.z,
    "x": lambda tile: tile.x,
    "y": lambda tile: tile.y,
    "-y": lambda tile: 2**tile.z - 1 - tile.y,  # rows from the south (TMS)
    "q": mercantile.quadkey,
}


def check_template(template: str, known: Placeholders) -> None:
    """Look whether a template names a tile, by what is known.

    Raises:
        SourceSettingsError: it has another placeholder, or too few of them.
    """
    used = set(re.findall(r"\{([^{}]*)\}", template))
    shown = without_secrets(template)
    if unknown := sorted(used - known.keys()):
        raise SourceSettingsError(f"{shown}: {_listed(unknown)} is not known", f"known are {_listed(known)}")
    if "q" not in used and not ({"z", "x"} <= used and used & {"y", "-y"}):
        raise SourceSettingsError(f"{shown} does not name a tile", "it needs {z}, {x} and {y} (or {-y}), or {q}")


def fill_in(template: str, tile: mercantile.Tile, known: Placeholders) -> str:
    """The address of a tile."""
    pieces = _pieces(template)
    return "".join(f"{known[piece](tile)}" if at % 2 else piece for at, piece in enumerate(pieces))


@functools.lru_cache(256)
def _pieces(template: str) -> list[str]:
    """What stands between the placeholders, and in between their names."""
    return re.split(r"\{([^{}]*)\}", template)


def split_user(address: str) -> tuple[str, str]:
    """``user:password`` ("" where there is none), and the address or template without it."""
    place = urlsplit(address).netloc
    user, _, host = place.rpartition("@")
    return unquote(user), address.replace(place, host, 1) if user else address


def _listed(names: Iterable[str]) -> str:
    return ", ".join("{" + name + "}" for name in names)
