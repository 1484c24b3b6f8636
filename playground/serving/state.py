"""What the views need, kept by the application they belong to."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flask import current_app

from playground.pipeline import Pipeline
from playground.predictor import Predictor
from playground.settings import RunningSettings
from playground.version import __version__

if TYPE_CHECKING:
    from playground.serving.metrics import Metrics


@dataclasses.dataclass(frozen=True)
class Service:
    """One running service."""

    settings: RunningSettings
    pipeline: Pipeline
    predictor: Predictor
    metrics: Metrics

    @cached_property
    def description(self) -> dict[str, Any]:
        """Who answers: travels in every answer."""
        settings = self.settings
        return {
            "name": settings.name,
            "predictor": f"{settings.predictor_package}:{settings.predictor_class}",
            "zoom_level": settings.zoom_level,
            "padding": settings.padding,
            "playground": __version__,
        }


def service() -> Service:
    """The service of the current request."""
    found: Service = current_app.extensions["playground"]
    return found
