"""The endpoint that Prometheus reads."""

from __future__ import annotations

from flask import Blueprint, Response, request

from playground.serving.openapi import operation
from playground.serving.state import service

blueprint = Blueprint("monitoring", __name__)


@blueprint.get("/metrics")
@operation("Health", gives={"text/plain": str, "application/openmetrics-text": str})
def metrics() -> Response:
    """The numbers of all workers, whichever of them answers; it waits for no predictor."""
    found = service()
    found.metrics.sample(found.predictor, found.pipeline)
    body, media_type = found.metrics.render(request.headers.get("Accept", ""))
    return Response(body, content_type=media_type)
