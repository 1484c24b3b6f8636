"""playground serve: the service on this machine, from the files that an image would run, without Docker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from playground import resources
from playground.commands.console import console
from playground.commands.target import Setting, Target, find_target, path_from, predictor_options
from playground.fetching.policy import FetchPolicy
from playground.serving.local import check_port, gunicorn_command, readiness
from playground.sources import open_source
from playground.wrap.render import render_runtime
from playground.wrap.write import write_files


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[SERVICE.YAML | CONTEXT]")
@predictor_options
@click.option(
    "--workers", type=Setting("workers"), metavar="N", help="Worker processes, each with its own copy of the model."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for every one.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 for a free one.",
)
@click.option("--open", "show", is_flag=True, help="Open the map in your browser when the service is ready.")
def serve(path: Path | None, predictor: str | None, host: str, port: int, show: bool, **options: Any) -> None:
    """Run a service: from a service.yaml, from a generated build context, or from --predictor.

    The predictor runs in --python, in the folder of its service.yaml (else the current one). Ctrl-C ends it.
    """
    target = find_target(path, predictor, options)
    if predictor is not None:  # there is no file that could say it
        target.environ.setdefault("AUTH", os.environ.get("AUTH") or "none")
    settings = target.running_settings()  # what is wrong is said now, once, and not by every worker
    if settings.tiles is not None:
        open_source(settings.tiles, FetchPolicy.of(settings)).close()
        if "TILES" in target.environ:  # typed here; the service runs in the project's folder
            target.environ["TILES"] = path_from(Path.cwd(), settings.tiles)
    target.environ.setdefault("PREDICTOR_PYTHON", settings.predictor_python or sys.executable)
    is_here = host in ("127.0.0.1", "::1", "localhost")
    if is_here:  # nobody else sees the developer page
        target.environ.setdefault("DEVELOPER_LOG", os.environ.get("DEVELOPER_LOG") or "true")
    if not is_here and (os.environ.get("AUTH") or settings.auth or "none") == "none":
        console.print(f"[bold yellow]warning:[/] AUTH is none: whoever reaches {escape(host)} may use the service")
    with tempfile.TemporaryDirectory(prefix="playground-serve-") as scratch:
        # A predictor alone has no files of its own: those of this library serve it, told by the environment.
        context = target.context or resources.root()
        if target.settings is not None:
            context = Path(scratch)
            write_files(render_runtime(target.settings), context)
        sys.exit(run(target, context, host, check_port(host, port), show))


def run(target: Target, context: Path, host: str, port: int, show: bool = False) -> int:
    """Run gunicorn on a context until it ends; say when it is ready, and show its map. Returns its exit status."""
    # Nobody balances load in front of a laptop: when it is to end, it ends.
    environ = {"DRAIN_LINGER": "0", **os.environ, **target.environ}
    process = subprocess.Popen(gunicorn_command(context, host, port), cwd=target.project, env=environ)
    # gunicorn gets the terminal's Ctrl-C itself; what is sent to this process alone is handed on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104  # compared, not bound
    try:
        _tell(process, url, show)
        status = process.wait()
    finally:  # nobody listens to this process any more, say: the service must not outlive it
        if process.poll() is None:
            process.terminate()
            process.wait()
    return 0 if status in (0, -signal.SIGINT, -signal.SIGTERM) else 1


def _tell(process: subprocess.Popen[bytes], url: str, show: bool) -> None:
    """Say in which phase the service is, until it is ready, has failed, or is gone."""
    said = ""
    while process.poll() is None:
        ready, phase, predictor = readiness(url)
        phase = "ready" if ready else phase
        if phase != said:
            said = phase
            if phase == "ready":
                console.print(
                    f"[bold green]ready[/] at [link={url}]{url}[/link] (predictor on Python {predictor['python']})"
                )
                if show:
                    webbrowser.open(url)
                return
            if phase == "failed":
                console.print(f"[bold red]the predictor could not be loaded:[/] {escape(str(predictor['error']))}")
                console.print(escape(predictor["traceback"] or ""), soft_wrap=True)
                console.print("the service goes on, not ready; Ctrl-C ends it")
                return
            console.print(phase)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
