"""The partner's own interpreter: a virtual environment with what its requirements.txt asks for, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from playground.errors import PlaygroundError


def partner_python(cache: Path, requirements: Path) -> Path:
    """The interpreter of the partner's environment, made if it is not there yet.

    Args:
        cache: folder of such environments; one for each content of requirements.txt and version of Python.

    Raises:
        PlaygroundError: it cannot be made.
    """
    key = hashlib.sha256(f"{sys.version}\n{sys.prefix}\n".encode() + requirements.read_bytes()).hexdigest()[:12]
    folder = cache / f"partner-{key}"
    python = folder / "bin" / "python"
    complete = folder / ".complete"  # an installation that was cut short is made again
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([sys.executable, "-m", "venv", str(folder)], "is Python's venv module installed (python3-venv)?")
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*install, "--requirement", str(requirements)], "is there a way to the package index?")
        complete.touch()
    return python


def freeze(python: Path) -> list[str]:
    """Every package of an environment with its version, pip included."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "freeze", "--all"]
    return _run(command, "remove the folder of the environment and try again").splitlines()


def _run(command: Sequence[str], hint: str) -> str:
    """Run a command; what it wrote to stdout."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise PlaygroundError(f"{command[0]} cannot be run: {error.strerror}", hint) from error
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise PlaygroundError(f"{' '.join(command[:4])} … failed: {last[0]}", hint)
    return done.stdout
