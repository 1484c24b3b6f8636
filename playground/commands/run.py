"""playground run: a predictor over an area."""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from playground.area import outputs
from playground.area.aoi import BBOX, SOURCE, read_area
from playground.area.engines import ENGINES, Engine
from playground.area.local import MOST_WORKERS, about_of, dask_engine, local_engine, source_info, worker_spec
from playground.area.running import AreaRun, Plan
from playground.area.seams import MERGES, merge_named
from playground.area.suppression import suppression_named
from playground.commands.console import console
from playground.commands.estimate import Estimate, duration
from playground.commands.files import OutFile, check_apart, journal_of
from playground.commands.overview import Overview
from playground.commands.target import find_target, predictor_options
from playground.errors import PlaygroundError, RunError
from playground.formats.features import Features

INTERRUPTED = 130
LOCAL = ("padding", "python", "timeout")
"""Options that say nothing to a service."""
SAY_EVERY = 10.0
"""Seconds between lines where there is no terminal to draw a bar on."""


class _Run(click.Command):
    """Takes a bbox that begins with a minus for what it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        boxes = [arg for arg in args if BBOX.fullmatch(arg) and arg.startswith("-")]
        others = [arg for arg in args if arg not in boxes]
        return super().parse_args(ctx, [*others, *(() if "--" in others or not boxes else ("--",)), *boxes])


@click.command(cls=_Run)
@click.argument("area")
@click.option(
    "--from", "path", type=click.Path(path_type=Path), help="A service.yaml or a build context; ./service.yaml."
)
@click.option("--service", metavar="URL", help="A running service that predicts, instead of this machine.")
@predictor_options
@click.option(
    "--engine", type=click.Choice(list(ENGINES)), help="Who predicts; what --service or --scheduler says, else local."
)
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster, tcp://…; without it dask is on this machine.")
@click.option("--preinstalled", is_flag=True, help="Dask workers have the predictor's code; don't send the folder.")
@click.option(
    "--workers", type=click.IntRange(1, MOST_WORKERS.high), metavar="N", help="Processes; tiles at once for --service."
)
@click.option("--out", "outs", multiple=True, default=["-"], metavar="FILE", help="Result, - is stdout; repeatable.")
@click.option("--merge", default="union", metavar="MODE", help=f"How parts become one: {', '.join(MERGES)}.")
@click.option("--suppress", default="none", metavar="RULE", help="Of overlapping objects keep the surest: iou:0.5.")
@click.option("--source-tiles", is_flag=True, help="Write the tiles that an object comes from into it.")
@click.option("--resume/--anew", default=None, help="Go on with the journal of an unfinished run; or forget it.")
@click.option("--journal", type=click.Path(path_type=Path), help="Where to keep what is done; beside the result.")
@click.option("--summary", type=OutFile(), metavar="FILE", help="Write a summary, JSON.")
@click.option("--picture", type=OutFile(".png"), metavar="FILE", help="Draw an overview, PNG.")
@click.option("--table", type=OutFile(), metavar="FILE", help="Write a line for each tile, CSV.")
def run(
    area: str,
    *,
    path: Path | None,
    service: str | None,
    predictor: str | None,
    engine: str | None,
    scheduler: str | None,
    preinstalled: bool,
    workers: int | None,
    outs: tuple[str, ...],
    merge: str,
    suppress: str,
    source_tiles: bool,
    resume: bool | None,
    journal: Path | None,
    summary: Path | None,
    table: Path | None,
    picture: Path | None,
    **options: Any,
) -> None:
    """Predict all tiles of an AREA and join what they show.

    AREA is west,south,east,north in degrees; a GeoJSON file; a file of tiles, z/x/y a line; - for either on stdin; or
    the word source, for all that the tile source holds.

    With --service, --tiles names the imagery of the --picture.

    Ctrl-C ends a run so that --resume goes on where it stopped. Exits with 1 if a tile failed.
    """
    for out in outs:
        outputs.format_of(out)
    others = {"--journal": journal, "--summary": summary, "--table": table, "--picture": picture}
    check_apart([*(("--out", out) for out in outs), *others.items()])
    engine = _engine_named(engine, service, scheduler, preinstalled)
    if service is not None:
        _check_unused({"--from": path, "--predictor": predictor, **{f"--{each}": options[each] for each in LOCAL}})
    with journal_of(journal, outs, resume) as (kept, can_resume):
        hint = f"what is done is kept in {kept}; --resume goes on with it" if can_resume else ""
        make: Callable[[int], Engine]
        settings = None
        if service is not None:
            from playground.area.engines.service import describe_service  # noqa: PLC0415 - requests takes long

            zoom, about = describe_service(service, options["zoom"])
            where = read_area(area)
            make = functools.partial(_service_engine, service, zoom, workers)
        else:
            target = find_target(path, predictor, options)
            settings = target.running_settings()
            zoom, about = settings.zoom_level, about_of(settings)
            info = source_info(settings)
            where = read_area(area, info if area == SOURCE else None)
            if engine == "dask":
                dask = {"preinstalled": preinstalled, "say": _say}
                make = dask_engine(settings, target.project, scheduler, workers, **dask)
                logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters becomes our error
            else:
                make = local_engine(worker_spec(settings, target.project), workers)
        plan = Plan(where, zoom, about, merge_named(merge), source_tiles, suppression_named(suppress))
        with _watch() as observe:
            is_new = not kept.exists()
            done = AreaRun(plan, make, kept, resume=bool(resume), observe=Estimate(observe))
            tiles = settings.tiles if settings is not None else options["tiles"]
            overview = Overview(picture, done, tiles, settings) if picture is not None else None
            try:
                with _interruptible(done, hint):
                    _announce(done)
                    _write(done, outs, overview)
            except PlaygroundError as error:
                # Nothing was done, and the journal is not to blame: there is nothing to go on with.
                began = not is_new or done.report.predicted
                if done.report.left == done.report.asked and not (began and isinstance(error, RunError)):
                    done.close(keep=False)
                raise
        if overview is not None and not done.report.left:
            overview.save()
        _write_report(done, table, summary, hint)
        _conclude(done, hint)


def _engine_named(engine: str | None, service: str | None, scheduler: str | None, preinstalled: bool) -> str:
    """Who predicts, by all that the command line says about it."""
    engine = engine or ("service" if service is not None else "dask" if scheduler is not None else "local")
    if (engine == "service") != (service is not None):
        raise click.UsageError("--engine service and --service URL go together, and with no other engine")
    if engine != "dask" and (scheduler is not None or preinstalled):
        raise click.UsageError("--scheduler and --preinstalled are for --engine dask")
    return engine


def _check_unused(values: dict[str, Any]) -> None:
    """See to it that nobody believes to have told a service something."""
    if given := [name for name, value in values.items() if value is not None]:
        raise click.UsageError(f"--service predicts with settings of its own: leave out {', '.join(given)}")


def _service_engine(url: str, zoom: int, most: int | None, _total: int) -> Engine:
    from playground.area.engines.service import ServiceEngine  # noqa: PLC0415 - requests takes long

    return ServiceEngine(url, zoom, most)


def _say(words: str) -> None:
    console.print(escape(words), soft_wrap=True)


def _write(done: AreaRun, outs: tuple[str, ...], overview: Overview | None) -> None:
    def batches() -> Iterator[Features]:
        for batch in done.batches():
            if overview is not None:
                overview.write(batch)
            yield batch
        if done.report.left:
            raise _UnfinishedError

    with contextlib.suppress(_UnfinishedError):
        outputs.write(batches(), outs)


def _write_report(done: AreaRun, table: Path | None, summary: Path | None, hint: str) -> None:
    try:
        if table is not None:
            done.write_table(table)
        if summary is not None:
            done.report.write(summary)
    except OSError as error:  # a full disk
        raise RunError(f"{error.filename or 'a file'} cannot be written: {error.strerror}", hint) from error


class _UnfinishedError(Exception):
    """Ends the writing of files, so that none looks whole."""


def _announce(done: AreaRun) -> None:
    report = done.report
    words = f"{report.asked:,} tiles at zoom {done.plan.zoom}"
    if done.resumed:
        words += f", {done.resumed:,} of them done"
        if seconds := done.expected_seconds():
            words += f"; about {duration(seconds)} of work left"
    told = ", ".join(f"{key} {value}" for key, value in done.plan.about.items())
    console.print(f"{words} ({escape(told)})", soft_wrap=True)


@contextlib.contextmanager
def _watch() -> Iterator[Any]:
    """What draws the progress: a bar on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        said = time.monotonic()

        def say(done: AreaRun) -> None:
            nonlocal said
            if time.monotonic() - said >= SAY_EVERY and done.report.left:
                said = time.monotonic()
                console.print(_state(done), soft_wrap=True)

        yield say
        return
    from rich.progress import (  # noqa: PLC0415 - only for a terminal
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("tiles", total=None, words="loading")

        def draw(done: AreaRun) -> None:
            report = done.report
            progress.update(task, total=report.asked, completed=report.asked - report.left, words=_state(done, False))

        yield draw


def _state(done: AreaRun, counts: bool = True) -> str:
    report = done.report
    rate = done.rate()
    words = [f"{report.asked - report.left:,} of {report.asked:,} tiles"] if counts else []
    words.append(f"{rate:,.1f} tiles/s")
    if counts and rate:
        words.append(f"{duration(report.left / rate)} left")
    words += [f"{getattr(report, fate):,} {fate}" for fate in ("missing", "failed") if getattr(report, fate)]
    return "  ".join(words)


@contextlib.contextmanager
def _interruptible(done: AreaRun, hint: str) -> Iterator[None]:
    """Let the first Ctrl-C end the run in order, and the second at once."""

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.default_int_handler)
        console.print("[yellow]ending; once more to end at once[/]")
        done.stop()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt as error:
        console.print(escape(f"ended at once; {hint}".rstrip("; ")), soft_wrap=True)
        raise click.exceptions.Exit(INTERRUPTED) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _conclude(done: AreaRun, hint: str) -> None:
    """Tell what became of the tiles, and leave with the status that says so."""
    report = done.report
    fates = ", ".join(f"{getattr(report, fate):,} {fate}" for fate in ("ok", "empty", "missing", "failed"))
    left = f", {report.left:,} left" if report.left else ""
    console.print(f"{report.asked:,} tiles: {fates}{left}; {report.features:,} objects in {duration(report.seconds)}")
    for failure in report.failures[:5]:
        console.print(f"[yellow]{failure['tile']}:[/] {escape(failure['error'])}", soft_wrap=True)
    if report.failed > 5:
        console.print(f"[yellow]and {report.failed - 5:,} more failed tiles[/]; --table FILE lists all")
    if report.asked == report.missing:
        console.print("[yellow]no tile has imagery:[/] is this the right source, place and zoom?")
    done.close(keep=not report.whole)
    if not report.whole and hint:
        console.print(escape(hint), soft_wrap=True)
    if report.left:
        raise click.exceptions.Exit(INTERRUPTED)
    if report.failed:
        raise click.exceptions.Exit(1)
