"""What came, as a map tile: a picture, no imagery here, or a failure that says what came instead."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

import mercantile
from PIL import Image

from playground import imagery
from playground.errors import FetchRefusedError, ImageError, TileNotFoundError, TileSourceError, UrlRefusedError
from playground.fetching.client import FETCH_SECONDS, Client, wait_for
from playground.fetching.policy import check_request_url
from playground.fetching.urls import without_secrets

if TYPE_CHECKING:
    from playground.fetching.request import Fetched

MAX_BYTES = 16 * 2**20
"""A larger answer is no tile."""
MAX_PIXELS = 2048 * 2048
"""A tile with more is refused before it is decoded."""
BLANK_BYTES = 4096
"""Pictures up to this size are looked at: wholly transparent ones stand for missing imagery."""

Explain = Callable[[bytes], TileNotFoundError | TileSourceError | None]
"""What the body of an answer that is no tile means to those who know the server's language; None if nothing."""


def fetch_tile(
    client: Client, tile: mercantile.Tile, url: str, deadline: float | None, shown: Callable[[], str] | None = None
) -> bytes:
    """An encoded tile, waited for.

    Args:
        client: allowed to fetch from there.
        tile: x, y, z, for messages.
        url: its address.
        deadline: see ``Client.get``.
        shown: gives the address for messages, without secrets.

    Raises:
        TileNotFoundError: 404, 410, 204, an empty answer or a wholly transparent picture.
        TileSourceError, TileTimeoutError: as ``Client.get``; or what came is no whole picture of a tile's size.
    """
    deadline = time.monotonic() + FETCH_SECONDS if deadline is None else deadline
    future = start_tile(client, tile, url, deadline, shown)
    return wait_for(future, deadline, shown or functools.partial(without_secrets, url))


def start_tile(
    client: Client,
    tile: mercantile.Tile,
    url: str,
    deadline: float | None,
    shown: Callable[[], str] | None = None,
    *,
    explain: Explain | None = None,
) -> Future[bytes]:
    """Begin to fetch an encoded tile: as ``fetch_tile``, without waiting."""
    where = shown or functools.partial(without_secrets, url)

    def read(fetched: Fetched) -> bytes:
        try:
            data = read_tile(fetched, tile, where)
        except _Judgement as judgement:
            client.count(judgement.kind)
            raise (explain(fetched.body) if explain else None) or judgement.error from None
        client.count("ok")
        return data

    return client.start(url, deadline=deadline, max_bytes=MAX_BYTES, shown=where, read=read)


def fetch_image(client: Client, url: str, deadline: float | None, max_bytes: int) -> bytes:
    """The bytes at an address that a caller named; whether they are an image is another question.

    Raises:
        UrlRefusedError: the address, or where it leads to, is not allowed.
        TileNotFoundError: there is nothing.
        TileSourceError, TileTimeoutError: the server failed, or refuses us.
    """
    check_request_url(client.policy, url)
    where = without_secrets(url)
    try:
        fetched = client.get(url, deadline=deadline, max_bytes=max_bytes)
    except FetchRefusedError as error:
        raise UrlRefusedError(error.message, error.hint) from error
    if fetched.status in (204, 404, 410) or (fetched.status == 200 and not fetched.body):
        raise TileNotFoundError(f"{where}: there is nothing ({fetched.status})", "is the address right?")
    if fetched.status != 200:
        raise TileSourceError(f"{where}: its server answers {fetched.status}", "is the address right?")
    return fetched.body


class _Judgement(Exception):  # noqa: N818 - carries an error, is none
    def __init__(self, kind: str, error: TileNotFoundError | TileSourceError) -> None:
        super().__init__(kind)
        self.kind = kind
        self.error = error


def read_tile(fetched: Fetched, tile: mercantile.Tile, where: Callable[[], str]) -> bytes:
    """The picture in an answer. Many servers say 200 to everything: what came decides."""
    status, data = fetched.status, fetched.body
    name = f"{tile.z}/{tile.x}/{tile.y}"
    if status in (204, 404, 410):
        raise _Judgement("missing", TileNotFoundError(f"{where()}: no imagery at {name} ({status})"))
    if status in (401, 403):
        words = f"{where()}: the tile server refuses us ({status})"
        raise _Judgement("unauthorized", TileSourceError(words, "it wants credentials, or other ones"))
    if status != 200:
        words = f"{where()}: the tile server answers {status}"
        raise _Judgement("failed", TileSourceError(words, "is the address right?"))
    if not data:
        raise _Judgement("missing", TileNotFoundError(f"{where()}: no imagery at {name} (an empty answer)"))
    if imagery.image_format(data) is None:
        what = imagery.describe(data)
        kind = {"an HTML page": "html", "a JSON document": "json"}.get(what, "wrong_type")
        words = f"{where()}: not an image but {what} (Content-Type {fetched.headers.get('content-type', 'of no type')})"
        raise _Judgement(kind, TileSourceError(words, "open the address in a browser"))
    _check_picture(data, where)
    if _is_blank(data):
        raise _Judgement("blank", TileNotFoundError(f"{where()}: no imagery at {name} (a transparent picture)"))
    return data


def _check_picture(data: bytes, where: Callable[[], str]) -> None:
    try:
        width, height = imagery.image_size(data)
        if width * height <= MAX_PIXELS:
            imagery.check_whole(data)
            return
    except ImageError as error:
        kind = "oversized" if isinstance(error.__cause__, Image.DecompressionBombError) else "truncated"
        raise _Judgement(kind, TileSourceError(f"{where()}: {error.message}")) from error
    words = f"{where()}: a picture of {width} x {height} pixels is too large"
    raise _Judgement("oversized", TileSourceError(words, f"a tile has at most {MAX_PIXELS} pixels"))


def _is_blank(data: bytes) -> bool:
    if len(data) > BLANK_BYTES or data.startswith(b"\xff\xd8"):
        return False
    try:
        pixels = imagery.decode(data)
    except ImageError:
        return False  # broken; whoever decodes it says how
    return pixels.shape[2] == 4 and not pixels[..., 3].any()
