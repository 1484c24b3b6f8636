"""playground init: a partner's project to start from."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from playground.commands.console import console
from playground.commands.target import OPTIONS
from playground.errors import GenerateError
from playground.wrap.scaffold import render_project


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--name", help="The service's name, like 'ship detection'; by default the folder's.")
@click.option("--zoom", **OPTIONS["--zoom"], default=16, show_default=True)
@click.option("--padding", **OPTIONS["--padding"], default=24, show_default=True)
def init(folder: Path, name: str | None, zoom: int, padding: int) -> None:
    """Make a project: a predictor that works, its service.yaml, Dockerfile, tests and CI, all passing.

    DIR is made if need be; files that are there already are never written over. Prints the folder.
    """
    files = render_project(name or folder.resolve().name, zoom, padding)
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise GenerateError(f"{folder} has {', '.join(there)} already", "name another folder")
    try:
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
            console.print(f"  [green]wrote[/] {escape(str(folder / path))}", soft_wrap=True)
    except OSError as error:
        raise GenerateError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    console.print(f"next: cd {escape(str(folder))} && playground check", soft_wrap=True)
    click.echo(folder)
