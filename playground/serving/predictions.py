"""The endpoints that predict."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import shapely
from flask import Blueprint, Response, request
from werkzeug.exceptions import UnsupportedMediaType

from playground.answers import Answer
from playground.errors import PayloadError, PredictorNotReadyError
from playground.pipeline import Outcome
from playground.serving import idempotency
from playground.serving.area_tiles import predict_tiles
from playground.serving.areas import ask_for, geometry_of_bbox, geometry_of_geojson
from playground.serving.calls import call
from playground.serving.connection import client_watch
from playground.serving.correlation import correlation_id
from playground.serving.joining import Join
from playground.serving.json import json_response
from playground.serving.lifecycle import is_draining
from playground.serving.negotiation import GEOJSON, GEOJSON_SEQ, JSON, NDJSON, media_type_for, mimetype_of
from playground.serving.openapi import AnyOf, Binary, operation
from playground.serving.openapi.samples import sample_address, sample_payloads
from playground.serving.openapi.schemas import AreaPrediction, FeatureCollection, Prediction
from playground.serving.payload import PredictPayload, one_form, read_payload
from playground.serving.state import Service, service
from playground.serving.stream import AT_A_TIME, SEQUENCES, dump, dump_pieces
from playground.serving.watch import answered

logger = logging.getLogger(__name__)
blueprint = Blueprint("predictions", __name__)

RAW_IMAGES = ("image/", "application/octet-stream")
FORMS = (JSON, GEOJSON, GEOJSON_SEQ, NDJSON)
"""What POST /predict answers in."""


@blueprint.before_request
def refuse_newcomers() -> None:
    """While the server ends, send callers elsewhere."""
    if is_draining():
        raise PredictorNotReadyError("this server is shutting down", "try again: another one will answer")


@blueprint.post("/predict")
@blueprint.post("/")
@operation(
    "Predictions",
    takes={"application/json": one_form(PredictPayload), "image/*": Binary, "application/octet-stream": Binary},
    gives={
        JSON: AnyOf((Prediction, AreaPrediction)),
        GEOJSON: FeatureCollection,
        GEOJSON_SEQ: str,
        NDJSON: str,
    },
    errors=(400, 404, 406, 413, 415, 422, 500, 502, 503, 504),
    examples=sample_payloads,
)
def predict() -> Response:
    """Predict the tile, the place, the area or the image of the body, or the image that it names."""
    environ = request.environ
    form = media_type_for(environ.get("HTTP_ACCEPT", ""), FORMS)
    payload = read_body(request.mimetype, request.get_data)
    if payload.bbox is not None:
        return predict_area(geometry_of_bbox(payload.bbox), form)
    if payload.geometry is not None:
        return predict_area(geometry_of_geojson(payload.geometry), form)
    found = service()
    return respond(found, predict_payload(found, payload, client_watch(environ)), form)


def predict_plain(found: Service, environ: dict[str, Any], body: bytes) -> tuple[bytes, str] | None:
    """The same for the lane: one image, and an answer in one piece; None for what is Flask's."""
    form = media_type_for(environ.get("HTTP_ACCEPT", ""), FORMS)
    payload = read_body(mimetype_of(environ.get("CONTENT_TYPE", "")), lambda: body)
    if payload.bbox is not None or payload.geometry is not None or form in SEQUENCES:
        return None
    return written(found, answered(predict_payload(found, payload, client_watch(environ))), form), form


def read_body(media_type: str, read: Callable[[], bytes]) -> PredictPayload:
    """What a body asks for.

    Raises:
        UnsupportedMediaType: it is neither JSON nor an image.
        PlaygroundError: as ``read_payload``.
    """
    if media_type.startswith(RAW_IMAGES):
        return PredictPayload(image=read())
    if media_type and not media_type.endswith("json"):
        raise UnsupportedMediaType(f"{media_type} is neither JSON nor an image")
    return read_payload(read())


def predict_payload(found: Service, payload: PredictPayload, is_gone: Callable[[], bool]) -> Outcome:
    """The answer for the one image that a payload stands for."""
    pipeline = found.pipeline
    if payload.image is not None:
        return pipeline.predict_image(payload.image, is_gone)
    if payload.url is not None:
        return pipeline.predict_url(payload.url, is_gone)
    if payload.place is not None:
        return pipeline.predict_lnglat(*payload.place, is_gone)
    call().tile = "{}/{}/{}".format(*payload.address)
    return pipeline.predict_tile(*payload.address, is_gone)


