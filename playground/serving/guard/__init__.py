"""Who may use the service: one file a kind of credentials, and the order in which a request is looked at.

Health stays open, so that load balancers need no key. Everything else, pages that do not exist included, is refused
before anything of the request is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from flask import Flask, Response, current_app, request
from werkzeug.datastructures import Headers

from playground.errors import AccessError, SettingsError, UnauthenticatedError
from playground.registry import load
from playground.serving import headers, metrics_folder
from playground.serving.calls import Call, call
from playground.serving.guard.callers import caller, remember
from playground.serving.negotiation import wants_html
from playground.serving.rate_limit import RateLimit, client_address
from playground.settings import RunningSettings
from playground.settings.kinds import read_rate

__all__ = ["GUARDS", "Guard", "caller", "check", "install", "is_admitted", "is_open"]

GUARDS = {
    "none": "playground.serving.guard.nobody:NoGuard",
    "api-key": "playground.serving.guard.api_key:ApiKeyGuard",
    "bearer-jwt": "playground.serving.guard.bearer_jwt:BearerJwtGuard",
    "iap": "playground.serving.guard.iap:IapGuard",
}
"""The values of AUTH."""

OPEN = {"health.alive", "health.ready", "describe.health"}
"""Endpoints that ask nobody who he is, and are never limited."""

SHELLS = ("pages.developer_page", "pages.static_file")
"""Nor do the files of the pages, of each predictor's: they are the same for everybody, and hold nothing of a service.
What they show they ask for, with the credentials that are typed into them."""
FRONT_PAGE = "pages.front_page"
"""A page for browsers; what it is for other clients is for those who may use the service."""


NOT_KEPT = ("Cache-Control", "no-store")
"""Of answers to callers that are known, where their view says nothing of caches."""


class Guard(Protocol):
    """Decides who may use the service. Made from the settings; raises SettingsError if they are not enough."""

    challenge: str
    """What a refused caller is asked for: WWW-Authenticate."""

    def admit(self, given: Headers) -> str:
        """The caller's name, from a request's headers; empty where nobody is asked.

        Raises:
            UnauthenticatedError: no credentials, or not valid ones.
            ForbiddenError: valid ones that are not enough.
            KeysUnavailableError: it cannot be told now.
        """


def check(settings: RunningSettings) -> Guard:
    """The guard of AUTH.

    Raises:
        SettingsError: AUTH is missing, or what it needs is.
    """
    if settings.auth is None:
        words = "AUTH: missing, needed: one of " + ", ".join(GUARDS)
        raise SettingsError(f"{words}; AUTH: none, in words, lets everybody in")
    guard: Guard = load(GUARDS[settings.auth])(settings)
    return guard


def install(app: Flask, settings: RunningSettings) -> Callable[[Call, Headers], None]:
    """Look at every request before anything else is done with it, and at every response before it leaves.

    Returns:
        What lets a request in, from what is known of it and its headers, or raises as ``Guard.admit`` does.

    Raises:
        SettingsError: see ``check``.
    """
    guard = check(settings)
    limit = _rate_limit(settings)
    headers.install(app)

    if limit:
        headers.tell(app, limit.told)

    def let_in(known: Call, given: Headers) -> None:
        try:
            name = guard.admit(given)
        except UnauthenticatedError:
            if limit:
                # Of its own count: who guesses keys behind an address takes nothing from those who have one there.
                limit.take(f"refused {client_address(known.environ, settings.proxies)}", known)
            raise
        remember(name)
        if limit:
            limit.take(
                f"caller {name}" if name else f"address {client_address(known.environ, settings.proxies)}", known
            )
        known.admitted = True

    @app.before_request
    def admit() -> None:
        known = call()
        if not (known.admitted or _is_open() or _is_preflight()):
            let_in(known, request.headers)

    @app.after_request
    def finish(response: Response) -> Response:
        if response.status_code == 401 and guard.challenge:
            response.headers["WWW-Authenticate"] = guard.challenge
        if settings.auth != "none" and not _is_open():
            _keep_private(response)
        return response

    app.extensions["playground.guard"] = guard
    return let_in


def is_admitted() -> bool:
    """Whether the current request would be let in elsewhere: open endpoints show details only to those."""
    guard: Guard = current_app.extensions["playground.guard"]
    try:
        guard.admit(request.headers)
    except AccessError:
        return False
    return True


def is_open(endpoint: str) -> bool:
    """Whether an endpoint asks nobody who he is, whatever the request."""
    return endpoint in OPEN or endpoint.endswith(SHELLS)


def _is_open() -> bool:
    endpoint = request.endpoint or ""
    return is_open(endpoint) or (endpoint.endswith(FRONT_PAGE) and wants_html())


def _is_preflight() -> bool:
    """A browser asks whether a page of another origin may ask; it sends no credentials, and nothing is done."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return False
    return getattr(request.url_rule, "provide_automatic_options", False)  # Flask answers, no view of anybody's


def _rate_limit(settings: RunningSettings) -> RateLimit | None:
    if settings.rate_limit is None:
        return None
    folder = os.environ.get(metrics_folder.VARIABLE)
    requests, seconds = read_rate(settings.rate_limit)
    return RateLimit(requests, seconds, Path(folder) / "rate_limit" if folder else None)


def _keep_private(response: Response) -> None:
    """No cache that several people share keeps what one of them was given; caches don't know what X-API-Key is."""
    if "Cache-Control" not in response.headers:
        response.headers.set(*NOT_KEPT)
        return
    control = response.cache_control
    control.public = False
    control.s_maxage = None
    if not control.no_store:
        control.private = True
