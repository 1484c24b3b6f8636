"""XYZ templates: tiles over HTTP, one address each."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from concurrent.futures import Future
from urllib.parse import unquote, urlsplit

import mercantile

from playground.errors import SourceSettingsError
from playground.fetching.client import open_client
from playground.fetching.credentials import Credentials, basic
from playground.fetching.policy import FetchPolicy
from playground.fetching.tile import fetch_tile, start_tile
from playground.fetching.urls import UrlError
from playground.sources.base import SourceInfo, TileSource, without_secrets

PLACEHOLDERS: dict[str, Callable[[mercantile.Tile], object]] = {
    "z": lambda tile: tile.z,
    "x": lambda tile: tile.x,
    "y": lambda tile: tile.y,
    "-y": lambda tile: 2**tile.z - 1 - tile.y,  # rows from the south (TMS)
    "q": mercantile.quadkey,
    "s": lambda tile: "abc"[(tile.x + tile.y) % 3],  # the same subdomain each time, so that caches on the way work
    "r": lambda tile: "",  # "@2x" where a browser's screen is dense; write it into the template for 512-pixel tiles
}


class XYZSource(TileSource):
    """A tile server, by a template such as ``https://host/{z}/{x}/{y}.jpg``.

    Args:
        text: the template; a user and password in it are sent as Basic credentials.
        policy: what the configuration says about fetching; the template's hosts are added to it.
    """

    takes_policy = True

    def __init__(self, text: str, policy: FetchPolicy | None = None) -> None:
        self._template, self._shown = _checked(text), without_secrets(text)
        policy = policy or FetchPolicy()
        user, self._template = _split_user(self._template)
        if user:
            policy = dataclasses.replace(policy, credentials=Credentials((basic(user),)))
        try:
            # {s} can stand in the host: every host that the template can mean.
            policy = policy.naming(*(_fill_in(self._template, mercantile.Tile(x, 0, 2)) for x in range(3)))
        except UrlError as error:
            raise SourceSettingsError(f"{self._shown} {error}", "write https://host/{z}/{x}/{y}.jpg") from None
        self.policy = policy
        self._client = open_client(policy)

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        return fetch_tile(
            self._client, tile, _fill_in(self._template, tile), deadline, functools.partial(self.url, tile)
        )

    def start(self, tile: mercantile.Tile, deadline: float | None = None) -> Future[bytes]:
        return start_tile(
            self._client, tile, _fill_in(self._template, tile), deadline, functools.partial(self.url, tile)
        )

    def url(self, tile: mercantile.Tile) -> str:
        return _fill_in(self._shown, tile)

    def info(self) -> SourceInfo:
        return SourceInfo(name=urlsplit(self._shown).hostname or self._shown)

    def outcomes(self) -> dict[str, int]:
        return self._client.counts()

    def close(self) -> None:
        self._client.close()


def _checked(template: str) -> str:
    known = ", ".join("{" + name + "}" for name in PLACEHOLDERS)
    used = set(re.findall(r"\{([^{}]*)\}", template))
    shown = without_secrets(template)
    if unknown := sorted(used - PLACEHOLDERS.keys()):
        names = ", ".join("{" + name + "}" for name in unknown)
        raise SourceSettingsError(f"{shown}: {names} is not known", f"known are {known}")
    if "q" not in used and not ({"z", "x"} <= used and used & {"y", "-y"}):
        raise SourceSettingsError(f"{shown} does not name a tile", "it needs {z}, {x} and {y} (or {-y}), or {q}")
    try:
        host = urlsplit(template).hostname
    except ValueError:
        host = None
    if not host:
        raise SourceSettingsError(f"{shown} has no host that can be read", "write https://host/{z}/{x}/{y}.jpg")
    return template


@functools.lru_cache(64)
def _parts(template: str) -> tuple[list[str], list[Callable[[mercantile.Tile], object]]]:
    """The texts of a template, and what stands between them."""
    pieces = re.split(r"\{([^{}]*)\}", template)
    return pieces[::2], [PLACEHOLDERS[name] for name in pieces[1::2]]


def _fill_in(template: str, tile: mercantile.Tile) -> str:
    texts, places = _parts(template)
    return texts[0] + "".join([f"{place(tile)}{text}" for place, text in zip(places, texts[1:], strict=True)])


def _split_user(template: str) -> tuple[str, str]:
    """``user:password`` ("" where there is none), and the template without it."""
    place = urlsplit(template).netloc
    user, _, host = place.rpartition("@")
    return unquote(user), template.replace(place, host, 1) if user else template
