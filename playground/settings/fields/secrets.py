"""Credentials, which nobody may see."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playground.settings.api_keys import is_api_keys
from playground.settings.fields.about import ONE_LINE, about
from playground.settings.kinds import Hidden, Text, is_headers, is_printable, is_secret_line
from playground.settings.secret import Secret


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class SecretFields:
    """Keys of callers, and what the tile server wants to see."""

    api_keys: Secret | None = field(
        default=None,
        metadata=about(
            "API_KEYS",
            Hidden("key or name:key, separated by commas or spaces; a key has 16 signs or more", is_api_keys, False),
            "secret, in the environment only: keys of AUTH api-key; several are valid at once",
        ),
    )
    tiles_headers: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_HEADERS",
            Hidden("lines of Name: value, or a JSON object of texts", is_headers),
            "secret: headers that the tile server wants to see",
        ),
    )
    tiles_basic: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_BASIC",
            Hidden("user:password, on one line", lambda text: text.isprintable() and ":" in text),
            "secret: the user and password of the tile server",
        ),
    )
    tiles_bearer: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_BEARER",
            Hidden("a token: letters, digits and signs, no spaces", is_secret_line),
            "secret: the bearer token of the tile server",
        ),
    )
    tiles_token_url: str | None = field(
        default=None,
        metadata=about(
            "TILES_TOKEN_URL",
            Text("a URL, http or https", lambda text: re.match("https?://", text)),
            "where tokens come from (OAuth 2 client credentials); renewed at half their life",
        ),
    )
    tiles_client_id: str | None = field(
        default=None,
        metadata=about("TILES_CLIENT_ID", Text(ONE_LINE, is_printable), "who asks for tokens"),
    )
    tiles_client_secret: Secret | None = field(
        default=None,
        metadata=about(
            "TILES_CLIENT_SECRET", Hidden(ONE_LINE, is_printable), "secret: what proves who asks for tokens"
        ),
    )
