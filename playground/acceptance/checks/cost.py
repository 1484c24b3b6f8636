"""What a prediction costs: time, memory, bytes; measured, and held against what was asked for."""

from __future__ import annotations

import statistics
import time

import numpy as np

from playground.acceptance.bench import Bench
from playground.acceptance.model import Check, Sample, Verdict, failed, passed, skipped

FEWEST = 10
ROUNDS = 3
"""Of further calls where memory seems to leak."""


def _load_time(bench: Bench) -> Verdict:
    seconds = max(bench.subject.load_seconds)
    bench.figures["load_seconds"] = round(seconds, 2)
    if bench.subject.sees == "http":
        return skipped("it was running already")
    limit = bench.expect.load_seconds
    words = f"{seconds:.1f} s from the start to the first possible prediction"
    return failed(f"{words}; at most {limit:g} s") if seconds > limit else passed(words)


LOAD_TIME = Check(
    "should",
    _load_time,
    "the predictor is ready soon after its start",
    "whenever App Engine adds a machine, or a crash is mended, callers wait for it",
    "bring the weights in the image, import only what predict needs, and trace or export the model beforehand",
)


def measure(bench: Bench) -> bool:
    """Predict again and again, once a run; False where there is nothing to measure. Figures go to the bench."""
    if "latency_p50" in bench.figures:
        return True
    tiles = [tile for tile in bench.ordinary() if bench.see(tile).answered]
    if not tiles:
        return False
    process = bench.process if bench.subject.sees == "process" else None
    for tile in tiles[:2]:
        bench.ask(tile)
    worked = process.cpu_seconds() if process is not None else 0.0
    seconds, memory = _ask_often(bench, tiles)
    bench.figures["calls"] = len(seconds)
    bench.figures["latency_p50"] = round(statistics.median(seconds), 4)
    bench.figures["latency_p95"] = round(float(np.percentile(seconds, 95)), 4)
    if process is not None:
        bench.figures["cores"] = round((process.cpu_seconds() - worked) / max(sum(seconds), 1e-9), 2)
        growth = slope(memory)
        for _ in range(ROUNDS):
            if growth > bench.expect.leak_mb:  # a heap may still be growing to its size; a leak goes on
                memory += _ask_often(bench, tiles)[1]
                growth = slope(memory)
        bench.figures["memory_mb"] = round(max(memory), 1)
        bench.figures["memory_growth_mb_per_call"] = round(growth, 3)
    return True


def _ask_often(bench: Bench, tiles: list[Sample]) -> tuple[list[float], list[float]]:
    """Seconds of each call, and megabytes after it."""
    seconds, memory = [], []
    until = time.monotonic() + bench.expect.call_seconds
    for number in range(bench.expect.calls):
        seconds.append(bench.ask(tiles[number % len(tiles)]).seconds)
        if bench.subject.sees == "process":
            memory.append(bench.process.memory_mb())
        if number + 1 >= FEWEST and time.monotonic() > until:
            break
    return seconds, memory


def slope(values: list[float]) -> float:
    """Growth per step by Theil and Sen: the median over all pairs of the later half, so that one jump counts little."""
    late = values[len(values) // 2 :]
    pairs = [(late[j] - late[i]) / (j - i) for i in range(len(late)) for j in range(i + 1, len(late))]
    return statistics.median(pairs) if pairs else 0.0


def _latency(bench: Bench) -> Verdict:
    if not measure(bench):
        return skipped("it answers no ordinary tile")
    half, most = bench.figures["latency_p50"], bench.figures["latency_p95"]
    words = (
        f"half within {half * 1000:.0f} ms, 95 % within {most * 1000:.0f} ms, over {bench.figures['calls']:.0f} calls"
    )
    limit = bench.expect.timeout
    return failed(f"{words}; the timeout is {limit:g} s") if most > limit else passed(words)


LATENCY = Check(
    "must",
    _latency,
    "a prediction takes less time than a request may",
    "what takes longer is killed and answered with 504; the process loads again, while everybody waits",
    "raise timeout in service.yaml, or make the model faster: smaller, batched, or on more cores",
)


def _first_prediction(bench: Bench) -> Verdict:
    if not measure(bench) or bench.first_seconds is None:
        return skipped("it answers no ordinary tile")
    first, usual = bench.first_seconds, bench.figures["latency_p50"]
    bench.figures["first_seconds"] = round(first, 4)
    words = f"{first * 1000:.0f} ms for the first, {usual * 1000:.0f} ms for the others"
    if first > bench.expect.first_seconds and first > 10 * usual:
        return failed(words)
    return passed(words)


FIRST_PREDICTION = Check(
    "good",
    _first_prediction,
    "the first prediction takes about as long as the others",
    "the service warms up by itself with a grey tile, but only if that reaches what is loaded late",
    "load and compile everything in __init__: predict one blank image there",
    sees="process",
)


def _memory_growth(bench: Bench) -> Verdict:
    if not measure(bench):
        return skipped("it answers no ordinary tile")
    growth, most = bench.figures["memory_growth_mb_per_call"], bench.figures["memory_mb"]
    words = f"{growth:.2f} MB more with each call, {most:.0f} MB at most"
    return failed(words) if growth > bench.expect.leak_mb else passed(words)


MEMORY_GROWTH = Check(
    "should",
    _memory_growth,
    "memory does not grow from call to call",
    "after some hours the process is out of memory; it is then killed, in the middle of somebody's request",
    "look for lists in self or in modules that grow, for graphs kept alive (torch.no_grad()), for figures not closed",
    sees="process",
)


def _answer_size(bench: Bench) -> Verdict:
    sizes = {tile.name: bench.see(tile).size for tile in bench.ordinary() if bench.see(tile).answered}
    if not sizes:
        return skipped("there is no answer")
    largest = max(sizes, key=lambda name: sizes[name])
    size = sizes[largest] / 2**20
    bench.figures["answer_mb"] = round(size, 3)
    words = f"{size:.2f} MB at most, for {largest}"
    return failed(words) if size > bench.expect.answer_mb else passed(words)


ANSWER_SIZE = Check(
    "should",
    _answer_size,
    "the features of one tile are a few megabytes at most",
    "App Engine ends answers of more than 32 MB, and browsers suffer long before",
    "simplify outlines (SIMPLIFY_TOLERANCE), drop specks (MIN_AREA), and send no vertex per pixel",
)
