"""The settings: each field in these files is the single definition of one (key, what is allowed, default, unit, help).

One file an idea; the classes here put them together, in the order in which they are shown. Those of the other files
are never made by themselves, and what is not generated for them makes every start a few milliseconds shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from playground.settings.fields.about import (
    PROJECT_ID,
    SERVICE_ID,
    About,
    about,
    defaults_of,
    docs_table,
    settings_of,
)
from playground.settings.fields.access import AccessFields
from playground.settings.fields.answers import AnswerFields
from playground.settings.fields.capacity import CapacityFields
from playground.settings.fields.predictor import PredictorFields
from playground.settings.fields.secrets import SecretFields
from playground.settings.fields.server import ServerFields
from playground.settings.kinds import Number, Text, Whole, is_image

__all__ = [
    "PROJECT_ID",
    "REQUIRED",
    "About",
    "PredictorSettings",
    "Resources",
    "RunningSettings",
    "ServiceSettings",
    "defaults_of",
    "docs_table",
    "settings_of",
]


# Python takes the fields of the last class first.
@dataclass(frozen=True, kw_only=True)
class PredictorSettings(AccessFields, CapacityFields, AnswerFields, PredictorFields):
    """What service.yaml and the running service have in common."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The machine of one App Engine instance."""

    cpu: int = field(default=4, metadata=about("resources.cpu", Whole(1, 80), "processor cores", "cores"))
    memory_gb: Decimal = field(
        default=Decimal("3.2"),
        metadata=about("resources.memory_gb", Number(Decimal("0.1"), Decimal(520)), "memory for the service", "GB"),
    )
    disk_size_gb: int = field(
        default=10,
        metadata=about("resources.disk_size_gb", Whole(10, 10240), "disk, the image included", "GB"),
    )


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(PredictorSettings):
    """A partner's service.yaml. ``warnings`` are problems that stop nothing."""

    image: str | None = field(
        default=None,
        metadata=about(
            "image",
            Text("the reference of a Docker image, like eu.gcr.io/project/my_service:latest", is_image),
            "the partner's Docker image",
        ),
    )
    name: str = field(metadata=about("name", SERVICE_ID, "the App Engine service; by default from the image's name"))
    resources: Resources = field(default_factory=Resources)
    warnings: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class RunningSettings(SecretFields, ServerFields, PredictorSettings):
    """What the running service needs, from its app.yaml and its environment.

    ``several`` are the same for each predictor of PREDICTORS: what it says about itself wins over the rest.
    The service's own values are then those of the first; ``application`` is the metadata that it gives itself.
    """

    namespace: str = ""
    predictor_name: str = ""
    predictor_version: str = ""
    several: tuple[RunningSettings, ...] = ()
    application: dict[str, Any] | None = None


REQUIRED = tuple(key for key in settings_of(PredictorSettings) if key not in defaults_of(PredictorSettings))
"""The keys without a default."""
