"""The plan of a deployment: exact commands, in order, and what undoes them. Nothing here runs anything."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from playground.errors import DeployError
from playground.wrap import flex

STAGES = (10, 50, 100)
"""Percent of the traffic that the new version gets, step by step."""
REGISTRIES = re.compile(r"(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io|docker\.[a-z0-9-]+\.rep\.pkg\.dev)/")
"""Where App Engine takes images from."""


@dataclasses.dataclass(frozen=True)
class Deployment:
    """What is to be deployed.

    Attributes:
        folder: the build context, with app.yaml.
        service, project, version: App Engine's names.
        image_url: a built image; None to build from the folder.
        promote: whether traffic is sent to it.
        stages: percents, ascending.
    """

    folder: Path
    service: str
    project: str
    version: str
    image_url: str | None = None
    promote: bool = False
    stages: tuple[int, ...] = STAGES


def version_name(now: datetime.datetime, image_url: str | None = None) -> str:
    """A version's name: when, and of which image: 20261121t101500-1a2b3c4d."""
    digest = re.search(r"@sha256:([0-9a-f]{8})", image_url or "")
    return f"{now:%Y%m%dt%H%M%S}" + (f"-{digest[1]}" if digest else "")


def check_names(deployment: Deployment) -> None:
    """Whether App Engine takes the names.

    Raises:
        DeployError: it does not.
    """
    if problem := flex.version_problem(deployment.version):
        raise DeployError(f"version {deployment.version}: {problem}", "give another with --version")
    label = f"{deployment.version}-dot-{deployment.service}-dot-{deployment.project}"
    if len(label) > 63:
        raise DeployError(f"{label} has {len(label)} characters, allowed: 63", "give a shorter --version")
    if deployment.image_url and not re.match(
        r"(?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)/", deployment.image_url
    ):
        raise DeployError(
            f"{deployment.image_url}: App Engine takes images from Artifact Registry only",
            "push it to REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME",
        )


def deploy_command(deployment: Deployment) -> list[str]:
    """Upload and start the version; nobody is sent to it yet."""
    command = ["gcloud", "app", "deploy", str(deployment.folder / "app.yaml")]
    if deployment.image_url:
        command.append(f"--image-url={deployment.image_url}")
    return [*command, f"--version={deployment.version}", "--no-promote", "--quiet", f"--project={deployment.project}"]


def url_command(deployment: Deployment) -> list[str]:
    """Ask for the version's own address."""
    return [
        *("gcloud", "app", "versions", "describe", deployment.version, f"--service={deployment.service}"),
        *("--format=value(versionUrl)", f"--project={deployment.project}"),
    ]


def split_command(deployment: Deployment) -> list[str]:
    """Ask who gets the traffic now."""
    return [
        *("gcloud", "app", "services", "describe", deployment.service),
        *("--format=json(split.allocations)", f"--project={deployment.project}"),
    ]


def versions_command(deployment: Deployment) -> list[str]:
    """Show the versions and their traffic."""
    return [
        *("gcloud", "app", "versions", "list", f"--service={deployment.service}"),
        *("--sort-by=~version.createTime", f"--project={deployment.project}"),
    ]


def traffic_command(deployment: Deployment, splits: Mapping[str, float]) -> list[str]:
    """Send traffic: version -> share."""
    told = ",".join(f"{version}={share:.4g}" for version, share in splits.items() if share > 0)
    return [
        *("gcloud", "app", "services", "set-traffic", deployment.service, f"--splits={told}"),
        *("--split-by=random", "--quiet", f"--project={deployment.project}"),
    ]


def stage_splits(deployment: Deployment, before: Mapping[str, float]) -> list[dict[str, float]]:
    """The traffic at each stage: the new version's share, the others' reduced evenly."""
    others = {version: share for version, share in before.items() if version != deployment.version}
    total = sum(others.values())
    if total == 0:
        return [{deployment.version: 1.0}]
    stages = []
    for percent in deployment.stages:
        left = (100 - percent) / 100
        reduced = {version: round(share / total * left, 3) for version, share in others.items()}
        first = next(iter(reduced))  # thousandths that rounding has lost: App Engine wants a sum of 1
        reduced[first] = round(left - sum(share for version, share in reduced.items() if version != first), 3)
        stages.append({**reduced, deployment.version: percent / 100})
    return stages


def plan(deployment: Deployment, before: Mapping[str, float] | None = None) -> list[tuple[str, Sequence[str]]]:
    """Every step in words, with its command (empty where it is ours).

    Args:
        deployment: what and where.
        before: version -> share of the traffic today; a placeholder CURRENT where that is not known yet.
    """
    before = before or {"CURRENT": 1.0}
    where = "from the built image" if deployment.image_url else "built by Cloud Build from this folder"
    steps: list[tuple[str, Sequence[str]]] = [
        (f"upload version {deployment.version}, {where}; it gets no traffic", deploy_command(deployment)),
        ("ask for its own address", url_command(deployment)),
        ("test it there: ready, and a tile gives valid GeoJSON; else stop here, nobody has noticed", ()),
    ]
    if not deployment.promote:
        return [*steps, ("show the versions; nothing is promoted", versions_command(deployment))]
    steps.append(("remember who gets the traffic", split_command(deployment)))
    for percent, splits in zip(deployment.stages, stage_splits(deployment, before), strict=False):
        steps.append((f"send {percent} % to it", traffic_command(deployment, splits)))
        steps.append(("watch it; if it fails, undo", ()))
    steps.append(("to undo, then or later: the traffic as it was", traffic_command(deployment, before)))
    return [*steps, ("show the versions; the old ones go on running, for a way back", versions_command(deployment))]
