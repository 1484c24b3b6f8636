"""playground demo: from a partner's class to GeoJSON on the map, on NASA's Blue Marble."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import requests
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from playground import resources
from playground.area import outputs
from playground.area.aoi import Area, area_of_source
from playground.area.engines.service import ServiceEngine, describe_service
from playground.area.page import Words
from playground.area.picture import Picture
from playground.area.running import AreaRun, Plan
from playground.area.view import View
from playground.commands.console import console
from playground.commands.target import Setting
from playground.demo.coastlines import agreement, read_shorelines
from playground.demo.figures import Figures, steps_of, tables
from playground.demo.imagery import METADATA, blue_marble, cache_folder
from playground.demo.partner import freeze, partner_python
from playground.demo.service import running_service
from playground.errors import PlaygroundError
from playground.formats.features import Features
from playground.settings import load_service
from playground.sources import TileSource, open_source
from playground.wrap import appengine
from playground.wrap.render import render_context
from playground.wrap.write import write_files

EUROPE = "Europe"
EARTH = "the whole earth"
VIEWS = {EUROPE: View(5, 14, 8, 22, 14), EARTH: View(5, 0, 0, 32, 32)}
"""The earth is asked for, poles and antimeridian included; the picture shows Europe."""
TOGETHER = 3
"""Tiles under way for each worker: one in work and two that wait. The backlog of the example holds that many, even if
one of two workers gets them all."""
PICTURE = 1600
"""Pixels along its longer side."""


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True)
@click.option("--workers", type=Setting("workers"), default=2, show_default=True, help="Worker processes.")
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
        source = stack.enter_context(contextlib.closing(open_source(str(imagery))))
        os.environ["no_proxy"] = "127.0.0.1"  # nobody between us and ourselves
        run, features = _predict(url, source, TOGETHER * workers, out / "water.geojson")
        steps = steps_of(requests.get(f"{url}/metrics", timeout=30).text)
        changed = len(set(before) ^ set(freeze(python)))
        _done(f"{changed} of {len(before)} packages changed in the partner's Python: {', '.join(before)}")

        with console.status("comparing with the coastlines, and drawing …"):
            shorelines = read_shorelines()
            iou = {name: agreement(features, view, shorelines.water_mask(view)).iou for name, view in VIEWS.items()}
            figures = Figures(run.report, iou, steps)
            _draw(out / "water.png", settings.predictor_class, figures, features, source)
    for table in tables(figures):
        console.print(table)
    for path in (context, out / "water.geojson", out / "water.png"):
        click.echo(path)
    run.close(keep=False)
    if run.report.failed:
        first = run.report.failures[0]
        raise PlaygroundError(
            f"{run.report.failed} tiles failed; {first['tile']}: {first['error']}", f"see {out / 'service.log'}"
        )
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


def _predict(url: str, source: TileSource, together: int, path: Path) -> tuple[AreaRun, list[dict[str, Any]]]:
    """The whole earth, as `playground run source --service URL` does it: all objects, in a file and to be compared.

    Args:
        together: tiles asked for at once.
    """
    features: list[dict[str, Any]] = []

    def kept(batches: Iterator[Features]) -> Iterator[Features]:
        for batch in batches:
            features.extend(batch)
            yield batch

    zoom, about = describe_service(url, None)
    plan = Plan(area_of_source(source.info()), zoom, about)
    with _progress("predicting") as update:
        run = AreaRun(
            plan,
            lambda total: ServiceEngine(url, zoom, together),
            Path(f"{path}.journal"),
            observe=lambda run: update(run.report.asked - run.report.left, run.report.asked),
        )
        outputs.write(kept(run.batches()), [str(path)])
    return run, features


def _draw(path: Path, predictor: str, figures: Figures, features: Sequence[dict[str, Any]], source: TileSource) -> None:
    view, report = VIEWS[EUROPE], figures.report
    picture = Picture.of_area(Area(tiles=tuple(view.tiles())), view.zoom, PICTURE)
    picture.write(features)
    words = Words(
        title="Water on the Blue Marble",
        subtitle=f"{predictor}, zoom {view.zoom}; shown is {EUROPE}, {len(view.tiles())} of {report.asked:,} tiles",
        figures=[
            (f"{report.asked:,}", "tiles"),
            (f"{report.features:,}", "pieces of water"),
            (f"{figures.rate:.0f}", "tiles a second"),
            (f"{figures.iou[EUROPE]:.3f}", f"IoU with the coastlines, {EUROPE}"),
            (f"{figures.iou[EARTH]:.3f}", EARTH),
        ],
        attribution=f"Imagery: {METADATA['attribution']}. Coastlines: GSHHG.",
    )
    picture.save(path, words, source)
