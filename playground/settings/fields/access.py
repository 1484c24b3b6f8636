"""Who may use the service, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.settings.api_keys import is_key_hashes
from playground.settings.fields.about import ONE_LINE, about
from playground.settings.kinds import Choice, Text, Whole, is_keys_url, is_printable, is_rate


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class AccessFields:
    """Keys, tokens and rates."""

    auth: str | None = field(
        default=None,
        metadata=about(
            "AUTH",
            Choice(("none", "api-key", "bearer-jwt", "iap")),
            "who may use the service; a service that is told nothing does not start, and none lets everybody in",
        ),
    )
    api_keys_file: str | None = field(
        default=None,
        metadata=about(
            "API_KEYS_FILE",
            Text(ONE_LINE, is_printable),
            "AUTH api-key: a file of keys, each key or name:key, a line each; read again when it changes",
        ),
    )
    api_key_hashes: str | None = field(
        default=None,
        metadata=about(
            "API_KEY_HASHES",
            Text("name:HASH or HASH, separated by commas; HASH is the SHA-256 of a key, 64 hex digits", is_key_hashes),
            "AUTH api-key: hashes of keys, which are no secret",
        ),
    )
    jwks_url: str | None = field(
        default=None,
        metadata=about(
            "JWKS_URL",
            Text("an https URL; http only for localhost", is_keys_url),
            "AUTH bearer-jwt: where the issuer's public keys are",
        ),
    )
    jwt_issuer: str | None = field(
        default=None,
        metadata=about("JWT_ISSUER", Text(ONE_LINE, is_printable), "AUTH bearer-jwt: who must have issued a token"),
    )
    jwt_audience: str | None = field(
        default=None,
        metadata=about(
            "JWT_AUDIENCE", Text(ONE_LINE, is_printable), "AUTH bearer-jwt: for whom a token must have been issued"
        ),
    )
    jwt_scope: str | None = field(
        default=None,
        metadata=about(
            "JWT_SCOPE",
            Text("words separated by spaces", is_printable),
            "AUTH bearer-jwt: scopes that tokens must have",
        ),
    )
    iap_audience: str | None = field(
        default=None,
        metadata=about(
            "IAP_AUDIENCE",
            Text("/projects/NUMBER/apps/PROJECT, or /projects/NUMBER/global/backendServices/ID", is_printable),
            "AUTH iap: for whom Google's Identity-Aware Proxy signs",
        ),
    )
    iap_keys_url: str = field(
        default="https://www.gstatic.com/iap/verify/public_key-jwk",
        metadata=about(
            "IAP_KEYS_URL",
            Text("an https URL; http only for localhost", is_keys_url),
            "AUTH iap: where the proxy's public keys are",
        ),
    )
    rate_limit: str | None = field(
        default=None,
        metadata=about(
            "rate_limit",
            Text("a number per second, minute, hour or day, like 100/minute", is_rate),
            "requests of one caller, or of one address where AUTH is none; the next gets 429",
        ),
    )
    proxies: int = field(
        default=0,
        metadata=about(
            "proxies",
            Whole(0, 9),
            "proxies in front that add an address to X-Forwarded-For; the client's is read there for rate_limit",
        ),
    )
