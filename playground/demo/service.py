"""The service of the demo, run by gunicorn from a generated build context."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from playground.errors import PlaygroundError
from playground.serving.local import free_port, gunicorn_command, readiness

START_TIMEOUT = 120
"""Seconds from the start to a predictor that can take a tile."""
STOP_TIMEOUT = 30
"""Seconds: gunicorn gives requests in flight 24."""
LOG_TAIL = 15
"""Lines."""


@contextlib.contextmanager
def running_service(
    context: Path,
    *,
    project: Path,
    environ: Mapping[str, str],
    log: Path,
    port: int = 0,
    say: Callable[[str], None] = lambda phase: None,
) -> Iterator[str]:
    """Run the files of a build context as the image would; stopped at the end, whatever happens.

    Args:
        context: the build context.
        project: the partner's folder, the working directory as /api is in the image.
        environ: settings, as environment variables.
        log: file for what gunicorn and the predictor write.
        port: 0 for a free one.
        say: told each phase of the start.

    Yields:
        The service's URL, once it is ready.

    Raises:
        PlaygroundError: it ended, failed or did not become ready in time.
    """
    port = port or free_port()
    command = gunicorn_command(context.resolve(), "127.0.0.1", port)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=project,
            env={**os.environ, "DRAIN_LINGER": "0", "LOG_FORMAT": "text", **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to us alone; requests in flight are then given up in order
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_ready(process, url, log, say)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: Path, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        ready, phase, predictor = readiness(url)
        say(phase)
        if ready:
            return
        if phase == "failed":
            raise PlaygroundError(f"the predictor could not be loaded: {predictor.get('error') or ''}", _tail(log))
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise PlaygroundError(f"gunicorn ended with status {process.returncode}", _tail(log))
    raise PlaygroundError(f"the service was not ready within {START_TIMEOUT} seconds", _tail(log))


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
    return f"{log} ends with\n" + "\n".join(lines)
