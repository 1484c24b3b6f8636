"""The Tile Geo Process API's own endpoint: images in, GeoJSON in pixels out."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import orjson
from flask import Blueprint, Response, request
from msgspec import Meta
from werkzeug.exceptions import UnsupportedMediaType

from playground.answers import Answer
from playground.errors import (
    PayloadError,
    PlaygroundError,
    PredictorNotReadyError,
    PredictorTimeoutError,
    RequestAbandonedError,
)
from playground.pipeline import Outcome
from playground.serving.calls import call
from playground.serving.connection import client_watch
from playground.serving.errors import error_body, outcome_of, status_of
from playground.serving.json import json_response
from playground.serving.negotiation import JSON, mimetype_of
from playground.serving.openapi import AnyOf, operation
from playground.serving.openapi.samples import sample_image
from playground.serving.openapi.schemas import FailedPayload, PixelCollection
from playground.serving.predictions import refuse_newcomers
from playground.serving.process_payload import MAX_PAYLOADS, ProcessPayload, read_one, read_process
from playground.serving.state import Service, service
from playground.serving.watch import answered

blueprint = Blueprint("process", __name__)
blueprint.before_request(refuse_newcomers)

Payloads = Annotated[list[ProcessPayload], Meta(min_length=1, max_length=MAX_PAYLOADS)]
PREDICTION_ERRORS = (400, 413, 415, 422, 500, 503, 504)


def examples(found: Service) -> Mapping[str, Any]:
    """Payloads that work with this service."""
    tiles = [sample_image(found)] * found.images[0]
    payload = {"resolution": round(found.resolution, 3), "tiles": tiles}
    return {
        "one": payload,
        "with metadata": payload | {"metadata": {"incidenceAngle": [12.5], "sunElevation": [48.0]}},
        "several": [payload, payload],
    }


@blueprint.post("/api/v1/process")
@operation(
    "Tile Geo Process API",
    takes={"application/json": AnyOf((ProcessPayload, Payloads))},
    gives={
        "application/json": AnyOf((PixelCollection, AnyOf((PixelCollection, FailedPayload), as_list=True))),
    },
    errors=PREDICTION_ERRORS,
    examples=examples,
)
def process() -> Response:
    """Predict the images of a payload, or of every payload of an array.

    An array is answered by an array in the same order, with status 200: what cannot be predicted has an error in its
    place, with the status that it would have had alone, and the rest is answered all the same. An array counts as one
    request among those that wait, and its payloads are predicted one after the other; those that the service's timeout
    leaves no time for are answered 504.
    """
    require_json(request.mimetype)
    payloads = read_process(request.get_data())
    found, is_gone = service(), client_watch(request.environ)
    if isinstance(payloads, ProcessPayload):
        return json_response(pixel_collection(answered(_predict(found, payloads, is_gone)).answer))
    answers, outcomes, failures = _predict_all(found, payloads, is_gone)
    if outcomes:
        answered(_together(outcomes))
    if failures:
        known = call()
        known.outcome = known.outcome if outcomes else outcome_of(failures[0])
        known.error = f"{len(failures)} of {len(answers)} payloads failed, the first: {failures[0].message}"
    return json_response(b"[" + b",".join(answers) + b"]")


def process_plain(found: Service, environ: dict[str, Any], body: bytes) -> tuple[bytes, str] | None:
    """The same for the lane: one payload; None for what is Flask's."""
    require_json(mimetype_of(environ.get("CONTENT_TYPE", "")))
    payload = read_process(body)
    if not isinstance(payload, ProcessPayload):
        return None
    return pixel_collection(answered(_predict(found, payload, client_watch(environ))).answer), JSON


def require_json(media_type: str) -> None:
    """Refuse a body that says that it is something else."""
    if media_type and not media_type.endswith("json"):
        raise UnsupportedMediaType(f"{media_type} is not JSON")


def pixel_collection(answer: Answer) -> bytes:
    """The answer in that API's words: ``category`` and ``tags`` are lists of texts."""
    features = []
    for feature in answer.features():
        properties = dict(feature["properties"])
        properties["category"] = properties["tags"] = properties.pop("categories")
        features.append(feature | {"properties": properties})
    return orjson.dumps({"type": "FeatureCollection", "features": features})


def predict_images(found: Service, images: Sequence[bytes], is_gone: Callable[[], bool], **told: Any) -> Outcome:
    """The answer for the images of one payload, if they are as many as the predictor reads.

    Raises:
        PayloadError: more, or fewer.
        PlaygroundError: see ``Pipeline.predict_images``.
    """
    least, most = found.images
    if not least <= len(images) <= most:
        wanted = str(least) if least == most else f"{least} or {most}"
        raise PayloadError(f"the payload has {len(images)} tiles; this predictor reads {wanted}")
    return found.pipeline.predict_images(images, abandoned=is_gone, **told)


def _predict(found: Service, payload: ProcessPayload, is_gone: Callable[[], bool]) -> Outcome:
    return predict_images(found, payload.tiles, is_gone, resolution=payload.resolution, metadata=payload.metadata)


def _predict_all(
    found: Service, payloads: Sequence[msgspec.Raw], is_gone: Callable[[], bool]
) -> tuple[list[bytes], list[Outcome], list[PlaygroundError]]:
    """What each payload of an array is answered, as JSON; and how it came about.

    Raises:
        PredictorBusyError: enough requests wait already.
        PredictorNotReadyError: and no payload was answered before.
    """
    answers: list[bytes] = []
    outcomes: list[Outcome] = []
    failures: list[PlaygroundError] = []
    seconds = found.settings.timeout
    until = time.monotonic() + seconds
    with found.predictor.admitted():
        for payload in payloads:
            try:
                if time.monotonic() > until:
                    raise PredictorTimeoutError(
                        f"the {seconds} seconds of this request were over before this payload's turn",
                        "send fewer payloads at once",
                    )
                outcome = _predict(found, read_one(payload), is_gone)
            except RequestAbandonedError:
                raise
            except PlaygroundError as error:
                if isinstance(error, PredictorNotReadyError) and not outcomes:
                    raise
                failures.append(error)
                status = status_of(error)
                answers.append(orjson.dumps(error_body(status, error.message, error.hint) | {"status": status}))
            else:
                outcomes.append(outcome)
                answers.append(pixel_collection(outcome.answer))
    return answers, outcomes, failures


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcomes of an array as one, for the log and the metrics."""
    first = outcomes[0]
    report = dict(first.report)
    for key in ("features_in", "features_out"):
        report[key] = sum(each.report[key] for each in outcomes)
    for key in ("repairs", "dropped"):
        counts: Counter[str] = Counter()
        for each in outcomes:
            counts.update(each.report[key])
        report[key] = dict(counts)
    timing: Counter[str] = Counter()
    for each in outcomes:
        timing.update(each.timing)
    return dataclasses.replace(first, report=report, timing={name: round(spent, 2) for name, spent in timing.items()})
