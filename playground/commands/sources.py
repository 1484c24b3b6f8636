"""playground sources: what a source string may be."""

from __future__ import annotations

import json
import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from playground.sources import SOURCES


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sources(as_json: bool) -> None:
    """List the kinds of tile source, an example of each, and what it is.

    A table on a terminal; elsewhere one line a kind, columns divided by tabs.
    """
    if as_json:
        rows = [
            {"kind": name, "pattern": kind.pattern, "example": kind.example, "help": kind.help}
            for name, kind in SOURCES.items()
        ]
        click.echo(json.dumps(rows, indent=2))
    elif sys.stdout.isatty():
        table = Table("kind", "example", "what")
        for name, kind in SOURCES.items():
            table.add_row(name, escape(kind.example), escape(kind.help))
        Console(highlight=False).print(table)
    else:
        for name, kind in SOURCES.items():
            click.echo(f"{name}\t{kind.example}\t{kind.help}")
