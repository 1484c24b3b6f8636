"""What batches are worth: a predictor that takes 20 ms a call and 1 ms a tile, one worker, clients that never pause.

One by one, 48 tiles a second are possible; sixteen at once, 444. Each number of clients is held against what is
possible with as many: with four clients no batch can hold more than four. In the same run, LitServe with batches of
the same size, where it can be installed. The predictor sleeps, so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
import re
import sys
import urllib.request
from pathlib import Path

from batched import CALL, TILE
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "overhead"))
from body import json_body, post
from load import Load, load
from peers import FOLDER, environment
from servers import Server, playground, running

HERE = Path(__file__).parent
SIZE = 16
CLIENTS = (1, 4, 16, 64)
ONE_BY_ONE, BATCHES, WAITING = "one by one", f"batches of {SIZE}", f"batches of {SIZE}, wait 5 ms"
LITSERVE = f"LitServe, batches of {SIZE}, wait 5 ms"


def possible(clients: int, size: int) -> float:
    """Tiles a second."""
    together = min(clients, size)
    return together / (CALL + TILE * together)


def ours(name: str, size: int, wait: int) -> Server:
    """Ours: one worker, and a place for every client."""
    numbers = {"WORKERS": "1", "BACKLOG": "64", "BATCH_SIZE": str(size), "BATCH_WAIT_MS": str(wait)}
    return playground(name, HERE, PREDICTOR_PACKAGE="batched", PREDICTOR_CLASS="Batched", **numbers)


def litserve() -> Server:
    """The peer.

    Raises:
        RuntimeError: it cannot be installed here.
    """
    folder = FOLDER / "litserve"
    python = environment(folder / "requirements.txt")
    return Server(LITSERVE, (str(python), "batching.py", "{port}", str(SIZE), "0.005"), folder)


def batches_of(port: int) -> tuple[float, float]:
    """Calls of predict_batch so far, and tiles in them, as the service itself tells."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    count, total = (re.search(rf"^playground_batch_size_{word} (\S+)", text, re.MULTILINE) for word in ("count", "sum"))
    return (float(count[1]), float(total[1])) if count and total else (0.0, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each number of clients")
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True, help="LitServe, too")
    options = parser.parse_args()
    console = Console(width=140)
    servers = [(ours(ONE_BY_ONE, 1, 0), 1), (ours(BATCHES, SIZE, 0), SIZE), (ours(WAITING, SIZE, 5), SIZE)]
    if options.peer:
        try:
            servers.append((litserve(), SIZE))
        except RuntimeError as error:
            console.print(f"LitServe cannot be installed here: {error}")
    request = post("/predict", json_body())
    found: dict[str, dict[int, Load]] = {}
    table = Table(title="20 ms a call and 1 ms a tile")
    for name in ("", "clients", "tiles/s", "of what is possible", "of one by one", "tiles a call", "p50 ms", "p99 ms"):
        table.add_column(name, justify="right" if name else "left")
    for server, size in servers:
        measured = found[server.name] = {}
        with running(server, request) as started:
            for clients in CLIENTS:
                calls, tiles = batches_of(started.port) if size > 1 and server.name != LITSERVE else (0.0, 0.0)
                told = measured[clients] = load(started.port, request, clients, options.seconds)
                together = "-"
                if tiles:
                    now = batches_of(started.port)
                    together = f"{(now[1] - tiles) / max(1.0, now[0] - calls):.1f}"
                table.add_row(
                    server.name if clients == CLIENTS[0] else "",
                    str(clients),
                    f"{told.rate:.0f}" + (f" ({told.bad} refused)" if told.bad else ""),
                    f"{told.rate / possible(clients, size):.0%}",
                    f"{told.rate / found[ONE_BY_ONE][clients].rate:.2f}x",
                    together,
                    f"{told.milliseconds(0.5):.0f}",
                    f"{told.milliseconds(0.99):.0f}",
                )
        table.add_section()
    console.print(table)


if __name__ == "__main__":
    main()
