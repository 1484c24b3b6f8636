"""playground demo: from a partner's class to GeoJSON on the map, on NASA's Blue Marble."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from playground import resources
from playground.commands.console import console
from playground.demo import picture
from playground.demo.area import Area
from playground.demo.coastlines import agreement, read_shorelines
from playground.demo.collect import Answer, Feature, collect, feature_collection
from playground.demo.figures import Figures, tables
from playground.demo.imagery import METADATA, blue_marble, cache_folder
from playground.demo.partner import freeze, partner_python
from playground.demo.service import running_service
from playground.errors import PlaygroundError
from playground.settings import ServiceSettings, load_service
from playground.sources import open_source
from playground.wrap import appengine
from playground.wrap.render import render_context
from playground.wrap.write import write_files

EUROPE = "Europe"
EARTH = "the whole earth"
AREAS = {EUROPE: Area(5, 14, 8, 22, 14), EARTH: Area(5, 0, 0, 32, 32)}
"""The earth is asked for, poles and antimeridian included; the picture shows Europe."""


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Worker processes.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the service; a free one if not given.")
def demo(out: Path, workers: int, port: int) -> None:
    """Do the whole job on NASA's Blue Marble: a service generated, started, asked, and its answers drawn.

    Writes the build context, water.geojson, water.png and the service's log to the folder --out, and prints the paths.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service ends with us
    project = resources.root() / "examples" / "water"
    settings = load_service(project / "service.yaml", appengine.rules(None))
    cache = cache_folder()
    imagery = _imagery(cache)
    with console.status("the partner's own Python …"):
        python = partner_python(cache, project / "requirements.txt")
        before = freeze(python)
    context = out / "context"
    written = write_files(render_context(settings), context)
    _done(f"{len(written)} files generated from {project.name}/service.yaml in {context}")

    environ = {"TILES": str(imagery), "PREDICTOR_PYTHON": str(python), "WORKERS": str(workers)}
    with contextlib.ExitStack() as stack:
        with console.status("the service: starting …") as status:
            service = running_service(
                context,
                project=project,
                environ=environ,
                log=out / "service.log",
                port=port,
                say=lambda phase: status.update(f"the service: {escape(phase)} …"),
            )
            url = stack.enter_context(service)
        _done(f"service ready at {url}, {workers} workers, from exactly these files")
        answers, seconds = _ask(url, 2 * workers)
    changed = len(set(before) ^ set(freeze(python)))
    _done(f"{changed} of {len(before)} packages changed in the partner's Python: {', '.join(before)}")

    with console.status("comparing with the coastlines, and drawing …"):
        figures = _figures(answers, seconds)
        paths = _write(out, imagery, settings, figures)
    for table in tables(figures):
        console.print(table)
    for path in (context, *paths):
        click.echo(path)
    failed = [answer for answer in answers if answer.fate == "failed"]
    if failed:
        first = failed[0]
        name = f"{first.tile.z}/{first.tile.x}/{first.tile.y}"
        raise PlaygroundError(f"{len(failed)} tiles failed; {name}: {first.error}", f"see {out / 'service.log'}")
    if changed:
        raise PlaygroundError("the partner's packages changed during the run", "this should never happen: report it")


def _done(words: str) -> None:
    console.print(f"[green]✓[/] {escape(words)}", soft_wrap=True)


@contextlib.contextmanager
def _progress(words: str) -> Iterator[Callable[[int, int], None]]:
    """A bar to be told how many of how many tiles are done; nothing where nobody would see it move."""
    if not console.is_terminal:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), "tiles", TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _imagery(cache: Path) -> Path:
    with _progress("imagery") as update:
        path = blue_marble(cache, update)
    _done(f"imagery: {METADATA['name']} in {path}")
    return path


def _ask(url: str, threads: int) -> tuple[list[Answer], float]:
    """The answers to all tiles in order, and the seconds that it took."""
    tiles = AREAS[EARTH].tiles()
    started = time.monotonic()
    answers = []
    with _progress("predicting") as update:
        for answer in collect(url, tiles, threads):
            answers.append(answer)
            update(len(answers), len(tiles))
    seconds = time.monotonic() - started
    order = {tile: place for place, tile in enumerate(tiles)}
    return sorted(answers, key=lambda answer: order[answer.tile]), seconds


def _figures(answers: Sequence[Answer], seconds: float) -> Figures:
    features = _features(answers)
    shorelines = read_shorelines()
    iou = {name: agreement(features, area, shorelines.water_mask(area)).iou for name, area in AREAS.items()}
    return Figures(answers, seconds, iou)


def _features(answers: Sequence[Answer]) -> list[Feature]:
    return [feature for answer in answers for feature in answer.features]


def _write(out: Path, imagery: Path, settings: ServiceSettings, figures: Figures) -> tuple[Path, Path]:
    """Write the GeoJSON and the picture."""
    features = _features(figures.answers)
    geojson = out / "water.geojson"
    collection: dict[str, Any] = feature_collection(features)
    geojson.write_text(json.dumps(collection, separators=(",", ":")) + "\n", encoding="utf-8")

    area = AREAS[EUROPE]
    shown, asked = len(area.tiles()), len(figures.answers)
    words = picture.Words(
        title="Water on the Blue Marble",
        subtitle=f"{settings.predictor_class} on playground, zoom {area.zoom}: {EUROPE}, {shown} of {asked:,} tiles",
        figures=[
            (f"{asked:,}", "tiles"),
            (f"{figures.features:,}", "features"),
            (f"{figures.rate:.0f}", "tiles a second"),
            (f"{figures.iou[EUROPE]:.3f}", f"IoU with the coastlines, {EUROPE}"),
            (f"{figures.iou[EARTH]:.3f}", EARTH),
        ],
        attribution=f"Imagery: {METADATA['attribution']}. Coastlines: GSHHG.",
    )
    png = out / "water.png"
    picture.draw(png, area=area, fetch=open_source(str(imagery)).fetch, features=features, words=words)
    return geojson, png
