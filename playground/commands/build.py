"""playground build: a build context becomes an image."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from playground.commands.console import console
from playground.commands.inspect_image import compare_images, compared
from playground.errors import BuildError
from playground.wrap import build as builds


@click.command()
@click.argument("context", type=click.Path(file_okay=False, path_type=Path))
@click.option("--tag", metavar="NAME[:TAG]", help="The image's name; by default the folder's.")
@click.option("--engine", type=click.Choice(["docker", "podman"]), default="docker", show_default=True)
@click.option("--push", is_flag=True, help="Push it, and print its reference with the digest that the registry gives.")
@click.option("--network", metavar="NETWORK", help="The engine's network while building, like host.")
@click.option("--build-arg", "arguments", multiple=True, metavar="NAME=VALUE", help="An ARG of the Dockerfile.")
@click.option("--prove/--no-prove", default=True, help="Hold the image against the partner's: no package may change.")
def build(
    context: Path,
    *,
    tag: str | None,
    engine: str,
    push: bool,
    network: str | None,
    arguments: tuple[str, ...],
    prove: bool,
) -> None:
    """Build the image of a context that `playground generate` wrote.

    The partner's image is pinned by its digest. What was built is held against it, file by file. Prints the image's
    reference with its digest.
    """

    def say(line: str) -> None:
        console.print(escape(line), soft_wrap=True)

    options = [*(("--network", network) if network else ())]
    for each in arguments:
        options += ["--build-arg", each]
    built = builds.build_image(context, tag or context.resolve().name.lower(), engine, options, say)
    if prove:
        found = compare_images(built.base, built.tag)
        for line in compared(found):
            say(line)
        if not found.is_untouched:
            raise BuildError("wrapping changed files of the partner's", "see above; --no-prove builds it all the same")
    if push:
        built = builds.push_image(built, engine, say)
    click.echo(built.reference)
