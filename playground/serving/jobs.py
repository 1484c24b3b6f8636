"""The Tile Geo Process API as it was in 2018, for clients that still speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from playground.errors import PayloadError
from playground.serving.connection import client_watch
from playground.serving.json import json_response
from playground.serving.openapi import AnyOf, operation
from playground.serving.openapi.samples import sample_image
from playground.serving.openapi.schemas import PixelCollection
from playground.serving.predictions import refuse_newcomers
from playground.serving.process import PREDICTION_ERRORS, pixel_collection, predict_images, require_json
from playground.serving.process_payload import ChangeJob, DetectionJob, read_job
from playground.serving.state import Service, service
from playground.serving.watch import answered

blueprint = Blueprint("jobs", __name__)
blueprint.before_request(refuse_newcomers)


def examples(found: Service) -> Mapping[str, Any]:
    """A payload that works with this service."""
    image, zoom = sample_image(found), found.settings.zoom_level
    if found.images[0] == 2:
        pair = {"tile1Format": "image/png", "tile1": image, "tile2Format": "image/png", "tile2": image}
        return {"change": {"zoom": zoom} | pair}
    return {"detection": {"zoom": zoom, "tileFormat": "image/png", "tile": image}}


@blueprint.post("/api/jobs")
@operation(
    "Tile Geo Process API of 2018",
    takes={"application/json": AnyOf((DetectionJob, ChangeJob))},
    gives={"application/json": PixelCollection},
    errors=PREDICTION_ERRORS,
    examples=examples,
    deprecated=True,
)
def jobs() -> Response:
    """Predict one image, or two of one place; the answer comes at once.

    A mask is what the predictor reads as tile.valid.
    """
    require_json(request.mimetype)
    job = read_job(request.get_data())
    found = service()
    zoom = found.settings.zoom_level
    if job.zoom != zoom:
        raise PayloadError(f"this predictor works at zoom {zoom}, not {job.zoom}", "see GET /api/config")
    images = [job.tile] if isinstance(job, DetectionJob) else [job.tile1, job.tile2]
    return json_response(
        pixel_collection(answered(predict_images(found, images, client_watch(request.environ), mask=job.mask)).answer)
    )
