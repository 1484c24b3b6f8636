"""Who may ask, in the words of OpenAPI."""

from __future__ import annotations

from typing import Any

from playground.serving.guard import is_open
from playground.settings import RunningSettings

BEARER = {"type": "http", "scheme": "bearer"}
SCHEMES: dict[str, dict[str, dict[str, str]]] = {
    "none": {},
    "api-key": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}, "bearer": BEARER},
    "bearer-jwt": {"token": BEARER | {"bearerFormat": "JWT"}},
    "iap": {"iap": {"type": "apiKey", "in": "header", "name": "X-Goog-IAP-JWT-Assertion"}},
}
"""By AUTH; any one of several will do."""


def schemes(settings: RunningSettings) -> dict[str, dict[str, str]]:
    """What a caller may send to be let in; empty where nobody is asked."""
    return SCHEMES[settings.auth or "none"]


def refusals(settings: RunningSettings, endpoint: str) -> tuple[int, ...]:
    """The statuses of those who are not let in."""
    if is_open(endpoint):
        return ()
    asked = (401, 403, 503) if settings.auth in ("bearer-jwt", "iap") else (401,) if schemes(settings) else ()
    return (*asked, 429) if settings.rate_limit else asked


def security(settings: RunningSettings, endpoint: str) -> list[dict[str, Any]]:
    """The security requirement of an endpoint."""
    return [] if is_open(endpoint) else [{name: []} for name in schemes(settings)]
