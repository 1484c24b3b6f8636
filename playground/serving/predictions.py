"""The endpoints that predict."""

from __future__ import annotations

import socket
import time

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from playground.errors import PredictorNotReadyError
from playground.pipeline import Outcome
from playground.serving.json import json_response
from playground.serving.lifecycle import is_draining
from playground.serving.payload import read_payload
from playground.serving.state import service
from playground.serving.watch import answered, call

blueprint = Blueprint("predictions", __name__)

GEOJSON = "application/geo+json"
RAW_IMAGES = ("image/", "application/octet-stream")
JUST_NOW = 0.02
"""Seconds."""


@blueprint.before_request
def refuse_newcomers() -> None:
    """While the server ends, send callers elsewhere."""
    if is_draining():
        raise PredictorNotReadyError("this server is shutting down", "try again: another one will answer")


@blueprint.post("/predict")
@blueprint.post("/")
def predict() -> Response:
    """Predict the tile, the place or the image of the body, or the image that it names."""
    asked = request._get_current_object()  # type: ignore[attr-defined]  # one look-up instead of one for each attribute
    pipeline = service().pipeline
    media_type = asked.mimetype
    if media_type.startswith(RAW_IMAGES):
        return respond(pipeline.predict_image(asked.get_data(cache=False), client_is_gone))
    if media_type and not media_type.endswith("json"):
        raise UnsupportedMediaType(f"{media_type} is neither JSON nor an image")
    payload = read_payload(asked.get_data(cache=False))
    if payload.image is not None:
        return respond(pipeline.predict_image(payload.image, client_is_gone))
    if payload.url is not None:
        return respond(pipeline.predict_url(payload.url, client_is_gone))
    if payload.place is not None:
        return respond(pipeline.predict_lnglat(*payload.place, client_is_gone))
    call().tile = "{}/{}/{}".format(*payload.address)
    return respond(pipeline.predict_tile(*payload.address, client_is_gone))


@blueprint.get("/predictions/<int(signed=True):z>/<int(signed=True):x>/<int(signed=True):y>.geojson")
def prediction(z: int, x: int, y: int) -> Response:
    """One tile's FeatureCollection, at an address of its own, so that a map can use the service as a layer."""
    call().tile = f"{z}/{x}/{y}"
    outcome = answered(service().pipeline.predict_tile(z, x, y))
    response = json_response(outcome.answer.dumps(), media_type=GEOJSON)
    response.headers["Cache-Control"] = "no-cache"  # keep it, but ask whether it still holds
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]


def client_is_gone() -> bool:
    """Whether the client of this request has closed its connection; of one that has just asked it is not looked at."""
    if time.perf_counter() - call().began < JUST_NOW:
        return False
    sock = request.environ.get("gunicorn.socket")
    if sock is None:
        return False
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
    except BlockingIOError:
        return False
    except OSError:
        return True


def respond(outcome: Outcome) -> Response:
    """The answer with all that is known about it; the FeatureCollection alone for who accepts nothing else."""
    answered(outcome)
    if request.environ.get("HTTP_ACCEPT", "").startswith(GEOJSON):
        return json_response(outcome.answer.dumps(), media_type=GEOJSON)
    body = {
        "prediction": orjson.Fragment(outcome.answer.dumps()),
        "tile": outcome.tile,
        "service": service().description,
        "report": outcome.report,
        "timing": outcome.timing,
    }
    return json_response(body)
