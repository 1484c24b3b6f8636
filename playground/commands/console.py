"""Words for people: always on stderr, because stdout belongs to data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from playground.errors import PlaygroundError, SettingsError, WrapRefusedError
from playground.settings import PROJECT_ID

console = Console(stderr=True, highlight=False)


def complain(error: PlaygroundError) -> None:
    """Say what is wrong, each problem on its line, and what to do about it."""
    console.print(f"[bold red]error:[/] {escape(error.message)}", soft_wrap=True)
    for problem in error.problems if isinstance(error, SettingsError | WrapRefusedError) else ():
        if problem != error.message:
            console.print(f"  {escape(problem)}", soft_wrap=True)
    if error.hint and error.hint.strip() not in error.message:
        console.print(f"[bold]hint:[/] {escape(error.hint)}", soft_wrap=True)


def project_option(words: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--project``, checked."""
    return click.option("--project", callback=_project, metavar="ID", help=words)


def _project(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not PROJECT_ID.accepts(value):
        raise click.BadParameter(f"{value!r} is not {PROJECT_ID.allowed}")
    return value
