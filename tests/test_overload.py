"""Far more is asked than the service can give: it says so at once, and goes on."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from pathlib import Path

import pytest
from test_service import png

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "overload"))
from clients import ask

GET = b"GET /liveness_check HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def post(body: bytes) -> bytes:
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nConnection: close\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


@pytest.fixture(scope="module")
def service(serve):
    """One worker; a prediction takes 0.1 seconds, and two may wait."""
    service = serve("slow:Sleeps", BACKLOG="2")
    service.wait_loaded()
    return service


def port_of(service) -> int:
    return int(service.url.rpartition(":")[2])


def test_who_cannot_be_served_is_told_so_at_once(service):
    told = ask(port_of(service), post(png()), clients=24, seconds=3.0)
    assert set(told.took) == {"200", "503"}  # no time-out, no reset, no other error, and the health always 200
    # 10 a second are possible; on a busy machine less, and never none.
    assert len(told.took["200"]) >= 15
    assert max(told.took["200"]) < 1.5  # behind two others, not behind two dozen
    assert sorted(told.took["503"])[len(told.took["503"]) // 2] < 0.1
    assert max(told.health) < 1.0


def test_who_does_not_close_keeps_nobody_waiting(service):
    address = ("127.0.0.1", port_of(service))
    with contextlib.ExitStack() as held:
        for _ in range(6):
            sock = held.enter_context(socket.create_connection(address, 10))
            sock.sendall(GET)
            while sock.recv(4096):  # to the end of the answer; this half stays open
                pass
        began = time.monotonic()
        with socket.create_connection(address, 10) as sock:
            sock.sendall(GET)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 1.0


def test_an_answer_is_whole_though_the_client_still_sends(service):
    """The kernel resets a connection that is closed with unread bytes, and the client loses the end of its answer."""
    with socket.create_connection(("127.0.0.1", port_of(service)), 10) as sock:
        sock.sendall(b"POST /no/such/page HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n")
        sock.sendall(bytes(30000))
        answer = b""
        while data := sock.recv(4096):
            answer += data
        sock.sendall(bytes(10))  # late, and nobody's fault
    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.endswith(b"}")
