"""The HTTP service: a Flask application around one pipeline and one predictor."""

from __future__ import annotations

from flask import Flask

from playground.pipeline import Pipeline
from playground.predictor import Predictor
from playground.registry import load
from playground.serving import correlation, errors
from playground.serving.state import Service
from playground.settings import RunningSettings

BLUEPRINTS = {
    "predictions": "playground.serving.predictions:blueprint",
    "health": "playground.serving.health:blueprint",
}
"""Groups of endpoints; the next one is one module and one line here."""

MAX_BODY = 32 * 1024 * 1024
"""Bytes: what App Engine lets through."""


def create_app(settings: RunningSettings, pipeline: Pipeline, predictor: Predictor) -> Flask:
    """The WSGI application.

    Args:
        settings: the running service's.
        pipeline: answers tiles and images.
        predictor: asked for its state by the health endpoints.
    """
    app = Flask("playground", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes = False
    app.extensions["playground"] = Service(settings, pipeline, predictor)
    correlation.install(app)
    errors.install(app)
    for target in BLUEPRINTS.values():
        app.register_blueprint(load(target))
    return app
