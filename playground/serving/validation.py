"""Answers held to what /api/v1/openapi promises before they are sent: switched on to find faults, off in production."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import shapely
from flask import Flask, Response, current_app, request

from playground.serving.calls import call
from playground.serving.errors import error_response
from playground.serving.openapi import AnyOf
from playground.serving.openapi.operation import operation_of


def install(app: Flask) -> None:
    """Check every JSON answer. Installed last, so that it sees answers before they are compressed."""

    @app.after_request
    def hold(response: Response) -> Response:
        problem = _problem(response)
        if problem is None:
            return response
        known = call()
        known.outcome, known.error = "error", f"the answer is not as promised: {problem}"
        hint = "this service checks its answers (validate_responses); tell those who run it"
        return error_response(500, known.error, hint)


def _problem(response: Response) -> str | None:
    """What is wrong with an answer; None if nothing, or if it is of a kind that is not looked at."""
    view = current_app.view_functions.get(request.endpoint or "")
    told = operation_of(view)
    if told is None or response.is_streamed or request.method == "HEAD" or response.status_code == 304:
        return None
    promised = told.gives.get(response.status_code)
    if promised is None:
        return None if response.status_code in told.errors else f"status {response.status_code} is not documented"
    mimetype = response.mimetype or ""
    kind = promised.get(mimetype)
    if not mimetype.endswith("json") or kind is None:
        return None if mimetype in promised or not promised else f"{mimetype} is not documented"
    found = orjson.loads(response.get_data())
    if (problem := _mistyped(found, kind)) is not None:
        return problem
    return _invalid_geometry(found.get("prediction", found)) if isinstance(found, dict) else None


def _mistyped(found: Any, kind: Any) -> str | None:
    """Why what was read from JSON is not of a kind; None if it is."""
    if isinstance(kind, AnyOf) and kind.as_list:
        if not isinstance(found, list):
            return "it is no list"
        return next(filter(None, (_mistyped(each, AnyOf(kind.kinds)) for each in found)), None)
    if isinstance(kind, AnyOf):
        problems = [_mistyped(found, each) for each in kind.kinds]
        return None if None in problems else problems[0]
    try:
        msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        return str(error)
    except TypeError:  # a schema of its own, no type
        return None
    return None


def _invalid_geometry(collection: Any) -> str | None:
    if not isinstance(collection, dict) or collection.get("type") != "FeatureCollection":
        return None
    for number, feature in enumerate(collection["features"]):
        geometry = feature["geometry"]
        if geometry and not shapely.is_valid(shape := shapely.from_geojson(orjson.dumps(geometry))):
            return f"feature {number}: {shapely.is_valid_reason(shape)}"
    return None
