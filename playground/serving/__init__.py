"""The HTTP service: a Flask application around one pipeline and one predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Flask

from playground.registry import load
from playground.serving import (
    correlation,
    cors,
    endpoints,
    errors,
    guard,
    lane,
    manners,
    recent,
    state,
    validation,
    watch,
)
from playground.serving.state import Service

BLUEPRINTS = {
    "predictions": "playground.serving.predictions:blueprint",
    "process": "playground.serving.process:blueprint",
    "jobs": "playground.serving.jobs:blueprint",
    "describe": "playground.serving.describe:blueprint",
    "docs": "playground.serving.docs:blueprint",
    "health": "playground.serving.health:blueprint",
    "pages": "playground.serving.pages:blueprint",
    "monitoring": "playground.serving.monitoring:blueprint",
}
"""Groups of endpoints; the next one is one module and one line here."""

PER_PREDICTOR = ("predictions", "process", "jobs", "describe", "pages")
"""Those that each of several predictors has below its own address, too."""

MAX_BODY = 32 * 1024 * 1024
"""Bytes: what App Engine lets through."""


class App(Flask):
    """Flask, for views that are plain functions: it asks of each view and each hook whether it is a coroutine."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(services: Sequence[Service]) -> Flask:
    """The WSGI application.

    Args:
        services: the first answers at /predict; each that has an address of its own (PREDICTORS), below it.
    """
    app = App("playground", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes = False  # an address with a slash at its end is the same address, with no redirect
    app.url_map.merge_slashes = False
    state.install(app, services)
    settings, metrics = services[0].settings, services[0].metrics
    count = watch.install(app, metrics, settings.log_api_calls)
    if settings.cors_origins:  # before what refuses callers: a browser's question comes without credentials
        cors.install(app, settings.cors_origins)
    correlation.install(app)
    errors.install(app)
    let_in = guard.install(app, settings)
    manners.install(app, settings)  # after the guard: before it, nobody's body is read, and no answer given again
    kept = recent.install(app, settings.developer_log)
    for target in BLUEPRINTS.values():
        app.register_blueprint(load(target))
    for each in services:
        if each.address:
            around = Blueprint(state.blueprint_of(each), __name__, url_prefix=each.address)
            for name in PER_PREDICTOR:
                around.register_blueprint(load(BLUEPRINTS[name]))
            app.register_blueprint(around)
    endpoints.install(app, settings)
    if settings.validate_responses:
        validation.install(app)  # every answer is looked at, by Flask's way
    else:
        lane.install(app, services, lane.Rules(let_in, kept.note, count))
    return app
