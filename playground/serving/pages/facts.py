"""What the pages must know of the service, and what the developer page shows."""

from __future__ import annotations

import os
import time
from typing import Any

from flask import Response, request

from playground.serving.guard import caller
from playground.serving.health import readiness_of
from playground.serving.json import json_response
from playground.serving.openapi.operation import operation
from playground.serving.pages.blueprint import blueprint
from playground.serving.recent import recent_of
from playground.serving.state import Service, service, services


@blueprint.get("/map.json")
@operation("Pages", gives={"application/json": dict[str, Any]})
def map_facts() -> Response:
    """What the map must know: zoom, padding, what the imagery covers and whose it is, how much may be asked for."""
    found = service()
    settings = found.settings
    body: dict[str, Any] = {
        "service": found.description,
        "title": title_of(found),
        "root": to_root(),
        "imagery": imagery_of(found),
        "images": found.images,
        "resolution": found.resolution,
        "max_tiles_per_request": settings.max_tiles_per_request,
        "workers": settings.workers,
        "backlog": settings.backlog,
        "timeout": settings.timeout,
        "predictors": [{"name": title_of(each), "address": each.address} for each in services()],
    }
    return json_response(body)


@blueprint.get("/developer.json")
@operation("Pages", gives={"application/json": dict[str, Any]})
def developer_facts() -> Response:
    """The predictor's state in the worker that answers, the last requests of all workers, and what is configured."""
    kept = recent_of()
    settings = service().settings
    everything = settings.auth == "none" or settings.developer_log
    body = {
        "service": service().description,
        "title": title_of(service()),
        "root": to_root(),
        "worker": os.getpid(),
        "workers": settings.workers,
        "now": time.time(),
        "ready": readiness_of(service()),
        "imagery": imagery_of(service()),
        "requests": kept.requests(None if everything else caller()),
        "log": kept.lines() if settings.developer_log else None,
    }
    response = json_response(body)
    response.headers["Cache-Control"] = "no-store"
    return response


def to_root() -> str:
    """The way from a page to the service's own pages: up, where it is that of one of several predictors."""
    return "../" * len(service().address.strip("/").split("/")) if "." in (request.blueprint or "") else ""


def title_of(found: Service) -> str:
    """What people call it."""
    return found.told.title or found.settings.predictor_name or found.settings.name


def imagery_of(found: Service) -> dict[str, Any] | None:
    """What the tile source covers, and whose it is; None where there is no source."""
    info = found.pipeline.source_info()
    if info is None:
        return None
    return {
        "minzoom": info.minzoom,
        "maxzoom": info.maxzoom,
        "bounds": info.bounds,
        "attribution": info.attribution,
    }
