"""Words for people: always on stderr, because stdout belongs to data."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from playground.errors import PlaygroundError, SettingsError

console = Console(stderr=True, highlight=False)


def complain(error: PlaygroundError) -> None:
    """Say what is wrong, each problem on its line, and what to do about it."""
    console.print(f"[bold red]error:[/] {escape(error.message)}", soft_wrap=True)
    for problem in error.problems if isinstance(error, SettingsError) else ():
        console.print(f"  {escape(problem)}", soft_wrap=True)
    if error.hint:
        console.print(f"[bold]hint:[/] {escape(error.hint)}", soft_wrap=True)
