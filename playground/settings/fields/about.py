"""What is known of each setting, and of all those of a class."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from playground.settings.kinds import Kind, Text, is_project_id, is_service_id

SERVICE_ID = Text("lowercase letters, digits and hyphens, at most 63, no hyphen at either end", is_service_id)
PROJECT_ID = Text("a Google Cloud project id: 6 to 30 lowercase letters, digits and hyphens", is_project_id)
ONE_LINE = "one line of text"
DOTTED = "the name of a function, like ship_detection.hooks.sharpen"


@dataclass(frozen=True)
class About:
    """One setting: ``key`` as written in a file, ``env`` the environment variable of the running service."""

    key: str
    kind: Kind
    help: str
    unit: str
    env: str

    @property
    def allowed(self) -> str:
        return f"{self.kind.allowed} ({self.unit})" if self.unit else self.kind.allowed


def about(key: str, kind: Kind, text: str, unit: str = "", env: str = "") -> dict[str, About]:
    """The metadata of a settings field."""
    return {"about": About(key, kind, text, unit, env or key.upper())}


def settings_of(cls: type) -> dict[str, tuple[str, About]]:
    """The settings of a class, and of those that it holds: key -> (attribute, definition)."""
    found: dict[str, tuple[str, About]] = {}
    for each in dataclasses.fields(cls):
        if dataclasses.is_dataclass(each.default_factory):
            found |= settings_of(each.default_factory)
        elif "about" in each.metadata:
            found[each.metadata["about"].key] = (each.name, each.metadata["about"])
    return found


def docs_table(cls: type) -> list[tuple[str, str, str, str]]:
    """Rows for the documentation: key, what is allowed, default, help."""
    defaults = {**defaults_of(cls), "name": "from the image", "service": "from the package"}
    return [
        (key, each.allowed, _shown(defaults[key]) if key in defaults else "required", each.help)
        for key, (_, each) in settings_of(cls).items()
    ]


def defaults_of(cls: type) -> dict[str, Any]:
    """Defaults by key, of the settings that have one."""
    found: dict[str, Any] = {}
    for each in dataclasses.fields(cls):
        if dataclasses.is_dataclass(each.default_factory):
            found |= defaults_of(each.default_factory)
        elif "about" in each.metadata and each.default is not dataclasses.MISSING:
            found[each.metadata["about"].key] = each.default
    return found


def _shown(default: object) -> str:
    return "" if default is None else str(default)
