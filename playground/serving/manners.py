"""What every endpoint does alike: compressed bodies, answers that can be kept, answers that are given again."""

from __future__ import annotations

from flask import Flask, Response, request

from playground.serving import compression, idempotency
from playground.settings import RunningSettings

FRESH = ("health.alive", "health.ready", "describe.health", "monitoring.metrics")
"""Endpoints that tell how things are at this moment."""


def install(app: Flask, settings: RunningSettings) -> None:
    """Put the manners on: what is done to a response here comes before what was installed earlier adds to it."""
    limit: int = app.config["MAX_CONTENT_LENGTH"]
    store = idempotency.open_store(settings.idempotency_seconds)

    @app.before_request
    def begin() -> Response | None:
        environ = request.environ
        if (
            "HTTP_CONTENT_ENCODING" in environ or "HTTP_TRANSFER_ENCODING" in environ
        ) and not request.routing_exception:
            compression.read_request(limit)
        if "HTTP_IDEMPOTENCY_KEY" in environ and store is not None and environ["REQUEST_METHOD"] == "POST":
            return idempotency.begin(store, settings.timeout)
        return None

    @app.after_request
    def end(response: Response) -> Response:
        environ = request.environ
        if environ["REQUEST_METHOD"] in ("GET", "HEAD") and response.status_code == 200:
            response = keep(response)
        compression.pack(response, environ.get("HTTP_ACCEPT_ENCODING", ""))
        return response


def keep(response: Response) -> Response:
    """Tell caches what to do with the answer to a GET; answer 304 to who has it already."""
    if (request.endpoint or "").endswith(FRESH):
        response.headers["Cache-Control"] = "no-store"
        return response
    if response.is_streamed:
        return response
    response.headers.setdefault("Cache-Control", "no-cache")  # keep it, but ask whether it still holds
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]
