"""What the views need, kept by the application they belong to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, request

from playground.pipeline import Pipeline
from playground.predictor import Predictor
from playground.settings import RunningSettings
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
    blueprint = request.blueprint or ""
    if "." not in blueprint:
        return services()[0]
    found: Service = current_app.extensions["playground.by_blueprint"][blueprint.partition(".")[0]]
    return found
