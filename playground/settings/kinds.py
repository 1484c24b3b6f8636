"""Kinds of setting values: what is allowed, in words, and how a value is read.

A kind has ``allowed`` (words that finish the sentence "allowed: ..."), ``check(value)`` for a value that YAML has typed
and ``parse(text)`` for one from the environment, where everything is text. Both return the value or raise ValueError.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Protocol

from playground.settings.secret import Secret, read_headers


class Kind(Protocol):
    """What a setting may be."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""

    def check(self, value: object) -> object:
        """The value, from YAML."""

    def parse(self, text: str) -> object:
        """The value, from the environment."""


@dataclass(frozen=True)
class Whole:
    """A whole number, ``low`` and ``high`` included."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def check(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise ValueError(self.allowed)
        return value

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
            raise ValueError(self.allowed)
        return self.check(int(text))


@dataclass(frozen=True)
class Number:
    """A number, ``low`` and ``high`` included; kept in decimals, because 1.4 + 0.4 is not 1.8 in floats."""

    low: Decimal
    high: Decimal

    @property
    def allowed(self) -> str:
        return f"a number from {self.low} to {self.high}"

    def check(self, value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ValueError(self.allowed)
        if not self.low <= value <= self.high:
            raise ValueError(self.allowed)
        return Decimal(value)

    def parse(self, text: str) -> Decimal:
        try:
            return self.check(Decimal(text))
        except InvalidOperation:
            raise ValueError(self.allowed) from None


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(self.options)

    def check(self, value: object) -> str:
        if value not in self.options:
            raise ValueError(self.allowed)
        return str(value)

    def parse(self, text: str) -> str:
        return self.check(text)


@dataclass(frozen=True)
class Switch:
    """On or off. YAML reads an unquoted on or off as true or false, the environment has only words."""

    allowed: str = "on or off"

    def check(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        return self.parse(value if isinstance(value, str) else "")

    def parse(self, text: str) -> bool:
        if text.lower() in ("on", "true", "yes", "1"):
            return True
        if text.lower() in ("off", "false", "no", "0"):
            return False
        raise ValueError(self.allowed)


@dataclass(frozen=True)
class Text:
    """A text that ``accepts`` says yes to; ``allowed`` says in words which those are."""

    allowed: str
    accepts: Callable[[str], object]

    def check(self, value: object) -> str:
        if not isinstance(value, str) or not self.accepts(value):
            raise ValueError(self.allowed)
        return value

    def parse(self, text: str) -> str:
        return self.check(text)


@dataclass(frozen=True)
class Hidden:
    """A secret text that ``accepts`` says yes to; nobody is shown what was found instead.

    ``in_files`` says whether app.yaml, which goes into the image, may hold it, or the environment only.
    """

    allowed: str
    accepts: Callable[[str], object]
    in_files: bool = True

    def check(self, value: object) -> Secret:
        if not isinstance(value, str) or not self.accepts(value):
            raise ValueError(self.allowed)
        return Secret(value)

    def parse(self, text: str) -> Secret:
        return self.check(text.strip())


@dataclass(frozen=True)
class Block:
    """A mapping with keys of its own choice, or (``many``) a list of such; in the environment, JSON."""

    allowed: str
    many: bool = False

    def check(self, value: object) -> object:
        blocks = value if self.many else [value]
        if not isinstance(blocks, list) or not blocks or not all(isinstance(block, dict) and block for block in blocks):
            raise ValueError(self.allowed)
        return _plain_numbers(value)

    def parse(self, text: str) -> object:
        try:
            return self.check(json.loads(text))
        except RecursionError:
            raise ValueError(self.allowed) from None


def _plain_numbers(value: object) -> object:
    """The same with floats in place of decimals, as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _plain_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


