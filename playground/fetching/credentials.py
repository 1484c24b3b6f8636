"""What a tile server wants to see before it answers. Secrets come from the environment and are shown nowhere."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING

from playground.errors import SettingsError
from playground.fetching.urls import UrlError, parse_url
from playground.settings.secret import Secret, read_headers

if TYPE_CHECKING:
    from playground.settings import RunningSettings


@dataclasses.dataclass(frozen=True)
class TokenEndpoint:
    """Where OAuth 2 client credentials become a token."""

    url: str
    client_id: str
    client_secret: Secret


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Headers that never change, and the endpoint that gives a bearer token, if there is one."""

    headers: tuple[tuple[str, Secret], ...] = ()
    token: TokenEndpoint | None = None


def basic(user_and_password: str) -> tuple[str, Secret]:
    """The header of ``user:password``."""
    return "Authorization", Secret("Basic " + base64.b64encode(user_and_password.encode()).decode())


def read_credentials(settings: RunningSettings) -> Credentials | None:
    """The credentials of TILES; None where none are set.

    Raises:
        SettingsError: two kinds at once, or a part of one.
    """
    headers = list(read_headers(settings.tiles_headers.reveal()).items()) if settings.tiles_headers else []
    kinds = [f"TILES_HEADERS ({name})" for name, _ in headers if name.lower() == "authorization"]
    found = [(name, Secret(value)) for name, value in headers]
    if settings.tiles_basic:
        kinds.append("TILES_BASIC")
        found.append(basic(settings.tiles_basic.reveal()))
    if settings.tiles_bearer:
        kinds.append("TILES_BEARER")
        found.append(("Authorization", Secret("Bearer " + settings.tiles_bearer.reveal())))
    token = _token_endpoint(settings)
    if token:
        kinds.append("TILES_TOKEN_URL")
    if len(kinds) > 1:
        raise SettingsError(f"{' and '.join(kinds)} exclude each other", "set one of them")
    return Credentials(tuple(found), token) if found or token else None


def _token_endpoint(settings: RunningSettings) -> TokenEndpoint | None:
    url, client_id, client_secret = settings.tiles_token_url, settings.tiles_client_id, settings.tiles_client_secret
    if not (url or client_id or client_secret):
        return None
    if not (url and client_id and client_secret):
        raise SettingsError(
            "of TILES_TOKEN_URL, TILES_CLIENT_ID and TILES_CLIENT_SECRET only some are set", "set all three, or none"
        )
    try:
        parse_url(url)
    except UrlError as error:
        raise SettingsError(f"TILES_TOKEN_URL {error}") from None
    return TokenEndpoint(url, client_id, client_secret)
