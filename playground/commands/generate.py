"""playground generate: the build context of a partner's service."""

from __future__ import annotations

from pathlib import Path

import click
from rich.markup import escape

from playground.commands.console import console, project_option
from playground.commands.inspect_image import reading
from playground.settings import ServiceSettings, load_service
from playground.wrap import appengine
from playground.wrap.image.opening import read_image
from playground.wrap.image.report import report_on
from playground.wrap.plan import WrapPlan, plan_wrap, read_plan
from playground.wrap.render import render_cloudbuild, render_context
from playground.wrap.write import write_files


@click.command()
@click.argument("service", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@project_option("The Google Cloud project that the service goes to.")
@click.option("--cloudbuild", is_flag=True, help="Write OUT-cloudbuild/cloudbuild.yaml, too: Cloud Build builds.")
@click.option("--inspect", is_flag=True, help="Look into the image first, and write what just it needs.")
@click.option("--plan", type=click.Path(path_type=Path), help="What `playground inspect-image --plan` wrote.")
@click.option("--force", is_flag=True, help="Write into a folder that holds other files, or files changed by hand.")
def generate(
    service: Path,
    out: Path,
    project: str | None,
    *,
    cloudbuild: bool,
    inspect: bool,
    plan: Path | None,
    force: bool,
) -> None:
    """Write the build context of a partner's service: Dockerfile, app.yaml, the server and all it needs.

    SERVICE is the partner's service.yaml. Prints the folder. With --inspect an image that cannot be wrapped is refused
    here, with the reasons.
    """
    settings = load_service(service, appengine.rules(project))
    for warning in settings.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    wrap = read_plan(plan) if plan else _look(settings) if inspect else None
    for warning in wrap.warnings if wrap else ():
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    written = [out / name for name in write_files(render_context(settings, project, wrap), out, force)]
    if cloudbuild:
        beside = out.with_name(f"{out.name}-cloudbuild")
        files = render_cloudbuild(settings, f"../{out.name}", project)
        written += [beside / name for name in write_files(files, beside, force)]
    for path in written:
        console.print(f"  [green]wrote[/] {escape(str(path))}", soft_wrap=True)
    click.echo(out)


def _look(settings: ServiceSettings) -> WrapPlan:
    assert settings.image is not None  # the rules hold it
    with reading(settings.image) as progress:
        report = report_on(read_image(settings.image, progress=progress), settings.predictor_package)
    return plan_wrap(report, settings.predictor_python)
