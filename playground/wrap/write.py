"""Generated files written into a folder, with care for what a person has there."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from playground.errors import GenerateError

MANIFEST = ".playground-files"
"""What was written, as `sha256sum --check` reads it: the sign that a folder is ours."""


def write_files(files: Mapping[str, bytes], out: Path, force: bool = False) -> list[str]:
    """Write files into a folder, each at once, and remove those that only an earlier writing made.

    Args:
        files: path below ``out`` -> content.
        out: made if absent.
        force: also into a folder with other files, and over files that were changed by hand.

    Returns:
        The paths written, in order.

    Raises:
        GenerateError: the folder is not ours, holds files changed by hand, or cannot be written.
    """
    try:
        before = _read_manifest(out)
        if not force:
            _refuse_strangers(files, out, before)
        for name, content in files.items():
            _replace(out / name, content)
        for name in before.keys() - files.keys():
            _remove(out, name)
        rows = "".join(f"{_digest(content)}  {name}\n" for name, content in sorted(files.items()))
        _replace(out / MANIFEST, rows.encode())
    except OSError as error:
        raise GenerateError(f"{error.filename or out} cannot be written: {error.strerror}") from error
    return sorted(files)


def _read_manifest(out: Path) -> dict[str, str]:
    """Path -> hash of what an earlier writing made; empty where there was none."""
    try:
        text = (out / MANIFEST).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    rows = (line.partition("  ") for line in text.splitlines())
    return {name: digest for digest, _, name in rows if name and ".." not in Path(name).parts and name[0] != "/"}


def _refuse_strangers(files: Mapping[str, bytes], out: Path, before: Mapping[str, str]) -> None:
    if out.exists() and not out.is_dir():
        raise GenerateError(f"{out} is a file", "name a folder, new or empty")
    if not before and out.is_dir() and any(out.iterdir()):
        raise GenerateError(f"{out} is not empty, and was not generated", "name another folder, or give --force")
    for name in sorted(before.keys() | files.keys()):
        path = out / name
        if not path.is_file():
            continue
        # A writing that was cut short leaves old and new files side by side: both are ours.
        known = {before.get(name), _digest(files[name]) if name in files else None}
        if _digest(path.read_bytes()) not in known:
            hint = "change service.yaml instead, or give --force to write over it"
            raise GenerateError(f"{path} was changed by hand since it was generated", hint)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it; readable by all, whatever the umask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _remove(out: Path, name: str) -> None:
    (out / name).unlink(missing_ok=True)
    for folder in (out / name).parents:
        if folder == out or any(folder.iterdir()):
            break
        folder.rmdir()
