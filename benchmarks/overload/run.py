"""What a service does when far more is asked than it can give.

Two workers, a predictor that takes 100 ms, so 20 predictions a second; 64 clients, each with a connection of its own
for each request, that ask again 50 ms after a refusal: some sixty times what the service can give. Meanwhile somebody
asks for its health, ten times a second.

Compared with the same service alone, in the same run: one client for each worker.
"""

from __future__ import annotations

import argparse
import http.client
import io
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "overhead"))
from run import ROOT, server

HERE = Path(__file__).parent
CAPACITY = 20.0
"""Predictions a second: 2 workers, 100 ms each."""


class Clients:
    """Closed-loop clients; seconds that each request took, by outcome."""

    def __init__(self, port: int, method: str, path: str, body: bytes, pause: float) -> None:
        self.port, self.method, self.path, self.body, self.pause = port, method, path, body, pause
        self.took: dict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, count: int, seconds: float) -> None:
        threads = [threading.Thread(target=self._loop) for _ in range(count)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._stop.set()
        for thread in threads:
            thread.join()

    def _loop(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            outcome = self._ask()
            with self._lock:
                self.took[outcome].append(time.monotonic() - began)
            if outcome != "200" or self.method == "GET":
                self._stop.wait(self.pause)

    def _ask(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(self.method, self.path, self.body, {"Content-Type": "image/png"})
            response = connection.getresponse()
            response.read()
            return str(response.status)
        except TimeoutError:
            return "time-out"
        except OSError as error:
            return type(error).__name__
        finally:
            connection.close()


def percentile(values: list[float], share: float) -> str:
    return f"{1000 * sorted(values)[min(int(share * len(values)), len(values) - 1)]:.1f}" if values else "-"


def measure(port: int, body: bytes, clients: int, seconds: float) -> list[str]:
    asking = Clients(port, "POST", "/predict", body, 0.05)
    watching = Clients(port, "GET", "/liveness_check", b"", 0.1)
    watcher = threading.Thread(target=watching.run, args=(1, seconds))
    watcher.start()
    asking.run(clients, seconds)
    watcher.join()
    good, refused = asking.took["200"], asking.took["503"]
    others = {outcome: len(took) for outcome, took in asking.took.items() if outcome not in ("200", "503")}
    return [
        f"{len(good) / seconds:.1f} ({len(good) / seconds / CAPACITY:.0%})",
        percentile(good, 0.5),
        percentile(good, 0.99),
        str(len(refused)),
        percentile(refused, 0.5),
        percentile(refused, 0.99),
        f"{percentile(watching.took['200'], 0.5)} / {1000 * max(watching.took['200']):.0f}",
        str(others or "none"),
    ]


def memory_mb(port: int) -> float:
    """Resident memory of the predictors and the server that this process started."""
    pages = 0
    for task in Path("/proc/self/task").iterdir():
        pending = (task / "children").read_text().split()
        while pending:
            process = Path("/proc") / pending.pop()
            pages += int((process / "statm").read_text().split()[1])
            for thread in (process / "task").iterdir():
                pending += (thread / "children").read_text().split()
    return pages * 4096 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of overload")
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    environ = {"PREDICTOR_PACKAGE": "sleeper", "PREDICTOR_CLASS": "Sleeper", "ZOOM_LEVEL": "0", "WORKERS": "2"}
    table = Table(title=f"{options.clients} clients, {CAPACITY:.0f} predictions a second possible")
    columns = ("", "answered/s", "p50 ms", "p99 ms", "503s", "503 p50 ms", "503 p99 ms", "health p50/max ms", "others")
    for name in columns:
        table.add_column(name, justify="right")
    with server(["--config", str(ROOT / "gunicorn.conf.py"), "app:APP"], HERE, environ) as port:
        measure(port, buffer.getvalue(), 4, 1)
        table.add_row("no overload", *measure(port, buffer.getvalue(), 2, min(10.0, options.seconds)))
        before = memory_mb(port)
        table.add_row("overload", *measure(port, buffer.getvalue(), options.clients, options.seconds))
        after = memory_mb(port)
    console = Console(width=140)
    console.print(table)
    console.print(f"memory of all processes: {before:.0f} MB before, {after:.0f} MB after ({after / before:.2f}x)")


if __name__ == "__main__":
    main()
