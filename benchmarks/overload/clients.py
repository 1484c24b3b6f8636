"""Closed-loop clients, each request on a connection of its own, all in one thread; and one that asks for the health."""

from __future__ import annotations

import collections
import dataclasses
import heapq
import random
import selectors
import socket
import time

HEALTH = b"GET /liveness_check HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PAUSE = 0.05
"""Seconds after a refusal, on average: from half of it to one and a half, or all clients would come back at once."""
EVERY = 0.1
"""Seconds from one question for the health to the next."""
TIMEOUT = 5.0


@dataclasses.dataclass
class Told:
    """Seconds that requests took, by status or by what went wrong; of the health, whatever it answered."""

    took: dict[str, list[float]]
    health: list[float]


class _Client:
    """One client: connects, sends, reads to the end of the connection, pauses, and again."""

    def __init__(self, port: int, request: bytes, health: bool) -> None:
        self.port, self.request, self.health = port, request, health
        self.answer = bytearray()
        self.socket = socket.socket()
        self.began = 0.0

    def start(self) -> None:
        self.answer.clear()
        self.began = time.perf_counter()
        self.socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        self.socket.sendall(self.request)

    def receive(self) -> str | None:
        """The outcome once it is known."""
        try:
            data = self.socket.recv(65536)
        except OSError as error:
            return type(error).__name__
        self.answer += data
        if data:
            return None
        words = self.answer[:40].split()
        return words[1].decode() if len(words) > 1 else "closed"


def ask(port: int, request: bytes, clients: int, seconds: float) -> Told:
    """Let so many clients ask for so long."""
    told = Told(collections.defaultdict(list), [])
    selector = selectors.DefaultSelector()
    dice = random.Random(1)
    until = time.perf_counter() + seconds
    everybody = [*(_Client(port, request, False) for _ in range(clients)), _Client(port, HEALTH, True)]
    waiting = [(0.0, number, client) for number, client in enumerate(everybody)]
    while time.perf_counter() < until or selector.get_map():
        now = time.perf_counter()
        while waiting and waiting[0][0] <= now < until:
            _, number, client = heapq.heappop(waiting)
            client.start()
            selector.register(client.socket, selectors.EVENT_READ, (number, client))
        for key, _ in selector.select(0.001):
            number, client = key.data
            outcome = client.receive()
            if outcome is not None:
                _finish(told, selector, client, outcome)
                refused = PAUSE * dice.uniform(0.5, 1.5)
                pause = EVERY if client.health else 0.0 if outcome == "200" else refused
                heapq.heappush(waiting, (time.perf_counter() + pause, number, client))
        now = time.perf_counter()
        for key in [each for each in selector.get_map().values() if now - each.data[1].began > TIMEOUT]:
            number, client = key.data
            _finish(told, selector, client, "time-out")
            heapq.heappush(waiting, (now, number, client))
    return told


def _finish(told: Told, selector: selectors.BaseSelector, client: _Client, outcome: str) -> None:
    took = time.perf_counter() - client.began
    selector.unregister(client.socket)
    client.socket.close()
    if client.health:
        told.health.append(took)
    if not client.health or outcome != "200":
        told.took[outcome if not client.health else f"health {outcome}"].append(took)
