"""The acceptance test of a predictor: checks, each with a grade, a verdict, and words on why it matters.

A check is one object in a file of ``checks`` and one line of CHECKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from playground.acceptance.bench import Bench
from playground.acceptance.model import Check, Expectations, Finding, Verdict, skipped
from playground.errors import PredictorNotReadyError
from playground.registry import load

__all__ = ["CHECKS", "Bench", "Check", "Expectations", "Finding", "Verdict", "run_checks"]

CHECKS = {
    "loads": "playground.acceptance.checks.contract:LOADS",
    "predicts": "playground.acceptance.checks.contract:PREDICTS",
    "returns": "playground.acceptance.checks.contract:RETURNS",
    "plain-images": "playground.acceptance.checks.inputs:PLAIN_IMAGES",
    "bands": "playground.acceptance.checks.inputs:BANDS",
    "sizes": "playground.acceptance.checks.inputs:SIZES",
    "broken-image": "playground.acceptance.checks.inputs:BROKEN_IMAGE",
    "axis-order": "playground.acceptance.checks.placement:AXIS_ORDER",
    "padded-frame": "playground.acceptance.checks.placement:PADDED_FRAME",
    "deterministic": "playground.acceptance.checks.repeat:DETERMINISTIC",
    "stateless": "playground.acceptance.checks.repeat:STATELESS",
    "any-order": "playground.acceptance.checks.repeat:ANY_ORDER",
    "batches": "playground.acceptance.checks.repeat:BATCHES",
    "tile-kept": "playground.acceptance.checks.repeat:TILE_KEPT",
    "seams": "playground.acceptance.checks.seams:SEAMS",
    "padding-enough": "playground.acceptance.checks.seams:PADDING_ENOUGH",
    "padding-used": "playground.acceptance.checks.seams:PADDING_USED",
    "translation": "playground.acceptance.checks.seams:TRANSLATION",
    "readable": "playground.acceptance.checks.geometry:READABLE",
    "finite": "playground.acceptance.checks.geometry:FINITE",
    "inside-image": "playground.acceptance.checks.geometry:INSIDE_IMAGE",
    "pixel-convention": "playground.acceptance.checks.placement:PIXEL_CONVENTION",
    "valid-polygons": "playground.acceptance.checks.geometry:VALID_POLYGONS",
    "closed-rings": "playground.acceptance.checks.geometry:CLOSED_RINGS",
    "duplicates": "playground.acceptance.checks.geometry:DUPLICATES",
    "category": "playground.acceptance.checks.geometry:CATEGORY",
    "confidence": "playground.acceptance.checks.geometry:CONFIDENCE",
    "quiet": "playground.acceptance.checks.manners:QUIET",
    "stays-put": "playground.acceptance.checks.manners:STAYS_PUT",
    "signals": "playground.acceptance.checks.manners:SIGNALS",
    "leftovers": "playground.acceptance.checks.manners:LEFTOVERS",
    "no-network": "playground.acceptance.checks.manners:NO_NETWORK",
    "load-time": "playground.acceptance.checks.cost:LOAD_TIME",
    "latency": "playground.acceptance.checks.cost:LATENCY",
    "first-prediction": "playground.acceptance.checks.cost:FIRST_PREDICTION",
    "memory-growth": "playground.acceptance.checks.cost:MEMORY_GROWTH",
    "answer-size": "playground.acceptance.checks.cost:ANSWER_SIZE",
    "health": "playground.acceptance.checks.serving:HEALTH",
    "errors": "playground.acceptance.checks.serving:ERRORS",
    "concurrent": "playground.acceptance.checks.serving:CONCURRENT",
    "drains": "playground.acceptance.checks.serving:DRAINS",
}
"""Name to "module:attribute" of a Check, in the order in which they are run: later ones use answers of earlier ones."""

INSIDE = "only seen from inside the predictor process: check the class or the service.yaml"
OVER_HTTP = "only for a running service: check its URL or its image"


def run_checks(
    bench: Bench, names: Iterable[str] = tuple(CHECKS), progress: Callable[[str], None] = lambda name: None
) -> list[Finding]:
    """Check a predictor.

    Args:
        bench: with a subject that has not been started.
        names: of the checks, of CHECKS.
        progress: told the name of each check before it is run.

    Returns:
        A finding for each check.

    Raises:
        SettingsError: there is no such interpreter.
    """
    try:
        bench.subject.start()
    except PredictorNotReadyError as error:
        bench.load_problem = (error.message, error.hint)
    findings = []
    for name in names:
        progress(name)
        check: Check = load(CHECKS[name])
        group = CHECKS[name].partition(":")[0].rpartition(".")[2]
        findings.append(Finding(name, group, check, _verdict(bench, name, check)))
    return findings


def _verdict(bench: Bench, name: str, check: Check) -> Verdict:
    if bench.load_problem is not None and name != "loads":
        return skipped("it does not load")
    if check.sees not in ("any", bench.subject.sees):
        return skipped(INSIDE if check.sees == "process" else OVER_HTTP)
    try:
        return check.run(bench)
    except PredictorNotReadyError as error:
        return skipped(f"the predictor could not be started again: {error.message}")
