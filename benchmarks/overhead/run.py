"""How much the service costs: a predictor that does nothing, against bare Flask + gunicorn, and against the peers.

All read a JSON body with a 20 KB JPEG in base64, decode the base64, and answer as much as ours does (answer.json).
Ours also validates the image, hands it to the predictor's own process, normalises the answer, logs and counts. Two
worker processes each; where there is gunicorn, the same worker class and threads. gthread is bimodal (one worker may
take all keep-alive connections), so each server is started several times, in turn, and its best start counts.

Processor time is that of all processes of the server; it is nearly the same on a busy machine, where rates are not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from body import json_body, post
from handover import handover
from load import load
from peers import PEERS, peer
from rich.console import Console
from rich.table import Table
from servers import WORKERS, Server, gunicorn, playground, running

BARE = "bare Flask + gunicorn"
OURS = "playground"
AIMS = {
    BARE: 1 / 1.15,
    "LitServe": 3.0,
    "BentoML": 2.0,
    "MLServer, processes": 2.5,
    "MLServer, in-process": 1.0,
    "porter": 1.0,
}
"""How many times its rate ours should have."""
HANDOVER_MS = 0.3


def own_servers(variants: bool) -> dict[str, Server]:
    """Ours and the limit; ours without parts of it, too."""
    threads = ("--workers", str(WORKERS), "--worker-class", "gthread", "--threads", "32")
    ours = {"PREDICTOR_PACKAGE": "nothing", "PREDICTOR_CLASS": "Reads", "BACKLOG": "24"}
    servers = [
        gunicorn(BARE, *threads, "bare:APP"),
        playground(OURS, **ours),
    ]
    if variants:
        servers += [
            playground("playground, no log of calls", LOG_API_CALLS="false", **ours),
            playground("playground, inline", PREDICTOR_ISOLATION="none", **ours),
        ]
    return {server.name: server for server in servers}


class Results:
    """The best start of each server, by number of connections."""

    def __init__(self) -> None:
        self.rate: dict[tuple[str, int], float] = {}
        self.times: dict[tuple[str, int], tuple[float, float]] = {}
        self.cpu: dict[tuple[str, int], float] = {}
        self.failed: dict[str, str] = {}

    def measure(self, server: Server, connections: Sequence[int], seconds: float) -> None:
        """Start a server once, and ask it with each number of connections."""
        name, request = server.name, post(server.path, json_body())
        with running(server, request) as started:
            for count in connections:
                load(started.port, request, count, 0.3)
                before = started.cpu_seconds()
                done = load(started.port, request, count, seconds)
                if done.bad or not done.took:
                    raise RuntimeError(f"{done.bad} of {done.bad + len(done.took)} answers were not 200")
                key = (name, count)
                cpu = (started.cpu_seconds() - before) / len(done.took) * 1e6
                self.cpu[key] = min(cpu, self.cpu.get(key, cpu))
                if done.rate > self.rate.get(key, 0.0):
                    self.rate[key] = done.rate
                    self.times[key] = done.milliseconds(0.5), done.milliseconds(0.99)

    def table(self, names: Sequence[str], connections: Sequence[int], title: str) -> Table:
        table = Table(title=title)
        table.add_column("connections", justify="right")
        table.add_column("server")
        for word in ("answers/s", "x bare", "ours x", "p50 ms", "p99 ms", "CPU us", "x bare"):
            table.add_column(word, justify="right")
        for count in connections:
            for name in names:
                key, bare, ours = (name, count), (BARE, count), (OURS, count)
                if name in self.failed:
                    table.add_row(str(count), name, "-", "-", "-", "-", "-", "-", "-")
                    continue
                table.add_row(
                    str(count),
                    name,
                    f"{self.rate[key]:,.0f}",
                    f"{self.rate[bare] / self.rate[key]:.2f}",
                    f"{self.rate[ours] / self.rate[key]:.2f}",
                    *(f"{each:.2f}" for each in self.times[key]),
                    f"{self.cpu[key]:.0f}",
                    f"{self.cpu[key] / self.cpu[bare]:.2f}",
                )
            table.add_section()
        return table

    def verdicts(self, connections: Sequence[int]) -> list[str]:
        """Ours against each aim: the rate with each number of connections."""
        told = []
        for name, aim in AIMS.items():
            if (name, connections[0]) not in self.rate:
                continue
            found = [self.rate[OURS, count] / self.rate[name, count] for count in connections]
            words = " / ".join(f"{ratio:.2f}" for ratio in found)
            told.append(f"ours against {name}: {words} times (aim {aim:.2f}{'' if min(found) >= aim else ', missed'})")
        return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="measure the peers too; installs them the first time")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the peers")
    parser.add_argument("--starts", type=int, default=5, help="starts of each server")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds measured at each start")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16])
    options = parser.parse_args()
    console = Console(width=160)
    results = Results()
    servers = own_servers(variants=not options.peers)
    for name in (options.only or PEERS) if options.peers else ():
        try:
            servers[name] = peer(name)
        except RuntimeError as error:
            results.failed[name] = f"not installed: {error}"
    names = [*servers, *results.failed]
    for start in range(options.starts):
        for name, server in servers.items():
            if name in results.failed:
                continue
            print(f"\r{start + 1} of {options.starts}: {name:40}", end="", file=sys.stderr, flush=True)
            try:
                results.measure(server, options.connections, options.seconds)
            except RuntimeError as error:
                if name not in PEERS:
                    sys.exit(f"\n{name}: {error}")
                results.failed[name] = str(error).strip().splitlines()[-1][:100]
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    console.print(results.table(names, options.connections, f"{WORKERS} workers, best of {options.starts} starts"))
    for name, why in results.failed.items():
        console.print(f"{name}: {why}")
    for line in results.verdicts(options.connections):
        console.print(line)
    median, p99 = handover()
    missed = "" if median < HANDOVER_MS else ", missed"
    console.print(
        f"hand-over of a 304 x 304 x 3 tile: {median:.3f} ms, p99 {p99:.3f} ms (aim {HANDOVER_MS} ms{missed})"
    )


if __name__ == "__main__":
    main()
