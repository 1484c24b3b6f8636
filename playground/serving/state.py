"""What the views need, kept by the application they belong to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson
from flask import Flask, current_app, request

from playground import geo
from playground.pipeline import Pipeline
from playground.predictor import Predictor
from playground.settings import RunningSettings
from playground.settings.description import Description, description_of
from playground.version import __version__

if TYPE_CHECKING:
    from playground.serving.metrics import Metrics


@dataclasses.dataclass(frozen=True)
class Service:
    """One predictor of the running service, and all that belongs to it."""

    settings: RunningSettings
    pipeline: Pipeline
    predictor: Predictor
    metrics: Metrics

    @cached_property
    def told(self) -> Description:
        """What its team says of it."""
        return description_of(self.settings.description)

    @property
    def version(self) -> str:
        """The service's own, or playground's where nobody gave it one."""
        return str(self.told.version or __version__)

    @property
    def images(self) -> tuple[int, int]:
        """(fewest, most) images of one place that the predictor reads."""
        told = self.told
        if told.requirements.number_of_images:
            return (told.requirements.number_of_images,) * 2
        if told.family:
            return (2, 2) if told.family == "change-detection" else (1, 1)
        return 1, 2

    @property
    def resolution(self) -> float:
        """Metres on the ground per pixel of the service's tiles, at 45 degrees of latitude."""
        return float(2 * geo.HALF_WORLD / 2**self.settings.zoom_level / 256 * math.cos(math.radians(45)))

    @property
    def seconds(self) -> float:
        """How long one prediction has taken lately."""
        return self.predictor.seconds()

    @cached_property
    def description(self) -> dict[str, Any]:
        """Who answers: travels in every answer."""
        settings = self.settings
        told = {
            "name": settings.name,
            "predictor": f"{settings.predictor_package}:{settings.predictor_class}",
            "zoom_level": settings.zoom_level,
            "padding": settings.padding,
            "playground": __version__,
        }
        return told | ({"address": self.address} if self.address else {})

    @cached_property
    def description_json(self) -> bytes:
        """The same as JSON."""
        return orjson.dumps(self.description, option=orjson.OPT_SERIALIZE_NUMPY)

    @property
    def address(self) -> str:
        """Where this one of several predictors answers: /namespace/name/version; empty where there is only one."""
        settings = self.settings
        parts = (settings.namespace, settings.predictor_name, settings.predictor_version)
        return "/" + "/".join(parts) if settings.predictor_name else ""


def install(app: Flask, services: Sequence[Service]) -> None:
    """Keep the services in the application; the first answers where a request names none."""
    app.extensions["playground"] = tuple(services)
    app.extensions["playground.by_blueprint"] = {blueprint_of(each): each for each in services[::-1]}


def blueprint_of(one: Service) -> str:
    """The name of the blueprint that holds the endpoints of one of several predictors."""
    return one.address.replace(".", "%2e")  # Flask's own separator


def services() -> tuple[Service, ...]:
    """All of this application."""
    found: tuple[Service, ...] = current_app.extensions["playground"]
    return found


def service() -> Service:
    """The service of the current request."""
    return service_of(current_app, request.blueprint or "")


def service_of(app: Flask, blueprint: str) -> Service:
    """The service of the requests that a blueprint answers."""
    if "." not in blueprint:
        first: Service = app.extensions["playground"][0]
        return first
    found: Service = app.extensions["playground.by_blueprint"][blueprint.partition(".")[0]]
    return found
