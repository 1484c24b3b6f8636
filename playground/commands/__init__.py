"""The command line: one command, one file. Data on stdout, words on stderr; exit 0, 1 for failure, 2 for wrong use."""

from __future__ import annotations

import os
from typing import Any

import click

from playground import blas
from playground.errors import PlaygroundError
from playground.registry import load
from playground.version import __version__

COMMANDS = {
    "init": ("playground.commands.init:init", "Make a partner's project to start from; it passes `check` at once."),
    "generate": ("playground.commands.generate:generate", "Write the build context of a partner's service."),
    "inspect-image": (
        "playground.commands.inspect_image:inspect_image",
        "Say what a partner's image is, and how it would be wrapped.",
    ),
    "build": ("playground.commands.build:build", "Build the image, pinned, and prove that no package changed."),
    "lint": ("playground.commands.lint:lint", "Hold a build context against the rules of App Engine Flex."),
    "deploy": ("playground.commands.deploy:deploy", "Deploy a build context: plan, test, traffic in stages, way back."),
    "serve": ("playground.commands.serve:serve", "Run the service on this machine, without Docker."),
    "predict": ("playground.commands.predict:predict", "Predict one tile, one place or one image file."),
    "check": ("playground.commands.check:check", "Test whether a predictor is fit for service, and say why."),
    "run": ("playground.commands.run:run", "Predict all tiles of an area and join what they show."),
    "sources": ("playground.commands.sources:sources", "List the kinds of tile source, with examples."),
    "inspect": ("playground.commands.inspect:inspect", "Say what a tile source holds, and what may be wrong with it."),
    "demo": ("playground.commands.demo:demo", "Do the whole job on NASA's Blue Marble: figures and a picture."),
}
"""Name to (module:attribute, one line of help): nothing is imported for a command that is not called."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = load(COMMANDS[cmd_name][0])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PlaygroundError as error:
            from playground.commands.console import complain  # noqa: PLC0415 - rich takes half of the start

            complain(error)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="playground")
def main() -> None:
    """Put any geospatial predictor online."""
    os.environ.update(blas.environment())  # before the command imports numpy
