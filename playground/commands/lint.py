"""playground lint: a build context held against App Engine's rules, before App Engine does it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
from rich.markup import escape

from playground.commands.console import console, project_option
from playground.wrap import google
from playground.wrap.lint import lint as check


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@project_option("The Google Cloud project that the service goes to: names must fit together.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lint(folder: Path, project: str | None, as_json: bool) -> None:
    """Find what App Engine would refuse, or run wrongly, in a build context.

    FOLDER holds app.yaml and a Dockerfile, as `playground generate` writes them; changes by hand are what this is for.
    Google's own parser is run, too, where the Google Cloud SDK is installed. Exits with 1 if there is an error.
    """
    problems = check(folder, project)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(problem) for problem in problems]))
    for problem in problems if not as_json else ():
        colour = "red" if problem.level == "error" else "yellow"
        console.print(
            f"[bold {colour}]{problem.level}:[/] {escape(problem.place)}: {escape(problem.words)}", soft_wrap=True
        )
    errors = sum(problem.level == "error" for problem in problems)
    with_google = "Google's parser included" if google.sdk_root() else "without Google's parser, which is not installed"
    console.print(f"{errors} errors, {len(problems) - errors} warnings ({with_google})", soft_wrap=True)
    if errors:
        raise click.exceptions.Exit(1)
