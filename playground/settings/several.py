"""PREDICTORS: what each of several predictors says about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from playground.settings.fields import About, PredictorSettings, settings_of
from playground.settings.fields.access import AccessFields
from playground.settings.kinds import Text, is_path_part

PART = Text("letters, digits, points, hyphens and underscores, at most 63", is_path_part)
ADDRESS = {
    "namespace": ("namespace", About("namespace", PART, "the first part of its address", "", "")),
    "name": ("predictor_name", About("name", PART, "the second part", "", "")),
    "version": ("predictor_version", About("version", PART, "the third part", "", "")),
}
SHARED = ("PREDICTORS", "ENDPOINTS", "workers", "backlog", "timeout", *settings_of(AccessFields))
"""Of the whole service: the server's processes and threads are made for them, and one guard looks at all requests."""


def read_several(blocks: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The settings of each predictor that differ from the service's, by attribute; and what is wrong with them.

    Args:
        blocks: as the file has them.
    """
    own = {key: value for key, value in settings_of(PredictorSettings).items() if key not in SHARED}
    known = ADDRESS | own
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, block in enumerate(blocks, 1):
        values: dict[str, Any] = {"predictor_version": "v1"}
        for key, value in block.items():
            place = f"PREDICTORS, {number}. predictor: {key}"
            if key in SHARED:
                problems.append(f"{place}: belongs to the whole service")
            elif key not in known:
                problems.append(f"{place}: unknown key, allowed: {', '.join(known)}")
            else:
                attribute, definition = known[key]
                try:
                    values[attribute] = definition.kind.check(value)
                except ValueError:
                    values[attribute] = None  # not missing, but wrong
                    problems.append(f"{place}: found {value}, allowed: {definition.allowed}")
        if "name" not in block:
            problems.append(f"PREDICTORS, {number}. predictor: name: missing, needed: {PART.allowed}")
        found.append(values)
    addresses = [tuple(values.get(attribute) for attribute, _ in ADDRESS.values()) for values in found]
    for number, address in enumerate(addresses, 1):
        if address[1] is not None and address in addresses[: number - 1]:
            problems.append(f"PREDICTORS, {number}. predictor: has the same namespace, name and version as another")
    return found, problems
