"""Idempotency-Key: the same request sent again gets the same answer, and is predicted once.

As draft-ietf-httpapi-idempotency-key-header has it. One file for each key, in a folder that the server's workers share:
a lock on it says that its request is under way, what is in it is the answer. A lock ends with the process that holds
it, so a worker that dies leaves nothing behind that others would wait for.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import hashlib
import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from flask import Response, after_this_request, g, request

from playground.errors import KeyInUseError, KeyReusedError, PayloadError, RequestAbandonedError
from playground.serving import metrics_folder
from playground.serving.calls import call
from playground.serving.connection import client_watch
from playground.serving.guard.callers import caller

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY = re.compile(r'"([\x20\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,255})')
"""A structured field's string (RFC 8941), or the bare word that most clients send."""
MOST_ANSWERS = 1000
MOST_BYTES = 256 * 1024 * 1024
WAITING = 4
"""Requests of one process that wait for another with the same key: its threads are needed for others, too."""
PAUSE = 0.02
"""Seconds between two looks at whether the other is done."""
PASSING = frozenset((401, 403, 408, 409, 413, 423, 425, 429, 499))
"""Statuses below 500 that say nothing about the request itself: they are not given again."""


class Store:
    """Answers by key.

    Args:
        folder: where they are kept; made when the first one comes.
        seconds: how long.
        most: how many.
    """

    def __init__(self, folder: Path, seconds: float, most: int = MOST_ANSWERS) -> None:
        self.folder = folder
        self.seconds = seconds
        self._most = most
        self.waiting = threading.BoundedSemaphore(WAITING)

    def open(self, name: str) -> Entry | None:
        """The entry of that name, locked; None while somebody else holds it."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        while True:
            descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            entry = Entry(self, self.folder / name, descriptor)
            if not entry.lock():
                entry.close()
                return None
            if os.fstat(descriptor).st_nlink:  # not taken away between opening and locking
                return entry
            entry.close()

    def make_room(self) -> None:
        """Take away what is out of date, and what has not been asked for longest."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    found.append((file.stat().st_mtime, file.stat().st_size, file.name))
        count, size, now = len(found), sum(each[1] for each in found), time.time()
        for used, length, name in sorted(found):
            if count <= self._most and size <= MOST_BYTES and now - used < self.seconds:
                break
            entry = self.open(name)
            if entry is not None:
                entry.forget()
                entry.close()
                count, size = count - 1, size - length


class Entry:
    """What is known under one key, for whoever holds it."""

    def __init__(self, store: Store, path: Path, descriptor: int) -> None:
        self._store = store
        self._path = path
        self._file = os.fdopen(descriptor, "r+b")

    def lock(self) -> bool:
        """Whether it is ours."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def read(self) -> tuple[dict[str, Any], bytes] | None:
        """The head and the body that were written; None for none, or where its time is over."""
        self._file.seek(0)
        line = self._file.readline()
        if not (line.startswith(b"{") and line.endswith(b"\n")):
            return None
        head: dict[str, Any] = orjson.loads(line)
        if head["until"] < time.time():
            return None
        body = self._file.read()
        if len(body) != head["length"]:  # its writer died in the middle
            return None
        os.utime(self._path)
        return head, body

    def write(self, head: dict[str, Any], pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Keep an answer; its pieces come out as they came in. What is not read to its end is not kept."""
        # The body first, behind room for a head: until the head is there, there is nothing.
        room = len(orjson.dumps(head)) + 100
        length = 0
        self._file.seek(0)
        self._file.truncate()
        for piece in pieces:
            self._put(room + length, piece)
            length += len(piece)
            yield piece
        known = {**head, "length": length, "until": time.time() + self._store.seconds}
        self._put(0, orjson.dumps(known).ljust(room - 1) + b"\n")

    def _put(self, place: int, data: bytes) -> None:
        """Write to the file; where that cannot be done (a full disk) the answer goes out, and is not kept."""
        try:
            self._file.seek(place)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            logger.warning("an answer is not kept for its Idempotency-Key: %s", error)
            self.forget()

    def forget(self) -> None:
        """Take it away."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def close(self) -> None:
        """Let others have it."""
        self._file.close()


def open_store(seconds: float) -> Store | None:
    """The one that this server's workers share, beside the folder of their metrics; None for 0 seconds."""
    if not seconds:
        return None
    shared = os.environ.get(metrics_folder.VARIABLE)
    if shared:
        return Store(metrics_folder.answers_folder(shared), seconds)
    alone = tempfile.TemporaryDirectory(prefix="playground-answers-")  # goes with the store
    store = Store(Path(alone.name), seconds)
    store.alone = alone  # type: ignore[attr-defined]
    return store


