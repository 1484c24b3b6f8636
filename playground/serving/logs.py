"""The log: one line for every event, as Cloud Logging reads it (JSON), or as people do (text).

Configured by gunicorn.conf.py, through ``logger_for``; everything else uses the logger of its module.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import logging
import os
import re
import sys
import threading
import time
from typing import Any

import orjson
from gunicorn.config import Config
from gunicorn.glogging import Logger
from werkzeug.datastructures import EnvironHeaders

from playground.serving.calls import Call, current
from playground.serving.correlation import correlation_id_of
from playground.serving.lines import LineHandler
from playground.serving.traces import read_trace
from playground.sources.base import without_secrets

STDOUT, STDERR = 1, 2
"""File descriptors."""
LONGEST = 240_000
"""Bytes of a line; Cloud Logging takes 256 kB an entry, what it adds itself included."""
UTC = datetime.timezone.utc
JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
URL = re.compile(r"\w+://[^\s\"'<>]+")
DATA = re.compile(r"[A-Za-z0-9+/=_-]{512,}|\bb'(?:\\.|[^'\\]){512,}'|\bb\"(?:\\.|[^\"\\]){512,}\"")
"""Base64 or the repr of bytes: images, as they come into messages."""
TEXT = "%(asctime)s [%(process)d] [%(levelname)s] %(name)s: %(message)s"
ACCESS = '%(h)s "%(m)s %(U)s %(H)s" %(s)s %(B)s %(L)s "%(a)s"'
"""For gunicorn's own access log: without queries and referrers, where keys travel."""


def clean(text: str) -> str:
    """A text without the secrets of addresses, and without images."""
    if "://" in text:
        text = URL.sub(lambda found: without_secrets(found[0]), text)
    if len(text) > 512:
        text = DATA.sub(lambda found: f"({len(found[0])} characters of data left out)", text)
    return text


class _Formatter(logging.Formatter):
    """A traceback ends with what one line of message does not hold: every problem of settings."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging names it so
        return "\n".join([super().formatException(ei), *getattr(ei[1], "problems", ())])


class TextFormatter(_Formatter):
    """Lines for people; a traceback has lines of its own."""

    def __init__(self) -> None:
        super().__init__(TEXT)

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


class JsonFormatter(_Formatter):
    """One JSON object for each record, whatever is in it.

    Args:
        project: the Google Cloud project, for the full names of traces; empty where there is none.
    """

    def __init__(self, project: str = "") -> None:
        super().__init__()
        self.project = project

        self._second = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        known = current()
        entry = self._entry(record.levelno, int(record.created * 1e6), _message(record), record.name, known)
        if record.name == "playground.predictor.output":
            entry |= {"stream": getattr(record, "stream", ""), "predictor_pid": getattr(record, "pid", None)}
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            entry["stack_trace"] = clean(self.formatException(record.exc_info))
        if record.stack_info:
            entry["stack_trace"] = clean(record.stack_info)
        return _dump(entry).decode()

    def line(self, level: int, message: str, name: str, known: Call, fields: dict[str, Any]) -> bytes:
        """What ``format`` makes of a record of now, about a request, with further fields, and the end of the line."""
        entry = self._entry(level, time.time_ns() // 1000, message, name, known)
        entry |= fields
        return _dump(entry) + b"\n"

    def _entry(self, level: int, microseconds: int, message: str, name: str, known: Call | None) -> dict[str, Any]:
        """What every line has; those about requests say which."""
        second, fraction = divmod(microseconds, 1_000_000)
        of, text = self._second
        if second != of:
            text = datetime.datetime.fromtimestamp(second, UTC).isoformat()[:19]
            self._second = second, text
        entry: dict[str, Any] = {
            "severity": severity(level),
            "time": f"{text}.{fraction:06d}Z",
            "message": clean(message),
            "logger": name,
            "process": os.getpid(),
        }
        if known is not None:
            entry |= self._of_request(known)
        return entry

    def _of_request(self, known: Call) -> dict[str, Any]:
        told: dict[str, Any] = {"correlationId": correlation_id_of(known)}
        environ = known.environ
        trace = None
        if "HTTP_X_CLOUD_TRACE_CONTEXT" in environ or "HTTP_TRACEPARENT" in environ:
            trace = read_trace(EnvironHeaders(environ))
        if trace:
            name = f"projects/{self.project}/traces/{trace.trace_id}" if self.project else trace.trace_id
            told["logging.googleapis.com/trace"] = name
            told["logging.googleapis.com/trace_sampled"] = trace.sampled
            if trace.span_id:
                told["logging.googleapis.com/spanId"] = trace.span_id
        return told


def severity(level: int) -> str:
    """Cloud Logging's word for a level of Python's."""
    if level == logging.INFO:
        return "INFO"
    names = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"), (1, "DEBUG"))
    return next((name for floor, name in names if level >= floor), "DEFAULT")


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - a line that says something wrong is better than none
        return f"{record.msg!r} {record.args!r} ({type(error).__name__})"


def _dump(entry: dict[str, Any]) -> bytes:
    """The entry as one line; texts are cut where it would be longer than LONGEST."""
    line = _encode(entry)
    keep = LONGEST // 2
    while len(line) > LONGEST:
        line = _encode({key: _cut(key, value, keep) for key, value in entry.items()})
        keep //= 2
    return line


def _encode(entry: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(entry, str, JSON_OPTIONS)
    except (orjson.JSONEncodeError, UnicodeError):  # half a surrogate pair, a number of 80 bits, a repr that raises
        return json.dumps({key: _plain(value) for key, value in entry.items()}).encode()


def _plain(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception as error:  # noqa: BLE001 - see above
        text = f"({type(error).__name__} in repr)"
    return text.encode("utf-8", "replace").decode()


def _cut(key: str, value: object, keep: int) -> object:
    """A value of at most so many characters; of a traceback the end, which says what happened."""
    if not isinstance(value, str):
        text = _encode({key: value})
        return value if len(text) <= keep else f"({len(text)} bytes left out)"
    if len(value) <= keep:
        return value
    note = f"({len(value) - keep} characters cut)"
    return f"{note} {value[-keep:]}" if key == "stack_trace" else f"{value[:keep]} {note}"


def log(logger: logging.Logger, level: int, message: str, known: Call, fields: dict[str, Any]) -> None:
    """Log a line about a request that is answered, with further fields; ``logger`` takes this level.

    Where no one but a handler of ours would see the record, none is made: that is most of what a line costs.
    """
    handler = _only_handler(logger)
    if handler is not None and handler.level <= level and not handler.filters:
        formatter = handler.formatter
        if type(formatter) is JsonFormatter:
            with contextlib.suppress(Exception):  # what is wrong with it logging tells, in its own way
                handler.put(formatter.line(level, message, logger.name, known, fields))
                return
    logger.log(level, "%s", message, extra={"fields": fields})


def _only_handler(logger: logging.Logger) -> LineHandler | None:
    """Where a logger's records go, if all that is done with them is that one LineHandler writes them."""
    if logger.filters or logging.getLogRecordFactory() is not logging.LogRecord:
        return None
    found = None
    at: logging.Logger | None = logger
    while at is not None:
        for handler in at.handlers:
            if found is not None or type(handler) is not LineHandler:
                return None
            found = handler
        at = at.parent if at.propagate else None
    return found


