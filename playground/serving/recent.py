"""The last requests, and the last lines of the log, of all workers: each writes files, any reads all."""

from __future__ import annotations

import collections
import contextlib
import logging
import mmap
import os
import threading
import time
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, current_app, request

from playground.serving import metrics_folder
from playground.serving.calls import Call, call
from playground.serving.correlation import correlation_id_of
from playground.serving.logs import clean

MOST = 50
"""Requests that are shown."""
MOST_LINES = 200
"""Lines of the log that are shown."""
ROOM = 65536
"""Bytes of a file for what comes; when they are full, a new one takes its place."""
MOST_FILES = 16
"""Of one kind: workers come and go, what the latest of them did is kept."""
PREDICTING = ("predictions", "process", "jobs")
"""Blueprints whose requests are kept."""


class Ring:
    """The last entries of all workers: kept in memory, and in a file of this worker's where there is a folder.

    Args:
        folder: that the workers share; None where there is one worker only.
        kind: of the entries, a word.
        most: how many are kept.
    """

    def __init__(self, folder: Path | None, kind: str, most: int) -> None:
        self._folder, self._kind = folder, kind
        self._entries: collections.deque[dict[str, Any]] = collections.deque(maxlen=most)
        self._lock = threading.Lock()
        self._written = 0
        self._file: mmap.mmap | None = None
        self._end = self._of = 0
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                for old in self._files()[:-MOST_FILES]:
                    old.unlink()

    def add(self, entry: dict[str, Any]) -> None:
        """Keep an entry; ``time`` is in it."""
        with self._lock:
            self._entries.append(entry)
            if self._folder is None:
                return
            with contextlib.suppress(OSError):  # a full disk is no reason to refuse a prediction
                line = _line(entry)
                if self._file is None or self._of != os.getpid() or self._end + len(line) > len(self._file):
                    self._start_anew()
                else:
                    self._file[self._end : self._end + len(line)] = line
                    self._end += len(line)

    def _start_anew(self) -> None:
        """A file of this process with what is to be kept, and room for what comes.

        In memory, as a write would let go of the interpreter: with many threads that costs more than all the rest.
        """
        assert self._folder is not None
        self._file = None
        path = self._folder / f"{self._kind}-{os.getpid()}.jsonl"
        fresh = path.with_suffix(".new")
        kept = b"".join(map(_line, self._entries))
        with fresh.open("w+b") as file:
            # A page of the file that has no place on the disk would end the process when it is written to.
            os.posix_fallocate(file.fileno(), 0, len(kept) + ROOM)
            file.write(kept)
            file.flush()
            self._file = mmap.mmap(file.fileno(), len(kept) + ROOM)
        fresh.replace(path)
        self._end, self._of = len(kept), os.getpid()

    def read(self) -> list[dict[str, Any]]:
        """The last ones of all workers, the newest first."""
        most = self._entries.maxlen or 0
        found = list(self._entries)
        if self._folder is not None:
            found = []
            for path in self._files():
                with contextlib.suppress(OSError):
                    for line in path.read_bytes().rstrip(b"\0").splitlines()[-most:]:
                        with contextlib.suppress(ValueError):  # half of a line that is being written
                            found.append(orjson.loads(line))
        return sorted(found, key=lambda entry: -float(entry["time"]))[:most]

    def _files(self) -> list[Path]:
        assert self._folder is not None
        found = []
        for path in self._folder.glob(f"{self._kind}-*.jsonl"):
            with contextlib.suppress(FileNotFoundError):  # another worker has just taken it away
                found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found)]


class Recent(logging.Handler):
    """The last requests and lines of the log."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(logging.INFO)
        self._requests = Ring(folder, "requests", MOST)
        self._lines = Ring(folder, "lines", MOST_LINES)

    def note(self, known: Call, status: int) -> None:
        """Keep a request."""
        entry: dict[str, Any] = {
            "time": time.time(),
            "method": known.method,
            "path": known.path,
            "status": status,
            "outcome": known.outcome,
            "caller": known.caller,
            "tile": known.tile,
            "milliseconds": round((time.perf_counter() - known.began) * 1000, 1),
            "correlationId": correlation_id_of(known),
            "error": clean(known.error) if known.error else "",
        }
        if known.result is not None:
            entry |= {"timing": known.result.timing, "features": known.result.report["features_out"]}
        self._requests.add(entry)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line of the log."""
        text = clean(record.getMessage())[:2000]
        self._lines.add({"time": record.created, "level": record.levelname, "logger": record.name, "text": text})

    def requests(self, of: str | None = None) -> list[dict[str, Any]]:
        """The last ones of all workers, the newest first; those of one caller, or of all."""
        return [entry for entry in self._requests.read() if of is None or entry["caller"] == of]

    def lines(self) -> list[dict[str, Any]]:
        """The last lines of all workers, the newest first."""
        return self._lines.read()


def recent_of() -> Recent:
    """What the application remembers."""
    found: Recent = current_app.extensions["playground.recent"]
    return found


def install(app: Flask, keep_log: bool) -> Recent:
    """Remember every prediction; the lines of the log only where they may be shown."""
    folder = os.environ.get(metrics_folder.VARIABLE)
    kept = Recent(Path(folder) / "recent" if folder else None)
    app.extensions["playground.recent"] = kept
    if keep_log:
        logging.getLogger("playground").addHandler(kept)

    @app.after_request
    def note(response: Response) -> Response:
        if (request.blueprint or "").endswith(PREDICTING):
            kept.note(call(), response.status_code)
        return response

    return kept


def _line(entry: dict[str, Any]) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
