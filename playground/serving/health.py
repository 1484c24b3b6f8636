"""The endpoints that tell whether the service lives, and whether it can predict."""

from __future__ import annotations

import dataclasses
import datetime
import time
from typing import Any

from flask import Blueprint, Response, request

from playground.serving import guard
from playground.serving.endpoints import states as endpoints_states
from playground.serving.json import json_response
from playground.serving.lifecycle import is_draining
from playground.serving.openapi import operation
from playground.serving.openapi.schemas import Alive, Readiness
from playground.serving.state import Service, service, services

blueprint = Blueprint("health", __name__)


@blueprint.get("/-/alive")
@blueprint.get("/liveness_check")
@blueprint.get("/ping")
@operation("Health", gives={"application/json": Alive})
def alive() -> Response:
    """200 as long as the server answers, whatever the predictor does."""
    return json_response({"status": "alive"})


def is_ready() -> bool:
    """Whether a tile that is sent now can be predicted, by each predictor that the request's address stands for."""
    meant = (service(),) if "." in (request.blueprint or "") else services()
    return all(each.predictor.state().phase in ("ready", "busy") for each in meant) and not is_draining()


@blueprint.get("/-/ready")
@blueprint.get("/readiness_check")
@operation("Health", gives={200: {"application/json": Readiness}, 503: {"application/json": Readiness}})
def ready() -> Response:
    """200 only when every predictor can take a tile; the body says what each does, since when, and what went wrong."""
    told = [readiness_of(each) for each in services()]
    is_ready = all(each["phase"] in ("ready", "busy") for each in told) and not is_draining()
    status = "draining" if is_draining() else "ready" if is_ready else "not ready"
    body: dict[str, Any] = {"status": status, "predictor": told[0]}
    if application := service().settings.application:
        body["metadata"] = application
    if service().address:
        body["predictors"] = {each.address: state for each, state in zip(services(), told, strict=True)}
    if guard.is_admitted() and (more := endpoints_states()):
        body["endpoints"] = more
    return json_response(body, 200 if is_ready else 503)


def readiness_of(one: Service) -> dict[str, Any]:
    """What a predictor does, since when, and, to who may use the service, what went wrong."""
    state = one.predictor.state()
    since = datetime.datetime.fromtimestamp(state.since, datetime.timezone.utc)
    told: dict[str, Any] = dataclasses.asdict(state)
    if not guard.is_admitted():  # load balancers need to know whether; why is for those who may use the service
        told |= {"error": None, "traceback": None, "output": ()}
    told["since"] = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    told["elapsed"] = round(time.time() - state.since, 3)
    if one.settings.metadata:
        told["metadata"] = one.settings.metadata
    return told
