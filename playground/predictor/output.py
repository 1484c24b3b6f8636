"""What the predictor process prints: to the log, line by line, and the last lines kept."""

from __future__ import annotations

import collections
import logging
import os
import selectors
import threading
from collections.abc import Callable

logger = logging.getLogger("playground.predictor.output")

LONGEST_LINE = 16 * 1024
"""Bytes; what a line has more is left out, and said so."""
KEPT = 30
"""Lines."""


class Output:
    """Reads a process's stdout and stderr until both are closed.

    Args:
        pid: tells the process's number, for the log.
        pipes: name to file descriptor; closed when read to the end.
    """

    def __init__(self, pid: Callable[[], int | None], pipes: dict[str, int]) -> None:
        self.pid = pid
        self._lines: collections.deque[str] = collections.deque(maxlen=KEPT)
        self._pipes = pipes
        self._thread = threading.Thread(target=self._read, name="predictor-output", daemon=True)
        self._thread.start()

    def lines(self) -> tuple[str, ...]:
        """The last lines, once all is read that was printed (or a second has passed)."""
        self._thread.join(1.0)
        return tuple(self._lines)

    def _read(self) -> None:
        pending = {name: bytearray() for name in self._pipes}
        with selectors.DefaultSelector() as selector:
            for name, pipe in self._pipes.items():
                selector.register(pipe, selectors.EVENT_READ, name)
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, 64 * 1024)
                    if not data:
                        selector.unregister(key.fd)
                        os.close(key.fd)
                    self._split(key.data, pending[key.data], data)

    def _split(self, stream: str, pending: bytearray, data: bytes) -> None:
        """Tell the whole lines; at the end of the stream, what is left."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._tell(stream, bytes(pending) + line)
            pending.clear()
        # Of an endless line only as much is kept as will be told.
        pending += rest[: max(0, LONGEST_LINE + 1 - len(pending))]
        if not data and pending:
            self._tell(stream, bytes(pending))

    def _tell(self, stream: str, line: bytes) -> None:
        text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
        if len(line) > LONGEST_LINE:
            text += " … (the line is longer)"
        self._lines.append(text)
        logger.info(text, extra={"stream": stream, "pid": self.pid()})
