"""Settings as a program gives them: by name, as arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping

from playground.errors import SettingsError
from playground.settings.fields import RunningSettings, settings_of
from playground.settings.load import load_running, nearest


def load_arguments(given: Mapping[str, object], spelt: Mapping[str, str] | None = None) -> RunningSettings:
    """The settings of the running service, from the arguments of a function.

    Args:
        given: name of a setting -> value, typed or as text; None counts as not given.
        spelt: the argument of a setting that has another name: ``{"zoom_level": "zoom"}``.

    Raises:
        SettingsError: with every problem, each under the name of its argument.
    """
    known = {attribute: definition.env for attribute, definition in settings_of(RunningSettings).values()}
    unknown = [f"argument {name}: unknown{nearest(name, known)}" for name in given if name not in known]
    if unknown:
        raise SettingsError("the arguments cannot be used", problems=tuple(unknown))
    environ = {known[name]: _text(value) for name, value in given.items() if value is not None}
    said = {known[name]: f"argument {(spelt or {}).get(name, name)}" for name in given}
    return load_running(None, environ, said)


def _text(value: object) -> str:
    """A value as the environment would hold it."""
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
