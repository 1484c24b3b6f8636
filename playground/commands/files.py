"""Files that commands write: looked at before the work begins, not after it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from playground import scratch
from playground.area.outputs import STDOUT
from playground.commands.console import console
from playground.errors import RunError


class OutFile(click.ParamType[Path]):
    """The path of a file that can be written.

    Args:
        suffix: that it must have.
    """

    name = "file"

    def __init__(self, suffix: str = "") -> None:
        self._suffix = suffix

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if path.suffix.lower() != (self._suffix or path.suffix.lower()):
            self.fail(f"{value} is no {self._suffix}", param, ctx)
        if why := why_not_writable(path):
            self.fail(why, param, ctx)
        return path


def why_not_writable(path: Path) -> str:
    """Why no file can be written there, in words; empty if one can."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if path.is_dir():
        return f"{path} is a folder"
    if not os.access(path if path.exists() else folder, os.W_OK):
        return f"{path} cannot be written: no permission"
    return ""


def check_apart(named: Iterable[tuple[str, str | Path | None]]) -> None:
    """See to it that one file is not written twice.

    Args:
        named: option and path; None and - stand for no file.

    Raises:
        click.UsageError: two options name the same.
    """
    seen: dict[Path, str] = {}
    for option, path in named:
        if path is None or str(path) == STDOUT:
            continue
        place = Path(path).resolve()
        if place in seen:
            raise click.UsageError(f"{seen[place]} and {option} both name {path}")
        seen[place] = option


@contextlib.contextmanager
def journal_of(journal: Path | None, outs: Sequence[str], resume: bool | None) -> Iterator[tuple[Path, bool]]:
    """Where the journal of a run is, and whether another run can go on with it.

    Args:
        journal: as the command line says; else it is beside the first file, or in a scratch folder if there is none.
        outs: files of results.
        resume: go on (True), begin anew (False), or nothing said.

    Raises:
        click.UsageError: files cannot be written there.
        RunError: nobody said what is to become of the journal that is there, or there is none to resume.
    """
    files = [out for out in outs if out != STDOUT]
    if journal is None and not files:
        if resume:
            raise RunError("there is no journal to resume", "give --out FILE, or --journal FILE, both times")
        with scratch.folder(scratch.RUN) as folder:
            yield folder / "journal", False
        return
    path = journal or Path(f"{files[0]}.journal")
    for each in (*map(Path, files), path):
        if why := why_not_writable(each):
            raise click.UsageError(why)
    if resume is None and path.exists():
        raise RunError(f"{path} holds an unfinished run", "add --resume to go on with it, or --anew to begin again")
    if resume and not path.exists():
        console.print(escape(f"there is no {path} to go on with: all is done from the start"), soft_wrap=True)
    yield path, True
