"""playground predict: one tile, place or image through the same path as the service."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from playground.commands.console import console
from playground.commands.target import Target, find_target, predictor_options
from playground.errors import ImageError, PlaygroundError, PredictorNotReadyError
from playground.pipeline import Outcome, Pipeline, format_prediction, limits_of, open_engine
from playground.predictor import PredictorSpec, ProcessPredictor

ADDRESS = re.compile(r"(\d+)/(\d+)/(\d+)")


class Place(click.ParamType[tuple[float, float]]):
    """A place on the command line."""

    name = "LON,LAT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        try:
            lng, lat = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value} is not LON,LAT in degrees, like -3.70,40.42", param, ctx)
        return lng, lat


@click.command()
@click.argument("what", required=False, metavar="[Z/X/Y | IMAGE | -]")
@click.option("--at", type=Place(), help="The tile that holds this place, degrees.")
@click.option(
    "--from", "path", type=click.Path(path_type=Path), help="A service.yaml or a build context; ./service.yaml."
)
@predictor_options
def predict(
    what: str | None, at: tuple[float, float] | None, path: Path | None, predictor: str | None, **options: Any
) -> None:
    """Predict one tile (Z/X/Y), one place (--at) or one image (a file, or - for stdin).

    Prints GeoJSON: lon/lat for a tile, pixels for an image. What it took and what was repaired goes to stderr.
    """
    if (what is None) == (at is None):
        raise click.UsageError("name one thing to predict: Z/X/Y, --at LON,LAT, an image file, or - for stdin")
    outcome = _predict(find_target(path, predictor, options), what, at)
    sys.stdout.buffer.write(outcome.answer.dumps() + b"\n")
    sys.stdout.flush()
    report = {"features": outcome.report["features_out"], **outcome.timing}
    console.print(
        "  ".join(f"{name} {value}" + (" ms" if name in outcome.timing else "") for name, value in report.items())
    )
    for name in ("repairs", "dropped", "missing_neighbours", "warnings"):
        if outcome.report.get(name):
            console.print(f"[yellow]{name.replace('_', ' ')}:[/] {escape(str(outcome.report[name]))}")


def _predict(target: Target, what: str | None, at: tuple[float, float] | None) -> Outcome:
    settings = target.running_settings()
    written = ADDRESS.fullmatch(what or "")
    image = _read_image(what) if what is not None and not written else None
    spec = PredictorSpec(
        settings.predictor_package,
        settings.predictor_class,
        target.project,
        settings.predictor_python or sys.executable,
    )
    # What the predictor prints is words, for people.
    logging.basicConfig(stream=sys.stderr, level=logging.CRITICAL, format="%(message)s")  # GDAL's become our errors
    logging.getLogger("playground").setLevel(logging.INFO)
    told_below = "the predictor could not be loaded"
    logging.getLogger("playground.predictor.supervisor").addFilter(lambda record: told_below not in record.getMessage())
    engine = open_engine(settings)
    predictor = ProcessPredictor(spec, limits_of(settings))
    pipeline = Pipeline(settings, lambda tile: format_prediction(predictor.predict(tile)), engine)
    predictor.start()
    try:
        with console.status(f"loading {settings.predictor_package}:{settings.predictor_class} …"):
            state = predictor.wait_ready(float("inf"))
        if state.phase == "failed":
            if (state.traceback or "").strip() != str(state.error).strip():
                console.print(escape(state.traceback or ""), soft_wrap=True)
            raise PredictorNotReadyError(f"the predictor could not be loaded: {state.error}")
        if at is not None:
            return pipeline.predict_lnglat(*at)
        if image is not None:
            try:
                return pipeline.predict_image(image)
            except ImageError as error:
                raise ImageError(f"{'stdin' if what == '-' else what}: {error.message}", error.hint) from error
        assert written is not None
        return pipeline.predict_tile(int(written[1]), int(written[2]), int(written[3]))
    finally:
        predictor.close()
        if engine is not None:
            engine.close()


def _read_image(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise PlaygroundError(
            f"cannot read {path}: {error.strerror}", "name a tile as Z/X/Y, or an image file"
        ) from error
