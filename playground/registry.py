"""Names to classes, imported when asked for, so that nobody pays for what they don't use."""

from __future__ import annotations

import importlib
from typing import Any


def load(target: str) -> Any:
    """The object that ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
