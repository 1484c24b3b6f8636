"""What a service does when far more is asked than it can give.

Two workers, a predictor that takes 100 ms, so 20 predictions a second; 64 clients, each with a connection of its own
for each request, that ask again some 50 ms after a refusal: fifty times what the service can give. Meanwhile somebody
asks for its health, ten times a second.

Compared with the same service alone, in the same run: one client for each worker. The clients are one thread in a
process of its own, so that what is measured is the service and not the clients' own queue for the processor.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clients import Told, ask
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "overhead"))
from body import png, post
from servers import Running, playground, running

HERE = Path(__file__).parent
CAPACITY = 20.0
"""Predictions a second: 2 workers, 100 ms each."""
BACKLOG = 6


def milliseconds(values: list[float], share: float) -> float:
    return 1000 * sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else 0.0


def verdicts(alone: Told, told: Told, seconds: float, memory: tuple[float, float]) -> list[tuple[str, str, bool]]:
    """What is held to, what was found, and whether it is good."""
    answered = len(told.took["200"]) / seconds / CAPACITY
    refused, health = milliseconds(told.took["503"], 0.99), milliseconds(told.health, 1.0)
    # Who waits behind BACKLOG others, and one that is being predicted, waits for all of them.
    allowed = 2 * milliseconds(alone.took["200"], 0.99) + 100 * (BACKLOG + 1)
    accepted = milliseconds(told.took["200"], 0.99)
    others = {outcome: len(took) for outcome, took in told.took.items() if outcome not in ("200", "503")}
    return [
        ("answered, of what is possible", f"{answered:.0%} (at least 95%)", answered >= 0.95),
        ("neither answered nor 503", str(others or "none"), not others),
        ("503, p99", f"{refused:.1f} ms (at most 10)", refused <= 10),
        ("health, slowest", f"{health:.0f} ms (at most 100)", health <= 100),
        ("answered, p99", f"{accepted:.0f} ms (at most {allowed:.0f})", accepted <= allowed),
        ("memory", f"{memory[0]:.0f} -> {memory[1]:.0f} MB (at most 1.05x)", memory[1] <= 1.05 * memory[0]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of overload")
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    environ = {"PREDICTOR_PACKAGE": "sleeper", "PREDICTOR_CLASS": "Sleeper", "ZOOM_LEVEL": "0", "BACKLOG": str(BACKLOG)}
    request = post("/predict", png(), "image/png", close=True)
    with running(playground("playground", HERE, **environ), request) as started:
        alone = ask(started.port, request, 2, min(10.0, options.seconds))
        before, cpu = settled(started, request, options.clients), started.cpu_seconds()
        told = ask(started.port, request, options.clients, options.seconds)
        cpu, after = started.cpu_seconds() - cpu, started.pss_mb()
    table = Table(title=f"{options.clients} clients, {CAPACITY:.0f} predictions a second possible")
    for name in ("", "answered/s", "p50 ms", "p99 ms", "503/s", "503 p50 ms", "503 p99 ms", "health p50/max ms"):
        table.add_column(name, justify="right")
    for name, found, seconds in (
        ("no overload", alone, min(10.0, options.seconds)),
        ("overload", told, options.seconds),
    ):
        table.add_row(
            name,
            f"{len(found.took['200']) / seconds:.1f}",
            *(f"{milliseconds(found.took['200'], share):.1f}" for share in (0.5, 0.99)),
            f"{len(found.took['503']) / seconds:.0f}",
            *(f"{milliseconds(found.took['503'], share):.1f}" for share in (0.5, 0.99)),
            f"{milliseconds(found.health, 0.5):.1f} / {milliseconds(found.health, 1.0):.0f}",
        )
    console = Console(width=140)
    console.print(table)
    for what, found_words, good in verdicts(alone, told, options.seconds, (before, after)):
        console.print(f"{what}: {found_words}{'' if good else '  MISSED'}")
    asked = sum(len(took) for took in told.took.values())
    console.print(f"processor time: {cpu / asked * 1e6:.0f} us a request, {cpu / options.seconds:.2f} processors")


def settled(started: Running, request: bytes, clients: int) -> float:
    """Memory once every thread has worked and the workers have written to what they shared."""
    ask(started.port, request, clients, 5.0)
    return started.pss_mb()


if __name__ == "__main__":
    main()
