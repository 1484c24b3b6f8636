"""Google's own checks, where the Google Cloud SDK is installed: its parser of app.yaml, its linter of commands."""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SECONDS = 120.0
"""The first start of the SDK compiles it."""

PARSE = """
import json, sys
sdk, path = sys.argv[1:]
sys.path[:0] = [sdk + "/lib", sdk + "/lib/third_party"]
from googlecloudsdk.api_lib.app import yaml_parsing
from googlecloudsdk.appengine.admin.tools.conversion import convert_yaml
from googlecloudsdk.core import yaml
try:
    info = yaml_parsing.ServiceYamlInfo.FromFile(path)
    told = convert_yaml.GetSchemaParser("v1").ConvertValue(yaml.load_path(path)) | {"service": info.module}
except Exception as error:
    told = {"error": str(error)}
print(json.dumps(told))
"""
"""Run apart from us: the SDK brings a PyYAML of its own."""
CLOUDBUILD = """
import json, sys
sdk, path = sys.argv[1:]
sys.path[:0] = [sdk + "/lib", sdk + "/lib/third_party"]
from googlecloudsdk.api_lib.cloudbuild import cloudbuild_util, config
from apitools.base.py import encoding
try:
    told = encoding.MessageToDict(config.LoadCloudbuildConfigFromPath(path, cloudbuild_util.GetMessagesModule()))
except Exception as error:
    told = {"error": str(error)}
print(json.dumps(told))
"""


@functools.cache
def sdk_root() -> Path | None:
    """The folder of the Google Cloud SDK; None where it is not installed."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return None
    told = _run([gcloud, "info", "--format=value(installation.sdk_root)"])
    for folder in (Path(told.stdout.strip() or "/nowhere"), Path(gcloud).resolve().parent.parent):
        if (folder / "lib" / "googlecloudsdk").is_dir():
            return folder
    return None


def parse_app_yaml(path: Path) -> dict[str, Any]:
    """What App Engine's API would receive; ``{"error": words}`` if Google's parser refuses the file.

    Raises:
        FileNotFoundError: the SDK is not installed.
    """
    return _parse(PARSE, path)


def parse_cloudbuild(path: Path) -> dict[str, Any]:
    """What Cloud Build's API would receive; as ``parse_app_yaml``."""
    return _parse(CLOUDBUILD, path)


def _parse(program: str, path: Path) -> dict[str, Any]:
    root = sdk_root()
    if root is None:
        raise FileNotFoundError("the Google Cloud SDK is not installed")
    bundled = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    told = _run([str(bundled) if bundled.exists() else "python3", "-c", program, str(root), str(path)])
    if told.returncode:
        return {"error": told.stderr.strip().rpartition("\n")[2]}
    received: dict[str, Any] = json.loads(told.stdout)
    return received


def command_problem(command: Sequence[str]) -> str | None:
    """What gcloud's own linter says against a gcloud command; None if nothing.

    Raises:
        FileNotFoundError: the SDK is not installed.
    """
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        raise FileNotFoundError("the Google Cloud SDK is not installed")
    told = _run([gcloud, "meta", "lint-gcloud-commands", f"--command-string={shlex.join(command)}"])
    try:
        (found,) = json.loads(told.stdout)
    except ValueError:
        return told.stderr.strip() or "gcloud's linter says nothing"
    return None if found["success"] else str(found.get("error_message") or found.get("error_type"))


def _run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as scratch:  # its own configuration: nothing of the person's is read or written
        environ = {**os.environ, "CLOUDSDK_CONFIG": scratch, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        return subprocess.run(
            arguments, capture_output=True, text=True, check=False, env=environ, timeout=SECONDS, cwd=scratch
        )
