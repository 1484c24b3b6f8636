"""The peers: other ways to put a predictor behind HTTP, each in an environment of its own.

``peers/NAME`` has what each needs (requirements.txt) and the same predictor for it: the image's base64 is decoded,
nothing is found. The environments are made by uv, in the user's cache folder, and kept.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from servers import HERE, WORKERS, Server

FOLDER = HERE / "peers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "playground-bench"


def litserve(name: str, python: Path, cwd: Path) -> Server:
    return Server(name, (str(python), "server.py", "{port}"), cwd)


def bentoml(name: str, python: Path, cwd: Path) -> Server:
    command = (str(python), "-m", "bentoml", "serve", "server:Nothing", "--host", "127.0.0.1", "--port", "{port}")
    home = str(CACHE / "bentoml-home")
    return Server(name, command, cwd, {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": home})


def mlserver(processes: int) -> Callable[[str, Path, Path], Server]:
    def server(name: str, python: Path, cwd: Path) -> Server:
        environ = {
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{other}",
            "MLSERVER_METRICS_PORT": "{third}",
            "MLSERVER_PARALLEL_WORKERS": str(processes),
            "MLSERVER_DEBUG": "false",
        }
        return Server(name, (str(python.with_name("mlserver")), "start", "."), cwd, environ)

    return server


def porter(name: str, python: Path, cwd: Path) -> Server:
    command = (str(python), "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "error")
    threads = ("--workers", str(WORKERS), "--worker-class", "gthread", "--threads", "32", "server:APP")
    return Server(name, command + threads, cwd, path="/nothing/v1/predict")


PEERS: dict[str, tuple[str, Callable[[str, Path, Path], Server]]] = {
    "LitServe": ("litserve", litserve),
    "BentoML": ("bentoml", bentoml),
    "MLServer, processes": ("mlserver", mlserver(WORKERS)),
    "MLServer, in-process": ("mlserver", mlserver(0)),
    "porter": ("porter", porter),
}
"""Name in the table -> folder below peers/, and how it is started."""


def peer(name: str) -> Server:
    """A peer, its environment made if need be.

    Raises:
        RuntimeError: it cannot be installed here.
    """
    folder, server = PEERS[name]
    return server(name, environment(FOLDER / folder / "requirements.txt"), FOLDER / folder)


def environment(requirements: Path) -> Path:
    """The interpreter of an environment with these packages."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise RuntimeError("uv is not installed")
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = CACHE / f"{requirements.parent.name}-{digest}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        shutil.rmtree(home, ignore_errors=True)
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, home],
            [uv, "pip", "install", "--quiet", "--python", python, "--requirement", requirements],
        ):
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
            except subprocess.CalledProcessError as error:
                raise RuntimeError(error.stderr.strip().splitlines()[0] if error.stderr else str(error)) from error
            except subprocess.TimeoutExpired as error:
                raise RuntimeError("not within ten minutes") from error
        (home / "complete").touch()
    return python
