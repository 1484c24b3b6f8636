"""Whether it is a predictor at all."""

from __future__ import annotations

from playground.acceptance.bench import Bench
from playground.acceptance.model import Check, Verdict, failed, passed


def _loads(bench: Bench) -> Verdict:
    if bench.load_problem is not None:
        message, hint = bench.load_problem
        return failed(f"{message}\n{hint}".strip())
    return passed(f"in {bench.subject.load_seconds[0]:.1f} s")


LOADS = Check(
    "must",
    _loads,
    "the class can be imported and constructed, and has predict(tile)",
    "a service whose predictor does not load never becomes ready, and App Engine gives up on it",
    "the traceback shows where; everything that the class needs must be in its interpreter and its folder",
)


def _predicts(bench: Bench) -> Verdict:
    problems = []
    samples = bench.ordinary()
    for sample in samples:
        if (seen := bench.see(sample)).problem:
            problems.append(f"{sample.name}: {seen.problem}")
    if problems:
        return failed("; ".join(problems[:3]))
    refused = sum(bench.see(sample).rejected for sample in samples)
    if refused == len(samples):
        return failed("it refuses every ordinary tile: give --scene or --tiles with images that it takes")
    return passed(f"{len(samples)} ordinary tiles" + (f", of which it refuses {refused}" if refused else ""))


PREDICTS = Check(
    "must",
    _predicts,
    "ordinary tiles are predicted without an exception, a crash or a time-out",
    "each one that fails is a hole in the client's map, answered with 500 or 504 and tried again for nothing",
    "mend what the exception says; for a tile that truly cannot be predicted raise PredictError, which is a 422",
)


def _returns(bench: Bench) -> Verdict:
    others = {seen.other for seen in map(bench.see, bench.ordinary()) if seen.other}
    if others:
        return failed(f"returned {', '.join(sorted(others))}")
    return passed("a PredictionResult or a FeatureCollection")


RETURNS = Check(
    "must",
    _returns,
    "predict returns a PredictionResult or a FeatureCollection",
    "anything else is answered as an empty FeatureCollection: the client believes that nothing is there",
    "return PredictionResult(tile) with add_result(…), or geojson.FeatureCollection([…])",
)
