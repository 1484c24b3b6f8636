"""The endpoint that Prometheus reads."""

from __future__ import annotations

from flask import Blueprint, Response, request

from playground.serving.openapi import operation
from playground.serving.state import service, services

blueprint = Blueprint("monitoring", __name__)


@blueprint.get("/metrics")
@operation("Health", gives={"text/plain": str, "application/openmetrics-text": str})
def metrics() -> Response:
    """The numbers of all workers, whichever of them answers; it waits for no predictor."""
    counted = service().metrics
    counted.sample(services())
    body, media_type = counted.render(request.headers.get("Accept", ""))
    return Response(body, content_type=media_type)
