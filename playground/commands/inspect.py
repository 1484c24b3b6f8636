"""playground inspect: what a tile source holds."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import click
from PIL import Image
from rich.markup import escape

from playground.commands.console import console
from playground.commands.files import OutFile
from playground.commands.predict import Place
from playground.commands.target import Setting
from playground.fetching.policy import FetchPolicy
from playground.inspection import inspect as look
from playground.inspection import picture as draw
from playground.settings import load_running
from playground.sources import open_source


@click.command()
@click.argument("source")
@click.option("--zoom", type=Setting("ZOOM_LEVEL"), metavar="Z", help="The zoom at which it will be used.")
@click.option("--at", type=Place(), help="Look at this place, degrees.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--picture", type=OutFile(), metavar="FILE", help="Draw the sample and its neighbours.")
def inspect(source: str, zoom: int | None, at: tuple[float, float] | None, as_json: bool, picture: Path | None) -> None:
    """Say what a tile source holds, and what may be wrong with it.

    SOURCE is a string as --tiles takes it; `playground sources` lists the kinds. Exits with 1 if there is a warning.
    """
    # Credentials and allowed hosts are the running service's; it would name a predictor, too.
    environ = {"PREDICTOR_PACKAGE": "none", "PREDICTOR_CLASS": "Nothing", "ZOOM_LEVEL": "0", **os.environ}
    opened = open_source(source, FetchPolicy.of(load_running(None, environ)))
    try:
        found = look(opened, zoom, at)
        if picture is not None and found.sample is not None:
            _save(draw(opened, found.sample), picture)
    finally:
        opened.close()
    told = {**dataclasses.asdict(found.info), **dataclasses.asdict(found)}
    del told["info"]
    told["format"] = found.format or found.info.format
    if as_json:
        click.echo(json.dumps(told))
    else:
        for name, value in told.items():
            if name != "warnings" and value is not None:
                click.echo(f"{name:12} {value if not isinstance(value, tuple) else ', '.join(map(str, value))}")
    for warning in found.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    if found.warnings:
        raise click.exceptions.Exit(1)


def _save(page: Image.Image, path: Path) -> None:
    try:
        page.save(path)
    except (OSError, ValueError) as error:  # Pillow's word for a suffix that it does not know is a ValueError
        raise click.UsageError(f"--picture {path}: {error}") from error
