"""Far more is asked than the service can give: it says so at once, and goes on."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from test_service import png

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "overload"))
from clients import ask


def test_who_cannot_be_served_is_told_so_at_once(serve):
    """One worker; a prediction takes 0.1 seconds, two may wait, and 24 clients ask."""
    service = serve("slow:Sleeps", BACKLOG="2")
    service.wait_loaded()
    body = png()
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nConnection: close\r\nContent-Length: "
    told = ask(int(service.url.rpartition(":")[2]), f"{head}{len(body)}\r\n\r\n".encode() + body, 24, seconds=3.0)
    assert set(told.took) == {"200", "503"}  # no time-out, no reset, no other error, and the health always 200
    # 30 are possible; on a busy machine less.
    assert len(told.took["200"]) >= 10
    assert max(told.took["200"]) < 2.2  # behind two others, not behind two dozen
    assert statistics.median(told.took["503"]) < statistics.median(told.took["200"])
    assert max(told.health) < 2.2