def begin(store: Store, seconds: float) -> Response | None:
    """The answer that the current request's key stands for; None where it has to be found.

    Args:
        store: where answers are.
        seconds: how long to wait for a request with the same key that is under way.

    Raises:
        PayloadError: no key.
        KeyReusedError: the key was another request's.
        KeyInUseError: that request is still under way.
    """
    given = request.headers[HEADER].strip()
    matched = KEY.fullmatch(given)
    if matched is None:
        raise PayloadError(f"{HEADER} is not a text of 1 to 255 printable characters", 'send one like "8e03978e-40d5"')
    key = matched[1] or matched[2]
    # Each caller has keys of its own: nobody gets an answer that was another's.
    name = hashlib.sha256(f"{caller()}\n{key}".encode()).hexdigest()
    try:
        entry = store.open(name) or _wait(store, name, time.monotonic() + seconds)
    except OSError as error:  # nowhere to write: the request is answered as if it had no key
        logger.warning("no answers can be kept for Idempotency-Keys: %s", error)
        return None
    about = hashlib.sha256(request.get_data())
    for part in (request.endpoint, request.query_string, request.mimetype, request.headers.get("Accept")):
        about.update(f"\n{part!r}".encode())
    fingerprint = about.hexdigest()
    found = entry.read()
    if found is not None:
        entry.close()
        return _replayed(*found, fingerprint)

    @after_this_request
    def end(response: Response) -> Response:
        return _kept(store, entry, response, fingerprint)

    return None


def forget() -> None:
    """Do not give the answer of the current request again: sent once more, it may come out better."""
    g.forget = True


def _wait(store: Store, name: str, until: float) -> Entry:
    """The entry once its request has ended."""
    gone = client_watch(request.environ)
    if not store.waiting.acquire(blocking=False):
        raise _in_use()
    try:
        while time.monotonic() < until:
            time.sleep(PAUSE)
            entry = store.open(name)
            if entry is not None:
                return entry
            if gone():
                raise RequestAbandonedError("the client is gone; nothing was predicted")
    finally:
        store.waiting.release()
    raise _in_use()


def _in_use() -> KeyInUseError:
    error = KeyInUseError("the request with this Idempotency-Key is still under way", "send it again in a moment")
    error.retry_after = 1.0
    return error


def _replayed(head: dict[str, Any], body: bytes, fingerprint: str) -> Response:
    if head["fingerprint"] != fingerprint:
        raise KeyReusedError(
            "this Idempotency-Key was sent with another request", "a key stands for one request: make a new one"
        )
    call().outcome = head["outcome"]
    response = Response(body, head["status"], headers=head["headers"])
    response.headers[REPLAYED] = "true"
    return response


def _kept(store: Store, entry: Entry, response: Response, fingerprint: str) -> Response:
    status = response.status_code
    if status >= 500 or status in PASSING or g.get("forget"):
        entry.forget()
        entry.close()
        return response
    head = {
        "fingerprint": fingerprint,
        "status": status,
        "headers": [pair for pair in response.headers if pair[0] != "Content-Length"],
        "outcome": call().outcome,
    }

    pieces: Iterable[bytes] = response.response if response.is_streamed else [response.get_data()]  # type: ignore[assignment]

    def recorded() -> Iterator[bytes]:
        whole = False
        try:
            yield from entry.write(head, pieces)
            whole = True
        finally:
            if not whole:
                entry.forget()
            entry.close()
            store.make_room()
            if hasattr(pieces, "close"):
                pieces.close()

    if response.is_streamed:
        response.response = recorded()
    else:
        collections.deque(recorded(), maxlen=0)
    return response
