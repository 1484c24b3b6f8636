"""An image, started as a service on this machine for as long as it is checked."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from playground.errors import PlaygroundError

PORT = 8080
STOP_SECONDS = 30


@dataclass(frozen=True)
class Container:
    """A running container.

    Attributes:
        url: of the service in it.
        digest: ``sha256:…`` of its image in its registry; of the image's configuration where it was never pushed.
        engine: docker or podman.
        name: the container's.
    """

    url: str
    digest: str
    engine: str
    name: str

    def drain(self) -> tuple[int, float]:
        """Stop it as App Engine does: (exit status, seconds)."""
        began = time.monotonic()
        _run(self.engine, "stop", "-t", str(STOP_SECONDS), self.name)
        seconds = time.monotonic() - began
        return int(_run(self.engine, "inspect", "--format", "{{.State.ExitCode}}", self.name)), seconds


@contextlib.contextmanager
def running_container(image: str, environ: dict[str, str]) -> Iterator[Container]:
    """Start an image, its port on this machine alone; removed at the end, whatever happens.

    Raises:
        PlaygroundError: there is no engine, no such image, or the container ended at once.
    """
    engine = next((name for name in ("docker", "podman") if shutil.which(name)), None)
    if engine is None:
        raise PlaygroundError(
            f"{image} is an image, and there is neither docker nor podman to run it",
            "install one; or check the service.yaml, the class or a URL",
        )
    variables = [word for name, value in environ.items() for word in ("--env", f"{name}={value}")]
    name = _run(engine, "run", "--detach", "--publish", f"127.0.0.1::{PORT}", *variables, image).split()[-1]
    try:
        address = _run(engine, "port", name, str(PORT)).splitlines()[0]
        yield Container(f"http://{address}", digest_of(engine, image), engine, name)
    finally:
        subprocess.run([engine, "rm", "--force", name], capture_output=True, check=False)


def digest_of(engine: str, image: str) -> str:
    """The image's ``sha256:…``: as its reference or its registry says, else of its configuration."""
    if named := re.search(r"@(sha256:[0-9a-f]{64})$", image):
        return named[1]
    (told,) = json.loads(_run(engine, "image", "inspect", image))
    for digest in told.get("RepoDigests") or []:
        return str(digest).rpartition("@")[2]
    return str(told["Id"])


def _run(*command: str) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if told.returncode != 0:
        words = (told.stderr.strip() or told.stdout.strip() or f"status {told.returncode}").splitlines()[-1]
        raise PlaygroundError(f"{' '.join(command[:2])}: {words}", "is the engine running, and the image there?")
    return told.stdout.strip()
