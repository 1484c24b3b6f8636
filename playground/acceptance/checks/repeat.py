"""Whether the same image has the same answer, whatever came before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from playground.acceptance.bench import Bench
from playground.acceptance.masks import disagreement, mask_of
from playground.acceptance.model import Check, Observation, Sample, Verdict, failed, passed, skipped
from playground.errors import PredictorError

DECIMALS = 2


def fingerprint(features: Iterable[Any]) -> list[bytes]:
    """Features in an order of their own, numbers rounded to hundredths."""
    return sorted(orjson.dumps(_rounded(feature), option=orjson.OPT_SORT_KEYS) for feature in features)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0
    if isinstance(value, dict):
        return {str(key): _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value


def difference(one: Observation, other: Observation, side: int) -> str:
    """How two answers to one image differ, in words; empty if they don't."""
    if one.answered != other.answered:
        return f"one is an answer, the other is not: {one.problem or other.problem or 'rejected'}"
    first, second = fingerprint(one.features), fingerprint(other.features)
    if first == second:
        return ""
    if len(first) != len(second):
        return f"{len(first)} features, then {len(second)}"
    share = disagreement(mask_of(one.features, side, side), mask_of(other.features, side, side))
    same = len(set(first) & set(second))
    return f"{len(first) - same} of {len(first)} features differ, {share:.1%} of what they cover"


def _samples(bench: Bench) -> list[Sample]:
    scene = bench.busy or bench.scenes[0]
    return [sample for sample in bench.samples(scene).values() if bench.see(sample).answered]


def _deterministic(bench: Bench) -> Verdict:
    samples = _samples(bench)
    if not samples:
        return skipped("it answers no ordinary tile")
    tile = samples[0]
    bench.ask(tile)  # what an earlier image left behind is another check's
    answers = [bench.ask(tile) for _ in range(3)]
    for later in answers[1:]:
        if words := difference(answers[0], later, bench.side):
            return failed(f"{tile.name}, asked again: {words}")
    return passed("three times the same")


DETERMINISTIC = Check(
    "must",
    _deterministic,
    "the same image has the same answer each time",
    "a client that asks again, or a neighbour tile's padding, would see another world; nothing can be verified",
    "call model.eval() (dropout!), fix seeds, take no threshold from the clock; on GPUs ask for deterministic kernels",
)


def _stateless(bench: Bench) -> Verdict:
    samples = _samples(bench)
    if len(samples) < 2:
        return skipped("it answers fewer than two ordinary tiles")
    first, *others = samples
    bench.ask(first)  # whatever was asked for before this check
    before = bench.ask(first)
    if difference(before, bench.ask(first), bench.side):
        return skipped("two answers in a row differ already")
    for other in others:
        bench.ask(other)
    if words := difference(before, bench.ask(first), bench.side):
        return failed(f"{first.name} before and after {len(others)} other tiles: {words}")
    return passed(f"the same before and after {len(others)} other tiles")


STATELESS = Check(
    "must",
    _stateless,
    "what was predicted before does not change an answer",
    "tiles come in any order from many clients: objects of one would appear in another's map",
    "keep nothing of a tile in self or in a module: make results and buffers inside predict",
)


def _any_order(bench: Bench) -> Verdict:
    samples = _samples(bench)
    if len(samples) < 2:
        return skipped("it answers fewer than two ordinary tiles")
    if bench.subject.sees != "process":
        return skipped("a service that runs cannot be started afresh")
    forth = [bench.see(sample) for sample in samples]  # the very first answers of the first process, in this order
    bench.subject.restart()
    back = [bench.ask(sample) for sample in reversed(samples)][::-1]
    for sample, one, other in zip(samples, forth, back, strict=True):
        if words := difference(one, other, bench.side):
            return failed(f"{sample.name}, in another order after a fresh start: {words}")
    return passed(f"{len(samples)} tiles forwards and backwards, each from a fresh start")


ANY_ORDER = Check(
    "must",
    _any_order,
    "answers do not depend on the order of tiles, from a fresh start on",
    "with two workers each sees other tiles: what the first one calibrates, or caches, differs between them",
    "take scales and thresholds from the training, not from the first tile; key caches by the image itself",
)


def _batches(bench: Bench) -> Verdict:
    if not bench.process.batches:
        return skipped("it has no predict_batch")
    samples = _samples(bench)
    if len(samples) < 2:
        return skipped("it answers fewer than two ordinary tiles")
    try:
        together = bench.process.predict_batch(samples)
    except PredictorError as error:
        return failed(error.message)
    if together is None:
        return failed("predict_batch raises, or does not give one result for each tile, in their order")
    for sample, seen in zip(samples, together, strict=True):
        if words := difference(bench.see(sample), seen, bench.side):
            return failed(f"{sample.name}, alone and in a batch of {len(samples)}: {words}")
    return passed(f"{len(samples)} tiles at once, each as if alone")


BATCHES = Check(
    "must",
    _batches,
    "predict_batch gives each tile the answer that predict gives it",
    "who is predicted together is chance: it depends on who else asks at that moment",
    "keep results in the order of the tiles; model.eval(), so that batch normalisation does not mix them",
    sees="process",
)


def _tile_kept(bench: Bench) -> Verdict:
    changed = {name for seen in bench.observations().values() for name in seen.inside.get("mutated", ())}
    if changed:
        return failed(f"predict() changes {', '.join(f'tile.{name}' for name in sorted(changed))}")
    return passed()


TILE_KEPT = Check(
    "good",
    _tile_kept,
    "predict leaves the tile as it was",
    "a postprocessor, and every later step that looks at the tile, sees what is left of it",
    "work on a copy: array = tile.array.astype(np.float32); beware of in-place operators and of drawing",
    sees="process",
)


def stable_noise(side: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(side, side, 3) of noise: the same for a seed."""
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
