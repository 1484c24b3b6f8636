"""Errors as HTTP: one table, one JSON shape.

Clients retry 408, 423, 429, 500, 502, 503 and 504 and nothing else, so the status of an error answers one question:
will it help to send the same request again?
"""

from __future__ import annotations

import datetime
import math
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from playground import errors
from playground.serving.calls import call
from playground.serving.correlation import correlation_id
from playground.serving.json import json_response

STATUS: dict[type[errors.PlaygroundError], int] = {
    errors.RequestError: 400,
    errors.KeyReusedError: 422,
    errors.KeyInUseError: 409,
    errors.UnauthenticatedError: 401,
    errors.ForbiddenError: 403,
    errors.RateLimitedError: 429,
    errors.KeysUnavailableError: 503,
    errors.TileNotFoundError: 404,
    errors.TileSourceError: 502,
    errors.TileTimeoutError: 504,
    errors.PredictorNotReadyError: 503,
    errors.PredictorBusyError: 503,
    errors.PredictorTimeoutError: 504,
    errors.PredictorCrashedError: 500,
    errors.PredictorFailedError: 500,
    errors.RequestAbandonedError: 499,  # nobody reads it; nginx's number for the log
    errors.TilePoisonedError: 422,
    errors.TileRejectedError: 422,
}
OUTCOME: dict[type[errors.PlaygroundError], str] = {
    errors.RequestError: "bad_request",
    errors.KeyReusedError: "key_reused",
    errors.KeyInUseError: "key_in_use",
    errors.UnauthenticatedError: "unauthenticated",
    errors.ForbiddenError: "forbidden",
    errors.RateLimitedError: "limited",
    errors.KeysUnavailableError: "no_keys",
    errors.TileNotFoundError: "not_found",
    errors.TileSourceError: "source_failed",
    errors.TileTimeoutError: "source_timeout",
    errors.PredictorNotReadyError: "not_ready",
    errors.PredictorBusyError: "busy",
    errors.PredictorTimeoutError: "timeout",
    errors.PredictorCrashedError: "crashed",
    errors.PredictorFailedError: "failed",
    errors.RequestAbandonedError: "abandoned",
    errors.TilePoisonedError: "poisoned",
    errors.TileRejectedError: "rejected",
}
"""In metrics and logs; beside these: ok, empty (no features), refused (HTTP's own 4xx), error (nobody foresaw it)."""

HINTS = {
    400: "see /docs/ for what each endpoint takes",
    404: "see / for the endpoints",
    405: "the Allow header says which methods this address takes",
    406: "name one of these in the Accept header, or */*",
    413: "send at most 32 MB",
    415: "send JSON, or an image with its media type; as it is, or compressed with gzip or zstd",
    500: "give the correlation id to those who run this service; its log has the details",
}


def status_of(error: errors.PlaygroundError) -> int:
    """The status of the nearest class in the table."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def outcome_of(error: errors.PlaygroundError) -> str:
    """The word of the nearest class in the table."""
    return next((OUTCOME[kind] for kind in type(error).__mro__ if kind in OUTCOME), "error")


def error_body(status: int, message: str, hint: str) -> dict[str, Any]:
    """The shape that every error has."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "message": message,
        "hint": hint or HINTS.get(status, ""),
        "correlationId": correlation_id(),
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def error_response(status: int, message: str, hint: str, retry_after: float | None = None) -> Response:
    """An error in the shape that every status has."""
    response = json_response(error_body(status, message, hint), status)
    if status in (409, 429, 503):
        response.headers["Retry-After"] = str(math.ceil(retry_after or 1))
    return response


def install(app: Flask) -> None:
    """Answer every error of the application, and the framework's own, in that shape."""

    @app.errorhandler(errors.PlaygroundError)
    def playground_error(error: errors.PlaygroundError) -> Response:
        known = call()
        known.outcome, known.error = outcome_of(error), error.message
        return error_response(status_of(error), error.message, error.hint, error.retry_after)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        if error.code is None or error.code < 400:
            return error.get_response()  # type: ignore[return-value]  # redirects keep their own form
        known = call()
        known.outcome, known.error = "refused" if error.code < 500 else "error", error.name
        response = error_response(error.code, f"{error.name}: {error.description}", "")
        for name, value in error.get_headers():
            if name not in ("Content-Type", "Content-Length"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        known = call()
        known.outcome, known.error, known.unexpected = "error", "unexpected error", error
        return error_response(500, "something went wrong inside the service", "")
