"""A lane in front of Flask for what is asked most: one image or one tile by POST, answered in one piece.

Flask's way costs as much as all that is done for such a request. Here the same functions are called, one after the
other: the guard, the views' own, what is told in headers, the log, the metrics. Whatever is not plain goes Flask's way
untouched: other addresses and methods, compressed bodies, keys for idempotency, areas, streams. So does every failure,
as it is then: what was done is not done again, and Flask answers the error.

Where anybody else has hooked into the application (functions before and after requests, signals, views in place of
ours), nothing is taken off Flask.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import flask
from flask import Flask
from werkzeug.datastructures import EnvironHeaders, Headers

from playground.registry import load
from playground.serving import compression
from playground.serving.calls import HANDED_ON, Call, enter, leave
from playground.serving.guard import NOT_KEPT
from playground.serving.headers import TOLD, Pairs
from playground.serving.lifecycle import is_draining
from playground.serving.state import Service, service_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

Plain = Callable[[Service, dict[str, Any], bytes], "tuple[bytes, str] | None"]
"""A view of the lane: a service, the environment, the body; the answer and its media type, or None for Flask's way."""

VIEWS = {
    "predictions.predict": "playground.serving.predictions:predict_plain",
    "process.process": "playground.serving.process:process_plain",
}
"""Endpoints of the lane; of several predictors each has its own behind its address."""

ELSEWHERE = frozenset(("HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING", "HTTP_IDEMPOTENCY_KEY"))
"""Headers that need more than is done here."""

SIGNALS = (
    flask.request_started,
    flask.request_finished,
    flask.request_tearing_down,
    flask.appcontext_pushed,
    flask.appcontext_popped,
    flask.appcontext_tearing_down,
)


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is done with every request, as the modules that do it for Flask have given it.

    Attributes:
        let_in: the guard.
        note: for the last requests.
        count: for the metrics and the log.
    """

    let_in: Callable[[Call, Headers], None]
    note: Callable[[Call, int], None]
    count: Callable[[Call, int, str | None], None]


@dataclasses.dataclass(frozen=True, slots=True)
class _Route:
    """One address: its view in Flask, the lane's, and for which service."""

    endpoint: str
    name: str
    view: Callable[..., Any]
    plain: Plain
    service: Service


class Lane:
    """The application with the lane.

    Attributes:
        flask: Flask's way.
    """

    def __init__(self, app: Flask, services: Sequence[Service], rules: Rules) -> None:
        self.flask: WSGIApplication = app.wsgi_app
        self._app = app
        self._rules = rules
        self._routes = _routes(app)
        self._in_progress = services[0].metrics.in_progress
        self._longest: int = app.config["MAX_CONTENT_LENGTH"]
        settings = services[0].settings
        self._told: Sequence[Callable[[Call], Pairs]] = app.extensions[TOLD]
        self._private = settings.auth != "none"
        self._hooks = _hooks(app)
        self._is_open = False

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Any:
        route = self._routes.get(environ["PATH_INFO"])
        if (
            route is None
            or environ["REQUEST_METHOD"] != "POST"
            or not ELSEWHERE.isdisjoint(environ)
            or environ.get("SCRIPT_NAME")
            or not 0 <= (length := _length(environ)) <= self._longest
            or not self._is_ours(route)
        ):
            return self.flask(environ, start_response)
        known = Call(environ, method="POST", path=environ["PATH_INFO"], endpoint=route.name, predicts=True)
        self._in_progress.inc()
        here = enter(known)
        try:
            answer = self._answer(route, known, length)
        except Exception as error:  # noqa: BLE001 - for Flask, where every error has its answer
            known.failure, answer = error, None
        except BaseException:
            self._in_progress.dec()
            raise
        finally:
            leave(here)
        if answer is None:
            environ[HANDED_ON] = known
            return self.flask(environ, start_response)
        self._in_progress.dec()
        body, headers = answer
        start_response("200 OK", headers)
        return [body]

    def _answer(self, route: _Route, known: Call, length: int) -> tuple[bytes, list[tuple[str, str]]] | None:
        """The body and the headers; None for Flask's way."""
        environ = known.environ
        self._rules.let_in(known, EnvironHeaders(environ))
        if is_draining():
            return None
        given = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(given)  # as it came, should Flask want it
        made = route.plain(route.service, environ, given)
        if made is None:
            return None
        body, kind = made
        headers = [("Content-Type", kind), ("Content-Length", "")]
        if compression.is_worth_it(kind, len(body)):
            headers.append(("Vary", "Accept-Encoding"))
            coding = compression.coding_for(environ.get("HTTP_ACCEPT_ENCODING", ""))
            if coding:
                body = compression.squeeze(body, coding)
                headers.append(("Content-Encoding", coding))
        headers[1] = ("Content-Length", size := str(len(body)))
        if self._private:
            headers.append(NOT_KEPT)
        for pairs_of in self._told:
            for name, value in pairs_of(known):
                if name == "Vary" and headers[2:] and headers[2][0] == "Vary":
                    headers[2] = (name, f"{headers[2][1]}, {value}")
                else:
                    headers.append((name, value))
        self._rules.note(known, 200)
        self._rules.count(known, 200, size)
        return body, headers

    def _is_ours(self, route: _Route) -> bool:
        """Whether nobody else wants to see this request.

        Hooks can be added until Flask has answered its first request, so the first one is Flask's.
        """
        if not self._is_open:
            if not getattr(self._app, "_got_first_request", False):
                return False
            self._is_open = _hooks(self._app) == self._hooks and not self._app.config.get("TRUSTED_HOSTS")
            if not self._is_open:
                self._routes = {}
                return False
        if self._app.view_functions[route.endpoint] is not route.view:
            return False
        return not any(signal.receivers for signal in SIGNALS)


def install(app: Flask, services: Sequence[Service], rules: Rules) -> None:
    """Put the lane in front of an application that has all its own hooks."""
    app.wsgi_app = Lane(app, services, rules)  # type: ignore[method-assign]


def _routes(app: Flask) -> dict[str, _Route]:
    """The lane's addresses."""
    found = {}
    addresses = app.url_map.bind("")
    for rule in app.url_map.iter_rules():
        blueprint, _, name = rule.endpoint.rpartition(".")
        target = VIEWS.get(".".join(rule.endpoint.split(".")[-2:]))
        if target and "POST" in (rule.methods or ()) and not rule.arguments:
            view = app.view_functions[rule.endpoint]
            route = _Route(rule.endpoint, name, view, load(target), service_of(app, blueprint))
            for path in dict.fromkeys((rule.rule, f"{rule.rule.rstrip('/')}/")):
                if addresses.match(path, "POST")[0] == rule.endpoint:
                    found[path] = route
    return found


def _hooks(app: Flask) -> list[Any]:
    """All functions around requests, and the classes that Flask's way goes through."""
    by_blueprint: tuple[Mapping[Any, Sequence[Any]], ...] = (
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
        app.url_value_preprocessors,
    )
    found: list[Any] = [{name: list(hooks) for name, hooks in each.items()} for each in by_blueprint]
    return [*found, list(app.teardown_appcontext_funcs), app.request_class, app.response_class, app.session_interface]


def _length(environ: Mapping[str, Any]) -> int:
    """Bytes of the body; -1 where that is not told plainly."""
    text: str = environ.get("CONTENT_LENGTH") or ""
    return int(text) if text.isascii() and text.isdigit() else -1
