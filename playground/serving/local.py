"""A service on this machine, as the commands start it: gunicorn on a context, and whether it can predict yet."""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path
from typing import Any

import requests

from playground.errors import PlaygroundError


def gunicorn_command(context: Path, host: str, port: int) -> list[str]:
    """What starts the service of a context: the folder with gunicorn.conf.py."""
    config = str(context / "gunicorn.conf.py")
    return [sys.executable, "-I", "-m", "gunicorn", "--config", config, "--bind", f"{host}:{port}", "app:APP"]


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on."""
    return check_port(host, 0)


def check_port(host: str, port: int) -> int:
    """The port, if a service can listen there; a free one for 0.

    Raises:
        PlaygroundError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
        try:
            sock.bind((host, port))
        except OSError as error:
            words = "somebody listens there already" if error.errno == errno.EADDRINUSE else error.strerror
            raise PlaygroundError(
                f"cannot listen on {host}:{port}: {words}", "name another with --port (0 is a free one), or --host"
            ) from error
        found: int = sock.getsockname()[1]
        return found


def readiness(url: str) -> tuple[bool, str, dict[str, Any]]:
    """(ready, phase, the predictor's state) of a service; phase "starting" while nobody answers."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy between us and ourselves
        try:
            response = session.get(f"{url}/readiness_check", timeout=5)
            predictor: dict[str, Any] = response.json()["predictor"]
        except (requests.RequestException, ValueError, KeyError):
            return False, "starting", {}
    return response.status_code == 200, str(predictor.get("phase")), predictor
