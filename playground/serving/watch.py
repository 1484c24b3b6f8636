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

PREDICTIONS = ("predictions", "process", "jobs")
"""The blueprints whose requests are measured step by step."""


@dataclasses.dataclass(slots=True)
class Call:
    """What is known about the current request.

    Attributes:
        began: on the clock of ``time.perf_counter``.
        endpoint: who answers.
        predicts: whether it is a prediction.
        outcome: ok, empty, or one of ``errors.OUTCOME``.
        error: why there is no answer.
        unexpected: an error that nobody foresaw; its traceback goes to the log.
        tile: the address that was asked for, z/x/y.
        result: the answer.
    """

    began: float
    endpoint: str = "unknown"
    predicts: bool = False
    outcome: str = "ok"
    error: str = ""
    unexpected: BaseException | None = None
    tile: str = ""
    result: Outcome | None = None


def call() -> Call:
    """The current request's."""
    kept = vars(g._get_current_object())  # one look-up instead of one for each attribute
    found: Call | None = kept.get("call")
    if found is None:
        found = kept["call"] = Call(time.perf_counter())
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
        known = call()
        blueprint, _, known.endpoint = (request.endpoint or "unknown").rpartition(".")
        known.predicts = blueprint.endswith(PREDICTIONS)  # of several predictors each has a blueprint around its own
        if known.predicts:
            metrics.in_progress.inc()

    @app.after_request
    def end(response: Response) -> Response:
        known = call()
        seconds = time.perf_counter() - known.began
        metrics.answered(known.endpoint, known.outcome)
        predicts = known.predicts
        if predicts:
            metrics.predicted(seconds, known.result)
        status = response.status_code
        # A health check that says "not ready" has not failed.
        if (status >= 500 and (predicts or status != 503)) or (predicts and log_api_calls):
            log_call(known, response, seconds)
        return response

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        if call().predicts:
            metrics.in_progress.dec()


def log_call(known: Call, response: Response, seconds: float) -> None:
    """One line about a request."""
    status = response.status_code
    level = logging.INFO if status < 500 else logging.WARNING if status == 503 else logging.ERROR
    if not logger.isEnabledFor(level):
        return
    told = http_request(response, seconds)
    fields: dict[str, Any] = {"outcome": known.outcome, "httpRequest": told}
    words = [f"{told['requestMethod']} {told['requestUrl']} {status} {known.outcome} {seconds:.3f} s"]
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
    asked = request._get_current_object()  # type: ignore[attr-defined]  # one look-up instead of one for each attribute
    environ = asked.environ
    told: dict[str, Any] = {
        "requestMethod": asked.method,
        "requestUrl": asked.path,
        "status": response.status_code,
        "latency": f"{seconds:.6f}s",
        "userAgent": environ.get("HTTP_USER_AGENT", "")[:500],
        "remoteIp": remote_ip(environ.get("HTTP_X_FORWARDED_FOR", ""), asked.remote_addr or ""),
        "protocol": environ.get("SERVER_PROTOCOL", ""),
    }
    size = response.headers.get("Content-Length")
    if size is not None:
        told["responseSize"] = size
    return told


def remote_ip(forwarded: str, peer: str) -> str:
    """The client as the front end tells it (a claim, good for a log and for nothing else), else the connection's."""
    first = forwarded.partition(",")[0].strip()
    try:
        return str(ipaddress.ip_address(first)) if first else peer
    except ValueError:
        return peer
