"""A small tile server for the benchmarks: keep-alive, one thread, an MBTiles file's tiles, answers after a delay.

The delay stands for a round trip. Opening a connection takes one too, which the loopback does not show, so the first
answer on each connection comes after twice the delay.

Prints its port. Usage: server.py FILE DELAY_MS
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys


class Connection(asyncio.Protocol):
    def __init__(self, tiles: dict[bytes, bytes], delay: float) -> None:
        self.tiles = tiles
        self.delay = delay
        self.buffer = b""
        self.first = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            answer = self.tiles.get(head.split(b" ", 2)[1], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            if head.startswith(b"HEAD"):
                answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            if self.delay:
                delay = 2 * self.delay if self.first else self.delay
                self.first = False
                asyncio.get_running_loop().call_later(delay, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def main(path: str, delay_ms: str) -> None:
    tiles = {}
    for z, x, y, data in sqlite3.connect(path).execute("SELECT * FROM tiles"):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        tiles[f"/{z}/{x}/{2**z - 1 - y}.jpg".encode()] = head.encode() + data
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(tiles, float(delay_ms) / 1000), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
