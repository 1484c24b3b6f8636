"""What the views need, kept by the application they belong to."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flask import current_app

from playground import geo
from playground.pipeline import Pipeline
from playground.predictor import Predictor
from playground.settings import RunningSettings
from playground.settings.description import Description
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

    @property
    def version(self) -> str:
        """The service's own, or playground's where nobody gave it one."""
        told = self.settings.description or Description()
        return str(told.version or __version__)

    @property
    def images(self) -> tuple[int, int]:
        """(fewest, most) images of one place that the predictor reads."""
        told = self.settings.description or Description()
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
