"""Which predictor a command works with: a service.yaml, a build context, or ``--predictor`` and its options.

What the command line says wins over the environment, and that over files.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from playground.settings import RunningSettings, ServiceSettings, load_running, load_service
from playground.settings.fields import settings_of
from playground.settings.kinds import is_dotted_name, is_python_name

Command = TypeVar("Command", bound=Callable[..., Any])


class Setting(click.ParamType[Any]):
    """The value of an option that says what a setting says, and is held to the same rule.

    Args:
        key: of the setting, as files have it.
    """

    def __init__(self, key: str) -> None:
        self.name = key.lower()
        self._definition = settings_of(RunningSettings)[key][1]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._definition.kind.parse(str(value))
        except ValueError:
            return self.fail(f"found {value}, allowed: {self._definition.allowed}", param, ctx)


OPTIONS: dict[str, dict[str, Any]] = {
    "--predictor": {"metavar": "PKG.MODULE:CLASS", "help": "The predictor's class, instead of a service.yaml."},
    "--tiles": {
        "type": Setting("TILES"),
        "metavar": "SOURCE",
        "help": "Where tiles come from: a URL template or a file; `playground sources` lists the kinds.",
    },
    "--zoom": {"type": Setting("ZOOM_LEVEL"), "metavar": "Z", "help": "Zoom level of the tiles."},
    "--padding": {
        "type": Setting("PADDING"),
        "metavar": "PIXELS",
        "help": "Pixels added on each side of a tile: 0 to 256.",
    },
    "--python": {
        "type": Setting("PREDICTOR_PYTHON"),
        "metavar": "PATH",
        "help": "The partner's interpreter; this one if not given.",
    },
    "--timeout": {"type": Setting("timeout"), "metavar": "SECONDS", "help": "How long one request may take."},
}
VARIABLES = {
    "tiles": "TILES",
    "zoom": "ZOOM_LEVEL",
    "padding": "PADDING",
    "python": "PREDICTOR_PYTHON",
    "timeout": "TIMEOUT",
    "workers": "WORKERS",
}
"""Option to the environment variable that says the same to the running service."""


def predictor_options(command: Command) -> Command:
    """The options that name a predictor and its tiles."""
    for name, settings in reversed(OPTIONS.items()):
        command = click.option(name, **settings)(command)
    return command


@dataclasses.dataclass(frozen=True)
class Target:
    """What a command works with.

    Attributes:
        environ: what the command line says, as environment variables of the running service: they win.
        project: the partner's folder: the predictor's current directory.
        context: a build context that was named.
        settings: a service.yaml that was named.
    """

    environ: dict[str, str]
    project: Path
    context: Path | None = None
    settings: ServiceSettings | None = None

    def running_settings(self) -> RunningSettings:
        """The settings that the service will run with, checked; the environment's where this does not say otherwise.

        Tiles in a file of this folder, or else of the project's.
        """
        with tempfile.TemporaryDirectory() as scratch:
            config = self.context / "app.yaml" if self.context else None
            if self.settings is not None:
                config = Path(scratch) / "app.yaml"
                from playground.wrap.render import render_runtime  # noqa: PLC0415 - only for a service.yaml

                config.write_bytes(render_runtime(self.settings)["app.yaml"])
            settings = load_running(config, {**os.environ, **self.environ})
        if settings.tiles is None or path_from(Path.cwd(), settings.tiles) != settings.tiles:
            return settings
        return dataclasses.replace(settings, tiles=path_from(self.project, settings.tiles))


def path_from(folder: Path, tiles: str) -> str:
    """The string of a tile source; a path that leads somewhere from ``folder`` becomes absolute."""
    leads = not re.match(r"\w+:", tiles) and (folder / tiles.partition("{")[0]).exists()
    return str(folder / tiles) if leads else tiles


def find_target(path: Path | None, predictor: str | None, options: dict[str, Any]) -> Target:
    """The target of the command line.

    Args:
        path: a service.yaml, a folder with one, or a build context; None for ./service.yaml.
        predictor: ``package.module:Class``; no file is read then.
        options: values of OPTIONS, and of others named in VARIABLES; None where not given.

    Raises:
        click.UsageError: neither a file nor a predictor.
        SettingsError: settings that cannot be used.
    """
    given = {name: value for name, value in options.items() if value is not None}
    environ = {VARIABLES[name]: str(value) for name, value in given.items()}
    if predictor is not None:
        if path is not None:
            raise click.UsageError("give a file or --predictor, not both")
        return _predictor_alone(predictor, environ)
    path = path or Path("service.yaml")
    if path.is_dir():
        if (path / "app.yaml").exists():
            return Target(environ, Path.cwd(), context=path.resolve())
        path = path / "service.yaml"
    if not path.exists():
        raise click.UsageError(f"there is no {path}; name a service.yaml or a build context, or give --predictor")
    return Target(environ, path.resolve().parent, settings=load_service(path))


def _predictor_alone(predictor: str, environ: dict[str, str]) -> Target:
    package, _, class_name = predictor.partition(":")
    if not (is_dotted_name(package) and is_python_name(class_name)):
        raise click.UsageError(f"{predictor!r} is not package.module:Class, like ship_detection.predictor:ShipDetector")
    has_zoom = "ZOOM_LEVEL" in environ or bool(os.environ.get("ZOOM_LEVEL"))
    if "TILES" in environ and not has_zoom:
        raise click.UsageError("--tiles needs --zoom: at which zoom was the predictor trained?")
    named = {"PREDICTOR_PACKAGE": package, "PREDICTOR_CLASS": class_name, **({} if has_zoom else {"ZOOM_LEVEL": "0"})}
    return Target({**named, **environ}, Path.cwd())
