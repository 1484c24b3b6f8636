"""XYZ templates: tiles over HTTP, one address each."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import mercantile

from playground.errors import SourceSettingsError
from playground.sources import template
from playground.sources.base import SourceInfo, TileSource, without_secrets
from playground.sources.http import HTTPFetcher
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
        text: the template. {r} is nothing, or what stands after # at the end: ``…/{y}{r}.png#@2x`` for tiles of 512.
        attempts: tries for one tile where a retry may help: 429, 5xx, timeouts, broken connections.
        backoff_seconds: the first pause; each next one is twice as long, give or take half.
    """

    def __init__(self, text: str, attempts: int = 4, backoff_seconds: float = 0.25) -> None:
        self._template = _checked(text)
        self._shown = without_secrets(self._template)
        self._fetcher = HTTPFetcher(attempts, backoff_seconds)

    def fetch(self, tile: mercantile.Tile, deadline: float | None = None) -> bytes:
        address = template.fill_in(self._template, tile, PLACEHOLDERS)
        return self._fetcher.get(address, self.url(tile), deadline)

    def url(self, tile: mercantile.Tile) -> str:
        return template.fill_in(self._shown, tile, PLACEHOLDERS)

    def info(self) -> SourceInfo:
        return SourceInfo(name=urlsplit(self._shown).hostname or self._shown)

    def close(self) -> None:
        self._fetcher.close()


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