@dataclass(frozen=True)
class Names:
    """Names for the predictor's classes; in the environment, JSON."""

    allowed: str = "names by class, like {0: ship, 1: boat}"

    def check(self, value: object) -> dict[str, str]:
        if not isinstance(value, dict) or not value:
            raise ValueError(self.allowed)
        if not all(isinstance(name, str) and is_printable(name) for name in value.values()):
            raise ValueError(self.allowed)
        return {str(key): name for key, name in value.items()}

    def parse(self, text: str) -> dict[str, str]:
        try:
            return self.check(json.loads(text))
        except ValueError:
            raise ValueError(self.allowed) from None


def is_python_name(text: str) -> bool:
    """Whether Python accepts ``text`` as the name of a class."""
    return text.isidentifier() and not keyword.iskeyword(text)


def is_dotted_name(text: str) -> bool:
    """Whether Python accepts ``text`` after ``import``."""
    return all(is_python_name(part) for part in text.split("."))


def is_attribute(text: str) -> bool:
    """Whether ``text`` names something in a module: ``package.module.name`` or ``package.module:name``."""
    module, _, name = text.rpartition(":") if ":" in text else text.rpartition(".")
    return is_dotted_name(module) and is_python_name(name)


def is_path_part(text: str) -> bool:
    """Whether ``text`` can be one part of an address, as it is."""
    return bool(re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})", text))


def is_printable(text: str) -> bool:
    """Whether ``text`` is one line that is not blank."""
    return bool(text.strip()) and text.isprintable()


# distribution/reference: [host[:port]/]path[:tag][@digest]; at most 255 characters before the tag.
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?/)"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"{_HOST}?{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)


def is_image(text: str) -> bool:
    """Whether Docker accepts ``text`` as the reference of an image."""
    return len(text) <= 400 and bool(_IMAGE.fullmatch(text))


def is_service_id(text: str) -> bool:
    """Whether App Engine accepts ``text`` as the name of a service."""
    return bool(re.fullmatch(r"(?!-)[a-z\d-]{0,62}[a-z\d]", text, re.ASCII))


def is_project_id(text: str) -> bool:
    """Whether Google Cloud accepts ``text`` as the id of a project, ``example.com:`` in front included."""
    return bool(re.fullmatch(r"(?:[a-z0-9.-]+\.[a-z]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", text))


def is_url_path(text: str) -> bool:
    """Whether ``text`` is the path of a URL, without a slash at its end."""
    return len(text) <= 200 and bool(re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text)) and "/.." not in text


def is_headers(text: str) -> bool:
    """Whether ``text`` holds HTTP headers, see ``read_headers``."""
    try:
        return bool(read_headers(text))
    except ValueError:
        return False


def is_secret_line(text: str) -> bool:
    """Whether ``text`` can stand in an HTTP header."""
    return bool(re.fullmatch(r"[\x21-\x7e]+", text))


def is_hosts(text: str) -> bool:
    """Whether ``text`` lists hosts, with or without ports; what each is worth is seen when it is used."""
    return all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?", part) for part in _hosts(text))


def is_origins(text: str) -> bool:
    """Whether ``text`` lists origins (scheme, host, port if any), or is ``*``."""
    host = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?"
    return text.strip() == "*" or all(re.fullmatch(f"https?://{host}", part) for part in _hosts(text))


def is_keys_url(text: str) -> bool:
    """Whether keys fetched from ``text`` are who they say they are: HTTPS, or this machine."""
    return bool(re.fullmatch(r"(https://[^\s/@?#]+|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?)(/\S*)?", text))


def is_rate(text: str) -> bool:
    """Whether ``text`` is a rate, see ``read_rate``."""
    try:
        return bool(read_rate(text))
    except ValueError:
        return False


_PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def read_rate(text: str) -> tuple[int, int]:
    """(requests, seconds) of a text like 100/minute.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,6})\s*/\s*(second|minute|hour|day)", text)
    if not found:
        raise ValueError(text)
    return int(found[1]), _PERIODS[found[2]]


def _hosts(text: str) -> list[str]:
    return re.split(r"[\s,]+", text.strip())
