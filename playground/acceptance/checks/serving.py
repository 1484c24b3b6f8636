"""What a client of the running service sees."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from playground.acceptance.bench import Bench
from playground.acceptance.checks.repeat import difference
from playground.acceptance.model import Check, Verdict, failed, passed, skipped
from playground.acceptance.service import error_problem

AT_ONCE = 4
DRAIN_SECONDS = 24
RETRIED = {408, 423, 429, 500, 502, 503, 504}


def _health(bench: Bench) -> Verdict:
    told = {path: bench.service.get(path).status_code for path in ("/liveness_check", "/readiness_check")}
    bad = [f"{path} answers {status}" for path, status in told.items() if status != 200]
    return failed(", ".join(bad)) if bad else passed("alive and ready")


HEALTH = Check(
    "must",
    _health,
    "the health paths answer 200",
    "App Engine sends no traffic to a machine that does not, and replaces it",
    "see the service's log; /readiness_check says what the predictor does",
    sees="http",
)


def _errors(bench: Bench) -> Verdict:
    problems = []
    asked = {
        "a body that is no image": bench.service.post(b"this is no image"),
        "a path that is not there": bench.service.get("/no/such/path"),
    }
    for words, response in asked.items():
        if response.status_code in RETRIED or response.status_code < 400:
            problems.append(f"{words}: {response.status_code}, and clients would try again")
        elif problem := error_problem(response):
            problems.append(f"{words}: {problem}")
    return failed("; ".join(problems)) if problems else passed("JSON, and statuses that are not tried again")


ERRORS = Check(
    "must",
    _errors,
    "what a caller did wrong is a 4xx with message, hint, correlationId and timestamp",
    "clients retry 5xx for ever, and cannot read a page of HTML",
    "the service does so by itself; a proxy before it may not",
    sees="http",
)


def _concurrent(bench: Bench) -> Verdict:
    tiles = [tile for tile in bench.ordinary() if bench.see(tile).answered][:AT_ONCE]
    if len(tiles) < 2:
        return skipped("it answers fewer than two ordinary tiles")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        together = list(pool.map(bench.ask, tiles))
    for tile, seen in zip(tiles, together, strict=True):
        if "503" in seen.problem:
            continue  # it says that it is busy: its right
        if words := difference(bench.see(tile), seen, bench.side):
            return failed(f"{tile.name}, with {len(tiles) - 1} others at the same time: {words}")
    return passed(f"{len(tiles)} requests at once, each with its own answer")


CONCURRENT = Check(
    "must",
    _concurrent,
    "requests at the same time do not mix",
    "with several workers and clients that is the normal case",
    "keep nothing between predictions, and nothing in files of a fixed name",
    sees="http",
)


def _drains(bench: Bench) -> Verdict:
    if bench.drain is None:
        return skipped("only for an image, whose container can be stopped")
    tile = bench.ordinary()[0]
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(bench.ask, tile)
        status, seconds = bench.drain()
        seen = pending.result()
    bench.figures["drain_seconds"] = round(seconds, 2)
    if status != 0 or seconds > DRAIN_SECONDS:
        return failed(f"it ended with status {status} after {seconds:.1f} s; at most {DRAIN_SECONDS} s, and status 0")
    ended = f", and the request under way with {seen.problem}" if seen.problem else ""
    return passed(f"ended by itself after {seconds:.1f} s{ended}")


DRAINS = Check(
    "must",
    _drains,
    "the container ends by itself when it is told to",
    "App Engine kills what is left 25 s after the signal, requests under way included",
    "the server must get the signal: it has to be the container's first process (exec), with no shell before it",
    sees="http",
)
