"""Areas: from one tile to a country, with no seams, no duplicates and no silent holes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playground import registry

if TYPE_CHECKING:
    from playground.area.aoi import Area, read_area
    from playground.area.local import run
    from playground.area.report import Report
    from playground.area.running import AreaRun, Plan

__all__ = ["Area", "AreaRun", "Plan", "Report", "read_area", "run"]

_HOME = {
    "Area": "playground.area.aoi:Area",
    "AreaRun": "playground.area.running:AreaRun",
    "Plan": "playground.area.running:Plan",
    "Report": "playground.area.report:Report",
    "read_area": "playground.area.aoi:read_area",
    "run": "playground.area.local:run",
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: the server covers areas, and needs nothing else of this package."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return registry.load(_HOME[name])
