"""Every request is counted and timed; every prediction, and whatever failed, is one line in the log."""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from playground.pipeline import Outcome
from playground.serving.calls import Call, call
from playground.serving.correlation import correlation_id_of
from playground.serving.logs import log

if TYPE_CHECKING:
    from playground.serving.metrics import Metrics

logger = logging.getLogger(__name__)

PREDICTIONS = ("predictions", "process", "jobs")
"""The blueprints whose requests are measured step by step."""


def answered(result: Outcome) -> Outcome:
    """Note the answer of the current request; gives it back."""
    known = call()
    known.result = result
    if not result.report["features_out"]:
        known.outcome = "empty"
    if "z" in result.tile:
        known.tile = "{z}/{x}/{y}".format_map(result.tile)
    return result


def install(app: Flask, metrics: Metrics, log_api_calls: bool) -> Callable[[Call, int, str | None], None]:
    """Watch every request. Installed before all else, so that nothing of a request escapes it.

    Args:
        app: the application.
        metrics: where requests are counted.
        log_api_calls: whether predictions that went well are logged too, or failures only.

    Returns:
        What counts and logs a request that has been answered: what is known of it, the status, and the body's length.
    """

    @app.before_request
    def begin() -> None:
        known = call()
        failure, known.failure = known.failure, None
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # its traceback holds this frame
        if known.predicts:  # the lane has begun it
            return
        known.method, known.path = request.method, request.path
        blueprint, _, known.endpoint = (request.endpoint or "unknown").rpartition(".")
        known.predicts = blueprint.endswith(PREDICTIONS)  # of several predictors each has a blueprint around its own
        if known.predicts:
            metrics.in_progress.inc()

    def count(known: Call, status: int, length: str | None) -> None:
        seconds = time.perf_counter() - known.began
        metrics.answered(known.endpoint, known.outcome)
        predicts = known.predicts
        if predicts:
            metrics.predicted(seconds, known.result)
        # A health check that says "not ready" has not failed.
        if (status >= 500 and (predicts or status != 503)) or (predicts and log_api_calls):
            log_call(known, status, length, seconds)

    @app.after_request
    def end(response: Response) -> Response:
        count(call(), response.status_code, response.headers.get("Content-Length"))
        return response

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        if call().predicts:
            metrics.in_progress.dec()

    return count


def log_call(known: Call, status: int, length: str | None, seconds: float) -> None:
    """One line about a request."""
    level = logging.INFO if status < 500 else logging.WARNING if status == 503 else logging.ERROR
    if not logger.isEnabledFor(level):
        return
    told = http_request(known, status, length, seconds)
    fields: dict[str, Any] = {"outcome": known.outcome, "httpRequest": told}
    words = [f"{told['requestMethod']} {told['requestUrl']} {status} {known.outcome} {seconds:.3f} s"]
    if known.caller:
        fields["caller"] = known.caller
    if known.tile:
        fields["tile"] = known.tile
        words.append(f"tile {known.tile}")
    if known.result:
        report = known.result.report
        fields |= {"timing": known.result.timing, "features": report["features_out"]}
        fields |= {
            key: report[key] for key in ("repairs", "dropped", "missing_neighbours", "warnings") if report.get(key)
        }
        words.append(f"{report['features_out']} features")
    if known.error:
        words.append(known.error)
    if status >= 500:
        words.append(f"correlation id {correlation_id_of(known)}")
    if known.unexpected is None:
        log(logger, level, ", ".join(words), known, fields)
    else:
        logger.log(level, "%s", ", ".join(words), extra={"fields": fields}, exc_info=known.unexpected)


def http_request(known: Call, status: int, length: str | None, seconds: float) -> dict[str, Any]:
    """The request in the words of Cloud Logging; the path without its query, where keys travel."""
    environ = known.environ
    told: dict[str, Any] = {
        "requestMethod": known.method,
        "requestUrl": known.path,
        "status": status,
        "latency": f"{seconds:.6f}s",
        "userAgent": environ.get("HTTP_USER_AGENT", "")[:500],
        "remoteIp": remote_ip(environ.get("HTTP_X_FORWARDED_FOR", ""), environ.get("REMOTE_ADDR") or ""),
        "protocol": environ.get("SERVER_PROTOCOL", ""),
    }
    if length is not None:
        told["responseSize"] = length
    return told


def remote_ip(forwarded: str, peer: str) -> str:
    """The client as the front end tells it (a claim, good for a log and for nothing else), else the connection's."""
    first = forwarded.partition(",")[0].strip()
    try:
        return str(ipaddress.ip_address(first)) if first else peer
    except ValueError:
        return peer
