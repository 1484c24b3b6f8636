"""Every request is counted and timed; every prediction, and whatever failed, is one line in the log."""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request

from playground.pipeline import Outcome
from playground.serving.correlation import correlation_id
from playground.serving.guard.callers import caller

if TYPE_CHECKING:
    from playground.serving.metrics import Metrics

logger = logging.getLogger(__name__)

PREDICTIONS = "predictions"
"""The blueprint whose requests are measured step by step."""


@dataclasses.dataclass(slots=True)
class Call:
    """What is known about the current request.

    Attributes:
        began: on the clock of ``time.perf_counter``.
        outcome: ok, empty, or one of ``errors.OUTCOME``.
        error: why there is no answer.
        unexpected: an error that nobody foresaw; its traceback goes to the log.
        tile: the address that was asked for, z/x/y.
        result: the answer.
    """

    began: float
    outcome: str = "ok"
    error: str = ""
    unexpected: BaseException | None = None
    tile: str = ""
    result: Outcome | None = None


def call() -> Call:
    """The current request's."""
    if "call" not in g:
        g.call = Call(time.perf_counter())
    found: Call = g.call
    return found


def answered(result: Outcome) -> Outcome:
    """Note the answer of the current request; gives it back."""
    known = call()
    known.result = result
    if not result.report["features_out"]:
        known.outcome = "empty"
    if "z" in result.tile:
        known.tile = "{z}/{x}/{y}".format_map(result.tile)
    return result


def install(app: Flask, metrics: Metrics, log_api_calls: bool) -> None:
    """Watch every request. Installed before all else, so that nothing of a request escapes it.

    Args:
        app: the application.
        metrics: where requests are counted.
        log_api_calls: whether predictions that went well are logged too, or failures only.
    """

    @app.before_request
    def begin() -> None:
        call()
        if _predicts():
            metrics.in_progress.inc()

    @app.after_request
    def end(response: Response) -> Response:
        known = call()
        seconds = time.perf_counter() - known.began
        endpoint = (request.endpoint or "unknown").rpartition(".")[2]
        metrics.answered(endpoint, known.outcome)
        predicts = _predicts()
        if predicts:
            metrics.predicted(seconds, known.result)
        status = response.status_code
        # A health check that says "not ready" has not failed.
        if (status >= 500 and (predicts or status != 503)) or (predicts and log_api_calls):
            log_call(known, response, seconds)
        return response

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        if _predicts():
            metrics.in_progress.dec()


def _predicts() -> bool:
    """Whether the request is for a prediction; of several predictors each has a blueprint around its own."""
    return (request.blueprint or "").endswith(PREDICTIONS)


def log_call(known: Call, response: Response, seconds: float) -> None:
    """One line about a request."""
    status = response.status_code
    level = logging.INFO if status < 500 else logging.WARNING if status == 503 else logging.ERROR
    if not logger.isEnabledFor(level):
        return
    fields: dict[str, Any] = {"outcome": known.outcome, "httpRequest": http_request(response, seconds)}
    words = [f"{request.method} {request.path} {status} {known.outcome} {seconds:.3f} s"]
    if caller():
        fields["caller"] = caller()
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
        words.append(f"correlation id {correlation_id()}")
    logger.log(level, "%s", ", ".join(words), extra={"fields": fields}, exc_info=known.unexpected)


def http_request(response: Response, seconds: float) -> dict[str, Any]:
    """The request in the words of Cloud Logging; the path without its query, where keys travel."""
    told: dict[str, Any] = {
        "requestMethod": request.method,
        "requestUrl": request.path,
        "status": response.status_code,
        "latency": f"{seconds:.6f}s",
        "userAgent": request.headers.get("User-Agent", "")[:500],
        "remoteIp": remote_ip(),
        "protocol": request.environ.get("SERVER_PROTOCOL", ""),
    }
    if response.content_length is not None:
        told["responseSize"] = str(response.content_length)
    return told


def remote_ip() -> str:
    """The client as the front end tells it (a claim, good for a log and for nothing else), else the connection's."""
    first = request.headers.get("X-Forwarded-For", "").partition(",")[0].strip()
    try:
        return str(ipaddress.ip_address(first)) if first else request.remote_addr or ""
    except ValueError:
        return request.remote_addr or ""