class LoggedStream(io.TextIOBase):
    """Stands for stdout or stderr: what is printed in the server becomes lines of the log.

    Args:
        name: stdout or stderr.
        descriptor: where it would have gone.
        level: of the lines.
    """

    def __init__(self, name: str, descriptor: int, level: int) -> None:
        super().__init__()
        self._level = level
        self._logger = logging.getLogger(f"playground.{name}")
        self._descriptor = descriptor
        self._pending = threading.local()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        *lines, rest = (getattr(self._pending, "text", "") + text).split("\n")
        self._pending.text = rest
        for line in lines:
            if line.strip():
                self._logger.log(self._level, "%s", line)
        return len(text)


def configure(formatter: logging.Formatter, level: int) -> None:
    """Send every logger, Python's warnings and errors that nobody catches to stderr; again changes nothing."""
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, LineHandler)]:
        root.removeHandler(handler)
    root.addHandler(LineHandler(STDERR, formatter))
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("playground").setLevel(level)
    logging.captureWarnings(True)
    # No form names the line of code or the thread, so nobody looks for them; these are logging's own switches.
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = False
    if hasattr(logging, "logAsyncioTasks"):
        logging.logAsyncioTasks = False
    if isinstance(formatter, JsonFormatter):
        sys.stdout = LoggedStream("stdout", STDOUT, logging.INFO)
        sys.stderr = LoggedStream("stderr", STDERR, logging.WARNING)
    uncaught = logging.getLogger("playground.uncaught")
    sys.excepthook = lambda *found: uncaught.critical("uncaught error: %s", found[1], exc_info=found)
    sys.unraisablehook = lambda found: uncaught.error(
        "error that could not be raised: %s", found.exc_value, exc_info=found.exc_value
    )
    threading.excepthook = lambda found: uncaught.error(
        "uncaught error in thread %s", getattr(found.thread, "name", "?"), exc_info=found.exc_value
    )


def logger_for(form: str, project: str = "") -> type[Logger]:
    """Gunicorn's ``logger_class``: its own messages, and all others of the server, in one form.

    Args:
        form: json, text, or auto: text when stderr is a terminal.
        project: see JsonFormatter.
    """
    if form == "auto":
        form = "text" if os.isatty(STDERR) else "json"
    formatter = TextFormatter() if form == "text" else JsonFormatter(project)

    class ServerLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
        """Gunicorn's logger with our lines."""

        def setup(self, cfg: Config) -> None:
            super().setup(cfg)
            configure(formatter, self.loglevel)
            for log, descriptor in ((self.error_log, STDERR), (self.access_log, STDOUT)):
                for handler in [each for each in log.handlers if getattr(each, "_gunicorn", False)]:
                    if type(handler) is logging.StreamHandler:
                        log.removeHandler(handler)
                        line_handler = LineHandler(descriptor, formatter)
                        line_handler._gunicorn = True  # type: ignore[attr-defined]  # so that it removes it again
                        log.addHandler(line_handler)
                    else:  # a file that the configuration names, or syslog
                        handler.setFormatter(formatter)

    return ServerLogger
