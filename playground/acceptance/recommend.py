"""Settings that follow from what was measured, within the rules of App Engine Flex: exact decimals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from playground.wrap.appengine import ADVISED, OVERHEAD_GB, is_machine, memory_range

SERVER_MB = 200
"""Of memory for each gunicorn worker beside its predictor: decoded tiles and the cache included."""
SPARE = 1.25
"""What a predictor may use more than it did here."""
PATIENCE = 3
"""How often the slowest prediction fits in the timeout, beside the wait for the others."""
SHORTEST, LONGEST = 10, 600
"""Seconds."""
FETCH_SECONDS = 15


def recommend(figures: Mapping[str, float], workers: int, backlog: int) -> dict[str, Any]:
    """workers, timeout, cpu and memory_gb.

    Args:
        figures: of a run of checks; what could not be measured leads to no recommendation.
        workers: wanted: as many predictions at the same time.
        backlog: requests that wait for each of them.

    Returns:
        Some of workers (int), timeout (int, seconds), cpu (int), memory_gb (str, a decimal).
    """
    found: dict[str, Any] = {}
    slowest = figures.get("latency_p95")
    if slowest is not None:
        seconds = FETCH_SECONDS + max(PATIENCE, backlog + 1) * slowest
        found["timeout"] = min(max(5 * math.ceil(seconds / 5), SHORTEST), LONGEST)
    memory = figures.get("memory_mb")
    if memory is None:
        return found
    needed = (Decimal(str(workers * (memory * SPARE + SERVER_MB))) / 1024).quantize(Decimal("0.1"), ROUND_CEILING)
    cpu = next_machine(math.ceil(workers * max(figures.get("cores", 1.0), 1.0) - 0.25))
    while memory_range(cpu)[1] < needed and cpu < 80:
        cpu = next_machine(cpu + 1)
    least = max(memory_range(cpu)[0], ADVISED * cpu - OVERHEAD_GB)
    found |= {"workers": workers, "cpu": cpu, "memory_gb": str(min(max(needed, least), memory_range(cpu)[1]))}
    return found


def next_machine(cpu: int) -> int:
    """The smallest machine of App Engine Flex with so many cores; its largest where there is none."""
    return next((cores for cores in range(max(cpu, 1), 81) if is_machine(cores)), 80)
