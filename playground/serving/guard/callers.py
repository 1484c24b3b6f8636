"""Who asks: the name that the guard found, for the log, limits and whatever belongs to one caller."""

from __future__ import annotations

import re

from playground.serving.calls import call, current

LONGEST = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def caller() -> str:
    """The authenticated caller's name; empty where there is none: of a key, a token's subject, an address."""
    known = current()
    return known.caller if known else ""


def remember(name: str) -> None:
    """Note the current request's caller."""
    call().caller = _UNPRINTABLE.sub("?", name)[:LONGEST]
