"""Texts that nobody may see."""

from __future__ import annotations

import json
import re

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]+")


class Secret:
    """A secret text. Logs, errors and tracebacks that show it show stars; ``reveal`` is for the one place of use."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def read_headers(text: str) -> dict[str, str]:
    """HTTP headers, written as a JSON object or as lines of ``Name: value``.

    Raises:
        ValueError: neither; says nothing about the text.
    """
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
    else:
        lines = [line.partition(":") for line in text.splitlines() if line.strip()]
        found = {name.strip(): value.strip() for name, _, value in lines}
    if not isinstance(found, dict) or not found:
        raise ValueError("no headers")
    for name, value in found.items():
        if not (isinstance(value, str) and _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            raise ValueError("no headers")
    return found
