"""playground deploy: a build context becomes a version of an App Engine service, step by step and with a way back."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path

import click
from rich.markup import escape

from playground.commands.console import console, project_option
from playground.errors import CertificateError, DeployError
from playground.settings import load_running
from playground.wrap import deploy as plans
from playground.wrap.certificate import check_covers, read_certificate
from playground.wrap.lint import lint


def _stages(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        stages = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter("percents separated by commas, like 10,50,100") from None
    if sorted(set(stages)) != list(stages) or stages[0] < 1 or stages[-1] != 100:
        raise click.BadParameter("percents that grow, the last of them 100, like 10,50,100")
    return stages


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@project_option("The Google Cloud project.")
@click.option("--version", "version", metavar="NAME", help="The version's name; by default the time and the digest.")
@click.option("--image-url", metavar="IMAGE@DIGEST", help="A built and pushed image; else Cloud Build builds FOLDER.")
@click.option("--promote", is_flag=True, help="Send traffic to it once it has passed its tests; needs --certificate.")
@click.option("--certificate", type=click.Path(path_type=Path), help="What `playground check` wrote about the image.")
@click.option("--stages", default="10,50,100", show_default=True, callback=_stages, help="Percent of the traffic.")
@click.option("--watch", default=60.0, show_default=True, help="Seconds that each stage is watched.")
@click.option("--dry-run", is_flag=True, help="Print the plan: the exact commands. Run nothing.")
def deploy(
    folder: Path,
    project: str | None,
    *,
    version: str | None,
    image_url: str | None,
    promote: bool,
    certificate: Path | None,
    stages: tuple[int, ...],
    watch: float,
    dry_run: bool,
) -> None:
    """Deploy a build context to App Engine Flex: upload, test, send traffic in stages, undo what fails.

    FOLDER is what `playground generate` wrote. The new version gets no traffic before it has answered a tile at an
    address of its own, and none at all without --promote, which needs the certificate of `playground check`. gcloud
    does the work, with the account that it is logged in with.
    """
    settings = load_running(folder / "app.yaml", {})
    project = project or settings.project_name
    if project is None:
        raise click.UsageError("give --project: app.yaml names none")
    version = version or plans.version_name(datetime.datetime.now(datetime.timezone.utc), image_url)
    deployment = plans.Deployment(folder, settings.name, project, version, image_url, promote, stages)
    plans.check_names(deployment)
    _check_context(folder, project)
    if promote:
        if certificate is None or image_url is None:
            raise CertificateError(
                "what was not checked is not promoted: --promote needs --certificate and --image-url",
                "build and push the image, run `playground check`, and give both; or deploy without --promote",
            )
        check_covers(read_certificate(certificate), image_url)
    for number, (words, command) in enumerate(plans.plan(deployment), 1):
        console.print(f"[bold]{number:2}.[/] {escape(words)}", soft_wrap=True)
        if command:
            click.echo(shlex.join(command))
    if dry_run:
        console.print("nothing was run (--dry-run)")
        return
    from playground.wrap.rollout import roll_out  # noqa: PLC0415 - what a plan does not need

    console.print("[bold]carrying it out[/]")
    url = roll_out(deployment, lambda words: console.print(escape(words), soft_wrap=True), watch)
    click.echo(url)


def _check_context(folder: Path, project: str) -> None:
    problems = lint(folder, project)
    for problem in problems:
        console.print(f"{problem.level}: {escape(problem.place)}: {escape(problem.words)}", soft_wrap=True)
    if errors := sum(problem.level == "error" for problem in problems):
        raise DeployError(f"{folder} has {errors} errors that App Engine would stumble over", "see above")
