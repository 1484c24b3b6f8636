"""What the predictor does besides predicting."""

from __future__ import annotations

import signal

from playground.acceptance.bench import Bench
from playground.acceptance.model import Check, Verdict, failed, passed, skipped

WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
ROUNDS = 6
FEW = 3
"""Threads or files more than before that do not count: pools fill at the first prediction."""


def _quiet(bench: Bench) -> Verdict:
    process = bench.process
    bench.observations()
    if not process.finished_calls:
        process.restart()  # all that was printed is read by then
    printed = process.finished_printed / max(process.finished_calls, 1) / 1024
    bench.figures["printed_kb_per_call"] = round(printed, 2)
    words = f"{printed:.1f} kB printed per prediction"
    return failed(words) if printed > bench.expect.printed_kb else passed(words)


QUIET = Check(
    "should",
    _quiet,
    "a prediction prints a few lines at most",
    "every line goes to the service's log: floods cost time and money, and hide what matters",
    "remove prints and progress bars (tqdm: disable=True, verbose=0), or log them at level debug",
    sees="process",
)


def _stays_put(bench: Bench) -> Verdict:
    moved = {seen.inside["cwd"] for seen in bench.observations().values() if seen.inside.get("cwd")}
    if moved:
        return failed(f"predict() changes the current directory to {', '.join(sorted(moved))}")
    return passed()


STAYS_PUT = Check(
    "good",
    _stays_put,
    "predict leaves the current directory as it was",
    "relative paths of other code (weights, hooks) then lead nowhere",
    "use absolute paths, from Path(__file__).parent, and cwd= for commands",
    sees="process",
)


def _signals(bench: Bench) -> Verdict:
    bench.ask(bench.samples(bench.scenes[0])["tile"])
    ignored, caught = bench.process.signals()
    found = []
    for number in WATCHED:
        bit = 1 << (number - 1)
        # What this process ignores (under nohup, or behind a shell's &) the predictor's ignores from its start.
        if ignored & bit and signal.getsignal(number) is not signal.SIG_IGN:
            found.append(f"{number.name} is ignored")
        elif caught & bit and number != signal.SIGINT:  # Python's own
            found.append(f"{number.name} is caught")
    return failed(", ".join(found)) if found else passed()


SIGNALS = Check(
    "should",
    _signals,
    "signals are left alone",
    "they are how a process is told to end; who ignores them is killed, with whatever it was about to write",
    "remove signal.signal(…); libraries that set handlers mostly have an option for it",
    sees="process",
)


def _leftovers(bench: Bench) -> Verdict:
    tile = bench.samples(bench.scenes[0])["tile"]
    for _ in range(2):
        bench.ask(tile)
    before = bench.process.left_behind()
    for _ in range(ROUNDS):
        bench.ask(tile)
    after = bench.process.left_behind()
    if not before or not after:
        return skipped("the predictor process ended meanwhile")
    more = {what: after[what] - before[what] for what in after}
    grown = [f"{count} more {what}" for what, count in more.items() if count > FEW]
    if grown:
        return failed(f"after {ROUNDS} more predictions {', '.join(grown)}")
    return passed(f"{after['threads']} threads, {after['open files']} open files")


LEFTOVERS = Check(
    "should",
    _leftovers,
    "predictions leave no threads, open files or child processes behind",
    "after some thousands the limit is reached, and nothing can be opened or started any more",
    "use with for files and pools, join threads, and make pools once in __init__",
    sees="process",
)


def _no_network(bench: Bench) -> Verdict:
    found = {each for seen in bench.observations().values() for each in seen.inside.get("connections", ())}
    return failed(f"predict() connects to {', '.join(sorted(found)[:3])}") if found else passed()


NO_NETWORK = Check(
    "good",
    _no_network,
    "predict connects to nobody (what Python code opens is seen, from Python 3.8 on)",
    "what it talks to can be slow, away, or not to be reached from the cloud; each prediction then is, too",
    "bring weights and lookup tables in the image, and load them in __init__",
    sees="process",
)
