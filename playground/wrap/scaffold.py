"""A partner's project to start from, rendered as files."""

from __future__ import annotations

import keyword
import re
import unicodedata

from playground import resources
from playground.errors import GenerateError
from playground.wrap.render import render_template

FILES = {
    "{package}/__init__.py": "package/__init__.py.j2",
    "{package}/predictor.py": "package/predictor.py.j2",
    "tests/test_predictor.py": "tests/test_predictor.py.j2",
    "service.yaml": "service.yaml.j2",
    "requirements.txt": "requirements.txt.j2",
    "Dockerfile": "Dockerfile.j2",
    "README.md": "README.md.j2",
    "pytest.ini": "pytest.ini.j2",
    ".dockerignore": "dockerignore.j2",
    ".gitignore": "gitignore.j2",
    ".github/workflows/check.yml": "github/check.yml.j2",
}
"""Path in the project to template, below templates/init."""

TAKEN = {"playground", "playground_interfaces", "app", "app_utils", "tests", "test", "numpy"}
"""Packages that would hide others."""


def render_project(name: str, zoom: int, padding: int) -> dict[str, bytes]:
    """Every file of a project, by its path.

    Args:
        name: as a person writes it, like "Ship detection".
        zoom: of the tiles.
        padding: pixels on each side.

    Raises:
        GenerateError: no names of a service, a package and a class can be made of it.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", plain).lower())
    package, service = "_".join(words), "-".join(words)
    if not words or not package.isidentifier() or keyword.iskeyword(package) or len(service) > 40:
        raise GenerateError(
            f"{name!r} makes no name of a package", "give --name: letters and digits, a letter first, at most 40 signs"
        )
    if package in TAKEN:
        raise GenerateError(f"a package {package} would hide another one", "give another --name")
    class_name = "".join(word.capitalize() for word in words)
    values: dict[str, object] = {
        "title": " ".join(words).capitalize(),
        "name": service,
        "package": package,
        "class_name": class_name if class_name.endswith(("Detector", "Predictor")) else f"{class_name}Detector",
        "image": f"eu.gcr.io/theplayground_repo/{package}:latest",
        "zoom": zoom,
        "padding": padding,
    }
    files = {path.format(package=package): f"templates/init/{template}" for path, template in FILES.items()}
    return {path: render_template(template, values).encode() for path, template in sorted(files.items())}


def templates() -> list[str]:
    """The templates that there are, below templates/init."""
    return list(resources.files_below(resources.root() / "templates" / "init"))
