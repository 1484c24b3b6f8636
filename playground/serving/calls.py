"""What is known about the request that this thread answers, whether Flask answers it or the lane in front of Flask."""

from __future__ import annotations

import dataclasses
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flask import g, has_request_context, request

if TYPE_CHECKING:
    from playground.pipeline import Outcome

HANDED_ON = "playground.call"
"""Where a WSGI environment holds the call that the lane began and Flask is to end."""

_here: ContextVar[Call | None] = ContextVar("playground.call", default=None)


@dataclasses.dataclass(slots=True)
class Call:
    """What is known about one request.

    Attributes:
        environ: as the server gave it.
        began: on the clock of ``time.perf_counter``.
        method, path: what is asked for.
        endpoint: who answers.
        predicts: whether it is a prediction, and counted among those in progress.
        outcome: ok, empty, or one of ``errors.OUTCOME``.
        error: why there is no answer.
        unexpected: an error that nobody foresaw; its traceback goes to the log.
        tile: the address that was asked for, z/x/y.
        result: the answer.
        correlation_id: see ``correlation``; empty until somebody asks for it.
        caller: who asks, see ``guard.callers``.
        rate_limit: (requests left, seconds until there is one more), where they are counted.
        admitted: whether the guard has let it in, and counted it.
        failure: what the lane met; it is raised again, and answered, in Flask.
    """

    environ: dict[str, Any]
    began: float = dataclasses.field(default_factory=time.perf_counter)
    method: str = ""
    path: str = ""
    endpoint: str = "unknown"
    predicts: bool = False
    outcome: str = "ok"
    error: str = ""
    unexpected: BaseException | None = None
    tile: str = ""
    result: Outcome | None = None
    correlation_id: str = ""
    caller: str = ""
    rate_limit: tuple[int, float] | None = None
    admitted: bool = False
    failure: Exception | None = None


def call() -> Call:
    """The current request's."""
    found = _here.get()
    if found is None:
        kept = vars(g._get_current_object())  # one look-up instead of one for each attribute
        found = kept.get("call")
        if found is None:
            environ = request.environ
            found = kept["call"] = environ.pop(HANDED_ON, None) or Call(environ)
    return found


def current() -> Call | None:
    """The same; None where no request is being answered."""
    return call() if _here.get() is not None or has_request_context() else None


enter = _here.set
"""Make a call the current one; gives what ``leave`` takes."""
leave = _here.reset
