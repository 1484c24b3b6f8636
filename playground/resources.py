"""The files that travel with the library: the app, templates, examples and what the generator copies.

In a wheel they lie in ``playground/_files``, in a checkout at its top.
"""

from __future__ import annotations

from pathlib import Path

import playground
import playground_interfaces
from playground.errors import GenerateError

_LEFT_OUT = ("__pycache__", "*.py[co]", "*~", "*.sw?", "*.orig", "*.rej", ".venv", ".DS_Store", ".*_cache")


def root() -> Path:
    """The folder that holds app/, templates/, examples/, Dockerfile.integration, app.yaml.j2 and gunicorn.conf.py.

    Raises:
        GenerateError: neither a wheel's nor a checkout's.
    """
    package = Path(playground.__file__).resolve().parent
    for folder in (package / "_files", package.parent):
        if (folder / "Dockerfile.integration").is_file():
            return folder
    raise GenerateError(f"{package} has lost its files", "install tile-playground again")


def read(name: str) -> bytes:
    """One file, named from ``root()``."""
    return (root() / name).read_bytes()


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` by its path there, in order; without caches and editors' copies."""
    found = {}
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        left_out = any(Path(part).match(mask) for part in inner.parts for mask in _LEFT_OUT)
        if path.is_file() and not left_out:
            found[inner.as_posix()] = path.read_bytes()
    return dict(sorted(found.items()))


def interfaces() -> dict[str, bytes]:
    """The files of the package ``playground_interfaces``."""
    return files_below(Path(playground_interfaces.__file__).resolve().parent)


def app() -> dict[str, bytes]:
    """What the image runs: app.py, app_utils.py and playground_interfaces/, by path."""
    ours = {name: read(f"app/{name}") for name in ("app.py", "app_utils.py")}
    return ours | {f"playground_interfaces/{name}": content for name, content in interfaces().items()}