@blueprint.get("/predictions/<int(signed=True):z>/<int(signed=True):x>/<int(signed=True):y>.geojson")
@operation(
    "Predictions",
    gives={GEOJSON: FeatureCollection, JSON: FeatureCollection},
    errors=(400, 404, 406, 422, 500, 502, 503, 504),
    arguments=sample_address,
)
def prediction(z: int, x: int, y: int) -> Response:
    """One tile's FeatureCollection, at an address of its own, so that a map can use the service as a layer."""
    form = media_type_for(request.environ.get("HTTP_ACCEPT", ""), (GEOJSON, JSON))
    call().tile = f"{z}/{x}/{y}"
    outcome = answered(service().pipeline.predict_tile(z, x, y))
    response = json_response(outcome.answer.dumps(), media_type=form)
    seconds = service().settings.cache_seconds
    response.headers["Vary"] = "Accept, Accept-Encoding"
    response.headers["Cache-Control"] = f"max-age={seconds}" if seconds else "no-cache"
    return response


def respond(found: Service, outcome: Outcome, form: str) -> Response:
    """The answer in one of FORMS."""
    answered(outcome)
    if form in SEQUENCES:
        features = outcome.answer.features()
        body = dump(features, form) if len(features) <= AT_A_TIME else dump_pieces(features, form)
        return Response(body, content_type=form)
    return Response(written(found, outcome, form), content_type=form)


def written(found: Service, outcome: Outcome, form: str) -> bytes:
    """The answer with all that is known about it; in GeoJSON the features alone."""
    if form == GEOJSON:
        return outcome.answer.dumps()
    return orjson.dumps(
        {
            "prediction": orjson.Fragment(outcome.answer.dumps()),
            "tile": outcome.tile,
            "service": orjson.Fragment(found.description_json),
            "report": outcome.report,
            "timing": outcome.timing,
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def predict_area(geometry: shapely.Geometry, form: str) -> Response:
    """The answer for all tiles that a geometry takes."""
    began = time.monotonic()
    found = service()
    settings = found.settings
    if not settings.tiles:
        raise PayloadError("this service has no tile source", "set TILES, or post an image")
    area = ask_for(geometry, settings.zoom_level, settings.max_tiles_per_request)
    join = Join(area, settings.padding)
    results = predict_tiles(found.pipeline, area.tiles, began + settings.timeout, client_watch(request.environ))
    features: list[dict[str, Any]] = []
    with found.predictor.admitted():  # one place is this request's, however many tiles it has
        for tile, result in results:
            features += join.add(tile, result)
            if form in SEQUENCES and join.answered:  # what cannot be predicted at all is told before the first line
                break
        else:
            join.check()
    if form in SEQUENCES:
        name = correlation_id()

        def lines() -> Iterator[bytes]:
            yield dump(features, form)
            for tile, result in results:
                yield dump(join.add(tile, result), form)
            yield dump([{"type": "Feature", "geometry": None, "properties": {"report": join.report()}}], form)
            if join.failed:  # the one way to tell at the end of a stream: it is cut off; gunicorn does so at this error
                logger.warning("a stream was cut off, as tiles failed; correlation id %s", name)
                raise BrokenPipeError(errno.EPIPE, "not all tiles could be predicted")

        return Response(lines(), content_type=form)
    if join.failed:
        idempotency.forget()
    report = join.report()
    answer = Answer([orjson.dumps(feature) for feature in features], report)
    timing = {"total": round((time.monotonic() - began) * 1000, 2)}
    where = {"coordinates": "lonlat", "zoom": area.zoom, "bounds": area.bounds, "tiles": len(area.tiles)}
    outcome = answered(Outcome(answer, where, report, timing))
    if form == GEOJSON:  # a member of its own, as RFC 7946 allows: who takes the features alone is told of holes, too
        return json_response(b'%b,"report":%b}' % (answer.dumps()[:-1], orjson.dumps(report)), media_type=form)
    return json_response(
        {
            "prediction": orjson.Fragment(outcome.answer.dumps()),
            "area": where,
            "service": found.description,
            "report": report,
            "timing": timing,
        }
    )
