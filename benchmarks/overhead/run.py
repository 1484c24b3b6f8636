"""How much the service costs: requests per second with a predictor that does nothing, against bare Flask + gunicorn.

Both read a JSON body with a 20 KB JPEG in base64; ours also validates it, hands it to the predictor's own process and
answers with report and timing. Same worker class, workers and threads. gthread is bimodal (one worker may take all
keep-alive connections), so each server is started several times, in turn, and its best start counts.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from load import requests_per_second
from PIL import Image
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def jpeg(size: int = 20_000) -> bytes:
    """A 256 x 256 JPEG of about ``size`` bytes."""
    noise = np.random.default_rng(1).normal(128, 40, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
    encodings = []
    for quality in range(30, 100):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        encodings.append(buffer.getvalue())
    return min(encodings, key=lambda data: abs(len(data) - size))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def server(arguments: list[str], cwd: Path, environ: dict[str, str]) -> Iterator[int]:
    """A gunicorn on a free port, ready."""
    port = free_port()
    command = [
        sys.executable,
        "-I",
        "-m",
        "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--log-level",
        "error",
        *arguments,
    ]
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, "AUTH": "none", **environ})
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readiness_check", timeout=1)
                break
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the server did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="starts of each server")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds measured at each start")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16])
    options = parser.parse_args()
    image = jpeg()
    body = json.dumps({"image": base64.b64encode(image).decode()}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    request = head.encode() + body
    ours = {"PREDICTOR_PACKAGE": "nothing", "ZOOM_LEVEL": "16", "WORKERS": "2", "BACKLOG": "24"}
    config = ["--config", str(ROOT / "gunicorn.conf.py"), "app:APP"]
    threads = ["--workers", "2", "--worker-class", "gthread", "--threads", "32"]
    servers = {
        "bare Flask + gunicorn": ([*threads, "bare:APP"], {}),
        "playground": (config, {**ours, "PREDICTOR_CLASS": "Nothing"}),
        "playground, image read": (config, {**ours, "PREDICTOR_CLASS": "Reads"}),
        "playground, inline": (config, {**ours, "PREDICTOR_CLASS": "Nothing", "PREDICTOR_ISOLATION": "none"}),
    }
    best: dict[tuple[str, int], float] = {}
    for _ in range(options.starts):
        for name, (arguments, environ) in servers.items():
            with server(arguments, HERE, environ) as port:
                for connections in options.connections:
                    requests_per_second(port, request, connections, 0.3)
                    rate, bad = requests_per_second(port, request, connections, options.seconds)
                    if bad:
                        sys.exit(f"{name}: {bad} answers were not 200")
                    best[name, connections] = max(best.get((name, connections), 0.0), rate)
    table = Table(title=f"requests per second, {len(image)} byte JPEG in base64, best of {options.starts} starts")
    table.add_column("server")
    for connections in options.connections:
        table.add_column(f"{connections} connection{'s' * (connections > 1)}", justify="right")
    for name in servers:
        cells = []
        for connections in options.connections:
            limit = best["bare Flask + gunicorn", connections]
            cells.append(f"{best[name, connections]:,.0f}  ({limit / best[name, connections]:.2f}x)")
        table.add_row(name, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
