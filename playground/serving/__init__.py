"""The HTTP service: a Flask application around one pipeline and one predictor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask

from playground.pipeline import Pipeline
from playground.predictor import Predictor
from playground.registry import load
from playground.serving import correlation, errors, watch
from playground.serving.state import Service
from playground.settings import RunningSettings

if TYPE_CHECKING:  # gunicorn.conf.py imports this package, and must not import Prometheus' library: see metrics.py
    from playground.serving.metrics import Metrics

BLUEPRINTS = {
    "predictions": "playground.serving.predictions:blueprint",
    "health": "playground.serving.health:blueprint",
    "monitoring": "playground.serving.monitoring:blueprint",
}
"""Groups of endpoints; the next one is one module and one line here."""

MAX_BODY = 32 * 1024 * 1024
"""Bytes: what App Engine lets through."""


class App(Flask):
    """Flask, for views that are plain functions: it asks of each view and each hook whether it is a coroutine."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: RunningSettings, pipeline: Pipeline, predictor: Predictor, metrics: Metrics) -> Flask:
    """The WSGI application.

    Args:
        settings: the running service's.
        pipeline: answers tiles and images.
        predictor: asked for its state by the health endpoints.
        metrics: where requests are counted.
    """
    app = App("playground", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes = False
    app.extensions["playground"] = Service(settings, pipeline, predictor, metrics)
    watch.install(app, metrics, settings.log_api_calls)
    correlation.install(app)
    errors.install(app)
    for target in BLUEPRINTS.values():
        app.register_blueprint(load(target))
    return app
