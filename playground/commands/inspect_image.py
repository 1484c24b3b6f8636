"""playground inspect-image: what a partner's image is, and how it would be wrapped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from playground.commands.console import complain, console
from playground.commands.files import OutFile
from playground.errors import WrapRefusedError
from playground.wrap import plan as plans
from playground.wrap.compare import Comparison, compare
from playground.wrap.image import opening
from playground.wrap.image.report import ImageReport, report_on


@click.command("inspect-image")
@click.argument("image")
@click.option("--package", metavar="PACKAGE", help="PREDICTOR_PACKAGE: say where it is.")
@click.option("--python", metavar="PATH", help="PREDICTOR_PYTHON, where the partner names it.")
@click.option("--plan", "plan_file", type=OutFile(), metavar="FILE", help="Write the wrap plan here.")
@click.option("--against", metavar="IMAGE", help="The partner's image that IMAGE was made of: say what changed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect_image(
    image: str,
    *,
    package: str | None,
    python: str | None,
    plan_file: Path | None,
    against: str | None,
    as_json: bool,
) -> None:
    """Say what an image is and how it would be wrapped. Nothing of it is run.

    IMAGE is a reference (this machine's engine, else the registry), a file that `docker save` wrote, or the folder of
    an OCI layout. Exits with 1 if it cannot be wrapped, or if wrapping changed anything of the partner's.
    """
    if against:
        found = compare_images(against, image)
        click.echo(msgspec.json.encode(found, order="sorted").decode() if as_json else "\n".join(compared(found)))
        raise click.exceptions.Exit(0 if found.is_untouched else 1)
    with reading(image) as progress:
        report = report_on(opening.read_image(image, progress=progress), package)
    plan, refusal = None, None
    try:
        plan = plans.plan_wrap(report, python)
    except WrapRefusedError as error:
        refusal = error
    if as_json:
        told = {"image": report, "plan": plan, "refused": refusal.problems if refusal else ()}
        click.echo(msgspec.json.encode(told, order="sorted").decode())
    else:
        for name, value in rows(report):
            click.echo(f"{name:12} {value}")
        for name, value in plan_rows(plan) if plan else ():
            click.echo(f"{name:12} {value}")
    if refusal:
        complain(refusal)
        raise click.exceptions.Exit(1)
    assert plan is not None
    for warning in plan.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    if plan_file:
        plans.write_plan(plan, plan_file)


def rows(report: ImageReport) -> Iterator[tuple[str, str]]:
    """What a person wants to know of an image, as (name, text)."""
    yield "image", f"{report.reference} {report.digest or report.image_id}"
    yield "system", f"{report.system or 'unknown'}, {report.libc or 'no libc'}, {report.architecture}"
    for each in report.interpreters:
        yield "python", f"{each.path} {each.version} ({each.kind}, {len(each.packages)} packages)"
    yield "size", f"{report.size / 1e6:.0f} MB in {len(report.layers)} layers"
    for layer in report.layers:
        yield "layer", f"{layer.size / 1e6:8.1f} MB  {_shown(layer.command)}"
    lists = {
        "entrypoint": report.entrypoint,
        "cmd": report.command,
        "volumes": report.volumes,
        "onbuild": report.onbuild,
        "exposed": report.exposed,
        "secrets": report.secrets,
        "found": report.found,
    }
    texts = {"user": report.user, "workdir": report.workdir, "healthcheck": report.healthcheck}
    for name, value in {**texts, **{name: " ".join(value) for name, value in lists.items()}}.items():
        if value:
            yield name, _shown(value)
    for name, value in report.environment.items():
        yield "env", _shown(f"{name}={value}")


def plan_rows(plan: plans.WrapPlan) -> Iterator[tuple[str, str]]:
    """A plan, as (name, text)."""
    yield "predictor", f"{plan.predictor_python} ({plan.predictor_version}): {plan.predictor_why}"
    brought = f"Python {plan.server_python} that uv brings" if plan.server == "uv" else plan.server_python
    yield "server", f"{brought}: {plan.server_why}"
    yield "runs as", plan.run_as
    for reset in plan.resets:
        yield "reset", _shown(f"{reset.what}: {reset.was} -> {reset.becomes}: {reset.why}")
    yield (
        "packages",
        f"0 of {plan.packages} will change: what is added is /opt/playground, and links in /api",
    )


def compare_images(before: str, after: str) -> Comparison:
    """Read two images and hold one against the other."""
    images = []
    for each in (before, after):
        with reading(each) as progress:
            images.append(opening.read_image(each, hash_files=True, progress=progress))
    return compare(*images)


def compared(found: Comparison) -> Iterator[str]:
    """The outcome, for people."""
    kept = "the partner's layers are kept bit for bit" if found.layers_kept else "the layers were made anew"
    count = f"{len(found.changed_packages)} of {found.packages} packages changed"
    yield f"{count}; {kept}; {found.added_bytes / 1e6:.0f} MB added"
    for name in ("changed_packages", "changed", "removed", "added"):
        for each in getattr(found, name)[:20]:
            yield f"{name.replace('_', ' '):17} {_shown(each)}"
    if found.expected:
        yield f"{'a line more':17} {', '.join(found.expected)}"


@contextmanager
def reading(image: str) -> Iterator[opening.Progress]:
    """A progress bar while an image is read, where a person looks."""
    columns = (TextColumn("reading {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(escape(image), total=None)
        yield lambda amount: bar.advance(task, amount)


def _shown(text: str) -> str:
    """A stranger's text for a terminal: one line, nothing that it would obey."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= 200 else text[:197] + "..."
