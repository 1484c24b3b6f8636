"""Connections to a worker: kept ones, requests that come together, and clients that do not close."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import select
import socket
import time

import pytest

GET = b"GET /liveness_check HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /liveness_check HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def address(serve) -> tuple[str, int]:
    """One worker."""
    service = serve("slow:Sleeps", BACKLOG="2")
    service.wait_loaded()
    return "127.0.0.1", int(service.url.rpartition(":")[2])


def read_to_the_end(sock: socket.socket) -> bytes:
    told = b""
    while data := sock.recv(4096):
        told += data
    return told


def test_who_does_not_close_keeps_nobody_waiting(address):
    with contextlib.ExitStack() as held:
        began = time.monotonic()
        for _ in range(300):  # and more of them than it has patience for
            sock = held.enter_context(socket.create_connection(address, 30))
            sock.sendall(LAST)
            assert read_to_the_end(sock).startswith(b"HTTP/1.1 200")  # and this half stays open
        assert time.monotonic() - began < 60  # gunicorn would wait for each, two seconds


def test_who_goes_on_sending_is_given_up(address):
    with socket.create_connection(address, 30) as sock:
        sock.sendall(LAST)
        assert read_to_the_end(sock).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 20:
                sock.sendall(bytes(65536))
        assert time.monotonic() - began < 20


def test_an_answer_is_whole_though_the_client_still_sends(address):
    """The kernel resets a connection that is closed with unread bytes, and the client loses the end of its answer."""
    with socket.create_connection(address, 30) as sock:
        sock.sendall(b"POST /no/such/page HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n")
        sock.sendall(bytes(30000))
        answer = read_to_the_end(sock)
    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.endswith(b"}")


def test_requests_that_come_together_are_all_answered(address):
    with socket.create_connection(address, 30) as sock:
        sock.sendall(GET * 4 + LAST)
        assert read_to_the_end(sock).count(b"HTTP/1.1 200") == 5


def test_more_kept_connections_than_threads(address):
    """Each asks again at once; none keeps a thread from the others."""

    def ask() -> list[int]:
        connection = http.client.HTTPConnection(*address, timeout=30)
        with contextlib.closing(connection):
            statuses = []
            for _ in range(20):
                connection.request("GET", "/liveness_check")
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
            return statuses

    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: ask(), range(30)))
    assert answers == [[200] * 20] * 30


def test_a_kept_connection_may_be_idle(address):
    connection = http.client.HTTPConnection(*address, timeout=30)
    with contextlib.closing(connection):
        for pause in (0.0, 0.3, 0.0, 0.0):
            select.select([], [], [], pause)  # longer than a thread waits for it
            connection.request("GET", "/liveness_check")
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            assert response.getheader("Connection") == "keep-alive"
