"""Areas: from one tile to a country, with no seams, no duplicates and no silent holes."""

from playground.area.aoi import Area, read_area
from playground.area.local import run
from playground.area.report import Report
from playground.area.running import AreaRun, Plan

__all__ = ["Area", "AreaRun", "Plan", "Report", "read_area", "run"]
