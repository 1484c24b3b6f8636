"""A deployment carried out: gcloud does the work, the judgement is here."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import requests

from playground import imagery
from playground.errors import DeployError
from playground.wrap import deploy
from playground.wrap.deploy import Deployment

Say = Callable[[str], None]
KEY_VARIABLE = "PLAYGROUND_API_KEY"
"""Where the key is, for services that want one."""
START_SECONDS = 1800.0
PAUSE_SECONDS = 2.0


def roll_out(deployment: Deployment, say: Say, watch_seconds: float, start_seconds: float = START_SECONDS) -> str:
    """Deploy, test, send traffic in stages, undo at the first failure. Returns the version's address.

    Args:
        deployment: checked with ``deploy.check_names``.
        say: tells a person what happens.
        watch_seconds: how long each stage is watched.
        start_seconds: how long the version may take to become ready.

    Raises:
        DeployError: a step failed; the traffic is as it was before.
    """
    run(deploy.deploy_command(deployment), say)
    url = run(deploy.url_command(deployment), say).strip().rstrip("/")
    if not url.startswith("http"):
        raise DeployError(f"gcloud gives no address of version {deployment.version}", "look at the App Engine console")
    say(f"testing {url}")
    wait_ready(url, start_seconds)
    smoke_test(url)
    say("it is ready, and answers a tile with valid GeoJSON")
    if deployment.promote:
        _send_traffic(deployment, url, say, watch_seconds)
    say(run(deploy.versions_command(deployment), say).rstrip())
    return url


def _send_traffic(deployment: Deployment, url: str, say: Say, watch_seconds: float) -> None:
    told = json.loads(run(deploy.split_command(deployment), say) or "{}") or {}
    before = {name: float(share) for name, share in ((told.get("split") or {}).get("allocations") or {}).items()}
    for splits in deploy.stage_splits(deployment, before):
        try:
            run(deploy.traffic_command(deployment, splits), say)
            until = time.monotonic() + watch_seconds
            smoke_test(url)
            while time.monotonic() < until:
                time.sleep(min(PAUSE_SECONDS, max(0.0, until - time.monotonic())))
                smoke_test(url)
        except (DeployError, KeyboardInterrupt) as error:
            if before:
                run(deploy.traffic_command(deployment, before), say)
                say("undone: the traffic is as it was")
            if isinstance(error, KeyboardInterrupt):
                raise DeployError("interrupted; the traffic is as it was before") from error
            raise DeployError(f"{error.message}; the traffic is as it was before", error.hint) from error


def wait_ready(url: str, seconds: float) -> None:
    """Wait until the version is ready.

    Raises:
        DeployError: not in time, with what it says of itself.
    """
    until = time.monotonic() + seconds
    said = "no answer"
    while time.monotonic() < until:
        try:
            answer = requests.get(f"{url}/readiness_check", timeout=10)
        except requests.RequestException as error:
            said = type(error).__name__
        else:
            if answer.status_code == 200:
                return
            said = _words(answer)
        time.sleep(min(PAUSE_SECONDS, max(0.0, until - time.monotonic())))
    raise DeployError(f"the version is not ready after {seconds:.0f} seconds: {said}", "it gets no traffic")


def smoke_test(url: str) -> None:
    """Post a grey picture.

    Raises:
        DeployError: no 200, or no FeatureCollection.
    """
    picture = imagery.encode_png(np.full((256, 256, 3), 128, np.uint8))
    headers = {"Content-Type": "image/png"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["X-API-Key"] = key
    try:
        answer = requests.post(f"{url}/predict", data=picture, headers=headers, timeout=120)
    except requests.RequestException as error:
        raise DeployError(f"the version does not answer: {type(error).__name__}", "look at its log") from error
    if answer.status_code == 503 and answer.headers.get("Retry-After"):
        return  # busy with what it was given: that is no failure
    if answer.status_code != 200:
        raise DeployError(f"the version answers {answer.status_code}: {_words(answer)}", "look at its log")
    try:
        found: Any = answer.json()["prediction"]["type"]
    except (ValueError, KeyError, TypeError):
        found = None
    if found != "FeatureCollection":
        raise DeployError("the version's answer is no FeatureCollection", "look at its log")


def _words(answer: requests.Response) -> str:
    try:
        told = answer.json()
        return str(told.get("message") or told["predictor"].get("error") or told["predictor"]["phase"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"status {answer.status_code}"


def run(command: Sequence[str], say: Say) -> str:
    """Run a command; what it prints.

    Raises:
        DeployError: it is not there, or fails; with its last words.
    """
    say("$ " + " ".join(command))
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise DeployError(f"{command[0]} is not installed", "install the Google Cloud SDK") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()[-3:]
        raise DeployError(f"{' '.join(command[:4])} failed: {' '.join(words)}", "see what gcloud says above")
    return done.stdout
