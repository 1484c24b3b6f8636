"""Lines of the log on their way out of the process."""

from __future__ import annotations

import collections
import logging
import os
import threading


class LineHandler(logging.Handler):
    """Writes each record in one call, so that the lines of several processes stay whole, and always in UTF-8.

    A thread that finds another one writing leaves its line with that one and goes on: with a lock around the write, as
    logging has it, threads queue there, and each turn costs two switches between them.
    """

    def __init__(self, descriptor: int, formatter: logging.Formatter) -> None:
        super().__init__()
        self.descriptor = descriptor
        self.setFormatter(formatter)
        self._start_anew()
        os.register_at_fork(after_in_child=self._start_anew)  # a worker must not wait for a thread of the master's

    def _start_anew(self) -> None:
        self._lines: collections.deque[bytes] = collections.deque()
        self._writing = threading.Lock()

    def createLock(self) -> None:  # noqa: N802 - logging names it so
        """None: the lock of ``emit`` is enough."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode("utf-8", "replace")
        except Exception:  # noqa: BLE001 - as logging's own handlers do
            self.handleError(record)
        else:
            self.put(line)

    def put(self, line: bytes) -> None:
        """Write a line, or leave it with the thread that writes."""
        self._lines.append(line)
        # Looked at again after each turn: a line may have come between the last look and the end of the turn.
        while self._lines and self._writing.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._writing.release()

    def _write(self) -> None:
        while self._lines:
            rest = memoryview(self._lines.popleft())
            try:
                while rest:
                    rest = rest[os.write(self.descriptor, rest) :]
            except OSError:
                pass  # nobody reads the log: no reason to fail a request
