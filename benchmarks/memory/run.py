"""What four workers with a model of 300 MB take: four models, or one that they share (``share_model``).

Memory is counted as PSS, the proportional set size: a page that several processes share counts for each in part, so
that the sum is what the machine really needs. The aim is 0.4 of the memory of four separate ones.
"""

from __future__ import annotations

import concurrent.futures
import io
import json
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "overhead"))
from run import ROOT, server

HERE = Path(__file__).parent
WORKERS = 4
AIM = 0.4


def below() -> Iterator[Path]:
    """The processes that this one has started, and those that they have."""
    for task in Path("/proc/self/task").iterdir():
        pending = (task / "children").read_text().split()
        while pending:
            process = Path("/proc") / pending.pop()
            yield process
            for thread in (process / "task").iterdir():
                pending += (thread / "children").read_text().split()


def pss_mb(process: Path) -> float:
    (kilobytes,) = re.findall(r"^Pss: +(\d+) kB", (process / "smaps_rollup").read_text(), re.MULTILINE)
    return int(kilobytes) / 1024


def ask(url: str, body: bytes | None = None) -> str:
    request = urllib.request.Request(url, body, {"Content-Type": "image/png"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(response.read().decode())


def measure(share: bool) -> tuple[float, float, float]:
    """MB of the predictors, MB of all processes, seconds until all were ready."""
    environ = {"PREDICTOR_PACKAGE": "large", "PREDICTOR_CLASS": "Large", "ZOOM_LEVEL": "0", "WORKERS": str(WORKERS)}
    environ["SHARE_MODEL"] = str(share)
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    began = time.monotonic()
    with server(["--config", str(ROOT / "gunicorn.conf.py"), "app:APP"], HERE, environ) as port:
        url = f"http://127.0.0.1:{port}"
        while f"playground_predictor_ready {WORKERS}.0" not in ask(f"{url}/metrics"):
            time.sleep(0.1)
        took = time.monotonic() - began
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            answers = list(pool.map(lambda _: ask(f"{url}/predict", buffer.getvalue()), range(8 * WORKERS)))
        assert len({json.dumps(json.loads(answer)["prediction"]) for answer in answers}) == 1
        predictors = total = 0.0
        for process in below():
            mb = pss_mb(process)
            total += mb
            predictors += mb if b"playground_interfaces" in (process / "cmdline").read_bytes() else 0.0
        return predictors, total, took


def main() -> None:
    table = Table(title=f"{WORKERS} workers, a model of 300 MB, PSS")
    for name in ("", "predictors MB", "all processes MB", "seconds to ready"):
        table.add_column(name, justify="right")
    separate, shared = measure(False), measure(True)
    for name, figures in (("separate", separate), ("shared", shared)):
        table.add_row(name, *[f"{figure:.1f}" for figure in figures])
    table.add_row("ratio", *[f"{ours / theirs:.2f}" for ours, theirs in zip(shared, separate, strict=True)])
    console = Console(width=100)
    console.print(table)
    console.print(f"aim: predictors at most {AIM}x: {'met' if shared[0] <= AIM * separate[0] else 'missed'}")


if __name__ == "__main__":
    main()
