"""How often one caller may ask: one count for all workers of a server, in memory that they share.

The generic cell rate algorithm: per caller one number, the moment at which all that it used up will have come back.
100/minute means 100 at once, then one every 0.6 seconds. Each number lies in four of many cells, chosen by hash, and
the smallest counts: a caller is disturbed only if others fill all four, and memory never grows.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import math
import mmap
import os
import struct
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playground.errors import RateLimitedError
from playground.serving.calls import Call
from playground.serving.headers import Pairs

CELLS = 2**18
_CELL = struct.Struct("d")


class RateLimit:
    """Counts callers.

    Args:
        requests: of one caller, in
        seconds: so many.
        path: a file that all workers of the server open; None for a count of this process's own.
    """

    def __init__(self, requests: int, seconds: int, path: Path | None) -> None:
        self.requests = requests
        self.seconds = seconds
        self._step = seconds / requests
        self._file = open(path, "a+b") if path else tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        os.ftruncate(self._file.fileno(), CELLS * _CELL.size)
        self._cells = mmap.mmap(self._file.fileno(), CELLS * _CELL.size)
        self._threads = threading.Lock()

    def take(self, name: str, known: Call) -> None:
        """Count a request of ``name``.

        Raises:
            RateLimitedError: it asked too often; says when to come again.
        """
        left, wait = self.count(name, time.monotonic())
        known.rate_limit = left, wait
        if left < 0:
            words = f"more than {self.requests} requests in {self.seconds} seconds"
            error = RateLimitedError(words, f"try again in {math.ceil(wait)} seconds")
            error.retry_after = wait
            raise error

    def count(self, name: str, now: float) -> tuple[int, float]:
        """(Requests left, seconds until there is one more); -1 left, and nothing counted, where there were none.

        Args:
            name: of whom.
            now: on the clock of ``time.monotonic``, which all processes of a machine share.
        """
        cells = struct.unpack("4I", hashlib.blake2b(name.encode(), digest_size=16).digest())
        offsets = [cell % CELLS * _CELL.size for cell in cells]
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                moments = [_CELL.unpack_from(self._cells, offset)[0] for offset in offsets]
                back = max(min(moments), now) + self._step
                if back - now > self.seconds + 1e-9:
                    return -1, back - now - self.seconds
                for offset, moment in zip(offsets, moments, strict=True):
                    _CELL.pack_into(self._cells, offset, max(moment, back))
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)
        used = (back - now) / self._step
        return int(self.requests - used + 1e-6), (used - math.floor(used - 1e-6)) * self._step

    def told(self, known: Call) -> Pairs:
        """RateLimit headers, as draft-ietf-httpapi-ratelimit-headers has them, if the request was counted."""
        if known.rate_limit is None:
            return ()
        left, wait = known.rate_limit
        return (
            ("RateLimit-Policy", f'"default";q={self.requests};w={self.seconds}'),
            ("RateLimit", f'"default";r={max(0, left)};t={math.ceil(wait)}'),
        )


def client_address(environ: Mapping[str, Any], proxies: int) -> str:
    """The address that a limit counts: of a network of 64 bits for IPv6, where each client has many.

    Args:
        environ: of the request.
        proxies: how many in front of the service add an address to X-Forwarded-For. What stands before those is the
            client's own word.
    """
    peer: str = environ.get("REMOTE_ADDR") or ""
    listed = [each.strip() for each in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    text = listed[-proxies] if 0 < proxies <= len(listed) else peer
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else text
