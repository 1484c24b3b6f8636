"""XYZ templates: tiles over HTTP, one address each."""

from __future__ import annotations

import dataclasses
import functools
import re
from concurrent.futures import Future
from urllib.parse import urlsplit

import mercantile

from playground.errors import SourceSettingsError
from playground.fetching.client import open_client
from playground.fetching.credentials import Credentials, basic
from playground.fetching.policy import FetchPolicy
from playground.fetching.tile import fetch_tile, start_tile
from playground.fetching.urls import UrlError
from playground.sources import template
from playground.sources.base import SourceInfo, TileSource, without_secrets
from playground.sources.template import Placeholders

_DENSE = re.compile(r"#(@[1-9]x)$")
"""At a template's end: what {r} is. A fragment is never part of what a server is asked for."""

PLACEHOLDERS: Placeholders = {
    **template.PLACEHOLDERS,
    "s": lambda tile: "abc"[(tile.x + tile.y) % 3],  # the same subdomain each time, so that caches on the way work
    "r": lambda tile: "",
}


class XYZSource(TileSource):
    """A tile server, by a template such as ``https://host/{z}/{x}/{y}.jpg``.

    Args:
        text: the template; a user and password in it are sent as Basic credentials. {r} is nothing, or what stands
            after # at the end: ``…/{y}{r}.png#@2x`` for tiles of 512 pixels.
        policy: what the configuration says about fetching; the template's hosts are added to it.
    """

    takes_policy = True

    def __init__(self, text: str, policy: FetchPolicy | None = None) -> None:
        self._template = _checked(text)
        self._shown = without_secrets(self._template)
        policy = policy or FetchPolicy()
        user, self._template = template.split_user(self._template)
        if user:
            policy = dataclasses.replace(policy, credentials=Credentials((basic(user),)))
        try:
            # {s} can stand in the host: every host that the template can mean.
            policy = policy.naming(*(self._address(mercantile.Tile(x, 0, 2)) for x in range(3)))
        except UrlError as error:
            raise SourceSettingsError(f"{self._shown} {error}", "write https://host/{z}/{x}/{y}.jpg") from None
        self.policy = policy
        self._client = open_client(policy)

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        return fetch_tile(self._client, tile, self._address(tile), deadline, functools.partial(self.url, tile))

    def start(self, tile: mercantile.Tile, deadline: float | None = None) -> Future[bytes]:
        return start_tile(self._client, tile, self._address(tile), deadline, functools.partial(self.url, tile))

    def url(self, tile: mercantile.Tile) -> str:
        return template.fill_in(self._shown, tile, PLACEHOLDERS)

    def info(self) -> SourceInfo:
        return SourceInfo(name=urlsplit(self._shown).hostname or self._shown)

    def _address(self, tile: mercantile.Tile) -> str:
        return template.fill_in(self._template, tile, PLACEHOLDERS)

    def outcomes(self) -> dict[str, int]:
        return self._client.counts()

    def close(self) -> None:
        self._client.close()


def _checked(text: str) -> str:
    """The template, with {r} filled in.

    Raises:
        SourceSettingsError: it names no tile, or no host.
    """
    dense = _DENSE.search(text)
    if dense and "{r}" not in text:
        raise SourceSettingsError(
            f"{without_secrets(text)} has no {{r}} that could be {dense[1]}",
            "write {r} where it belongs: …/{y}{r}.png#@2x",
        )
    text = text[: dense.start()].replace("{r}", dense[1]) if dense else text
    template.check_template(text, PLACEHOLDERS)
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise SourceSettingsError(
            f"{without_secrets(text)} has no host that can be read", "write https://host/{z}/{x}/{y}.jpg"
        )
    return text
