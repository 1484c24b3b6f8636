"""A build context, as it is on the disk, held against the rules of App Engine Flex: also one changed by hand."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from playground.errors import SettingsError
from playground.settings import Finding, load_running
from playground.settings.kinds import is_service_id
from playground.settings.load import read_setting
from playground.settings.yaml_lines import Entry, load_entries
from playground.wrap import appengine, flex, google

Level = Literal["error", "warning"]
DEFAULT_RESOURCES = {"resources.cpu": 1, "resources.memory_gb": Decimal("0.6")}


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        level: an error is refused by App Engine or breaks the service; a warning may be meant.
        place: the file, and its line where that is known.
        words: what was found, what is allowed.
    """

    level: Level
    place: str
    words: str


def lint(folder: Path, project: str | None = None, google_too: bool = True) -> list[Problem]:
    """Every problem of a build context.

    Args:
        folder: with app.yaml and a Dockerfile (or cloudbuild.yaml).
        project: the Google Cloud project: names must fit together.
        google_too: run Google's own parser, where it is installed.

    Raises:
        SettingsError: app.yaml cannot be read at all.
    """
    path = folder / "app.yaml"
    values, lines = _values(path)
    problems = []
    for finding in (*_app_yaml(values), *_from_service_yaml(values, project)):
        line = lines.get(finding.key) or lines.get(finding.key.rpartition(".")[0])
        place = f"{path}:{line}" if line else str(path)
        problems.append(Problem("error" if finding.fatal else "warning", place, f"{finding.key}: {finding.words}"))
    problems += _service(path, folder)
    problems += _files(folder)
    if google_too and google.sdk_root() is not None and (error := google.parse_app_yaml(path).get("error")):
        problems.append(Problem("error", str(path), f"Google's parser: {' '.join(str(error).split())}"))
    return problems


def _values(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The values by dotted key, and the lines of keys down to the second level."""
    entries = load_entries(path)
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}

    def add(key: str, value: Any) -> None:
        values[key] = value
        if isinstance(value, dict):
            for name, inner in value.items():
                add(f"{key}.{name}", inner)

    def note(each: Entry) -> None:
        lines.setdefault(each.key, each.line)
        for inner in each.inner:
            note(inner)

    for entry in entries:
        add(entry.key, entry.value)
        note(entry)
    return values, lines


def _app_yaml(values: Mapping[str, Any]) -> Iterator[Finding]:
    if values.get("runtime") != "custom":
        yield Finding("runtime", f"found {values.get('runtime')}, allowed: custom; the image is our own")
    if values.get("env") not in ("flex", "flexible"):
        yield Finding("env", f"found {values.get('env', 'nothing')}, allowed: flex")
    service = values.get("service")
    if service is None:
        yield Finding("service", "missing: the app's default service would be replaced", fatal=False)
    elif not isinstance(service, str) or not is_service_id(service):
        yield Finding("service", f"found {service}, allowed: lowercase letters, digits and hyphens, at most 63")
    yield from _numbers(values)
    yield from _scaling(values)
    for check in flex.CHECK_DEFAULTS:
        yield from _health(check, values)
    yield from _variables(values)
    yield from _network(values)
    for key, words in flex.NOT_FLEX.items():
        if key in values:
            yield Finding(key, words, fatal=key in ("version", "application"))


def _numbers(values: Mapping[str, Any]) -> Iterator[Finding]:
    for key, (low, high, unit) in flex.NUMBERS.items():
        value = values.get(key)
        if value is None:
            continue
        number = _number(value)
        if number is None or not low <= number <= high:
            yield Finding(key, f"found {value}, allowed: {low} to {high} ({unit})")


def _number(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _scaling(values: Mapping[str, Any]) -> Iterator[Finding]:
    least, most = (_number(values.get(f"automatic_scaling.{end}_num_instances")) for end in ("min", "max"))
    if least is not None and most is not None and least > most:
        yield Finding("automatic_scaling.min_num_instances", f"found {least}, more than max_num_instances ({most})")
    if "automatic_scaling" in values and "manual_scaling" in values:
        yield Finding("manual_scaling", "stands beside automatic_scaling, allowed: one of them")


def _health(check: str, values: Mapping[str, Any]) -> Iterator[Finding]:
    path = values.get(f"{check}.path")
    if path is None:
        words = "no path: App Engine would never ask the container, and a dead predictor would count as healthy"
        yield Finding(check, words)
    elif not isinstance(path, str) or not path.startswith("/"):
        yield Finding(f"{check}.path", f"found {path}, allowed: a path that starts with /")
    interval, timeout = (
        _number(values.get(f"{check}.{name}", default))
        for name, default in zip(("check_interval_sec", "timeout_sec"), flex.CHECK_DEFAULTS[check], strict=True)
    )
    if interval is not None and timeout is not None and interval <= timeout:
        yield Finding(f"{check}.check_interval_sec", f"found {interval}, allowed: more than timeout_sec ({timeout})")


def _variables(values: Mapping[str, Any]) -> Iterator[Finding]:
    variables = values.get("env_variables") or {}
    for name, value in variables.items() if isinstance(variables, dict) else ():
        key = f"env_variables.{name}"
        if not flex.VARIABLE.fullmatch(name):
            yield Finding(key, "allowed: letters, digits and underscores, no digit in front")
        elif name.startswith("GAE_"):
            yield Finding(key, "is reserved: App Engine sets GAE_… itself")
        if not isinstance(value, str):
            yield Finding(key, f"found {value}, allowed: a text; put it in quotes", fatal=False)


def _network(values: Mapping[str, Any]) -> Iterator[Finding]:
    affinity = values.get("network.session_affinity")
    if affinity is not None and not isinstance(affinity, bool):
        yield Finding("network.session_affinity", f"found {affinity}, allowed: true or false")
    if "network.subnetwork_name" in values and "network.name" not in values:
        yield Finding("network.subnetwork_name", "needs network.name beside it")
    for name in ("network.name", "network.subnetwork_name"):
        if "/" in str(values.get(name, "")):
            yield Finding(name, f"found {values[name]}, allowed: the short name, no path")
    for port in values.get("network.forwarded_ports") or ():
        host = re.match(r"\d+", str(port))
        if host is None or not 1024 <= int(host[0]) <= 65535 or int(host[0]) in flex.FORWARDED_PORTS_TAKEN:
            yield Finding("network.forwarded_ports", f"found {port}: reserved, or not from 1024 to 65535")
    volumes = values.get("resources.volumes") or []
    if len(volumes) > 8:
        yield Finding("resources.volumes", f"found {len(volumes)} volumes, allowed: 8")
    for volume in volumes if isinstance(volumes, list) else ():
        size = _number(volume.get("size_gb")) if isinstance(volume, dict) else None
        if size is None or size < Decimal("0.001") or not flex.VOLUME.fullmatch(str(volume.get("name"))):
            words = f"found {volume}, allowed: a name (lowercase letters, digits, hyphens) and size_gb of 0.001 or more"
            yield Finding("resources.volumes", words)


def _from_service_yaml(values: Mapping[str, Any], project: str | None) -> Iterator[Finding]:
    """The rules that a service.yaml is held against, on what stands in app.yaml."""
    known = {key: values[key] for key in ("resources.cpu", "resources.memory_gb") if key in values}
    for key, value in known.items():
        if _number(value) is None or (key == "resources.cpu" and not isinstance(value, int)):
            yield Finding(key, f"found {value}, allowed: a number")
            return
    there = {**DEFAULT_RESOURCES, **known, "TILES": values.get("env_variables.TILES"), "name": values.get("service")}
    for rule in appengine.rules(project):
        for finding in rule(there):
            if finding.key == "name":
                yield dataclasses.replace(finding, key="service")
            elif finding.key == "TILES":
                yield dataclasses.replace(finding, key="env_variables.TILES")
            else:
                yield finding


def _service(path: Path, folder: Path) -> Iterator[Problem]:
    """Whether app.py will read what stands there."""
    try:
        if load_running(path, {}).auth is None:
            words = "the service cannot start: AUTH: missing, needed: none, api-key, bearer-jwt or iap"
            yield Problem("error", str(path), words)
    except SettingsError as error:
        for problem in error.problems:
            yield Problem("error", str(path), f"the service cannot start: {problem.removeprefix(f'{path}:')}")
    conf = folder / "gunicorn.conf.py"
    if not conf.exists():
        return
    text = conf.read_text("utf-8", "replace")
    found = re.search(r"^graceful_timeout\s*=\s*(\d+)", text, re.MULTILINE)
    if found is None or int(found[1]) > flex.DRAIN_SECONDS:
        said = found[1] if found else "nothing (30)"
        words = f"graceful_timeout: found {said}, allowed: at most {flex.DRAIN_SECONDS} (seconds)"
        yield Problem("error", str(conf), words)
    for key in ("workers", "backlog", "timeout"):
        number = re.search(rf'boot\.number\("{key}", ([^)]*)\)', text)
        try:
            read_setting(key, {key.upper(): number[1]} if number else {}, 0)
        except SettingsError as error:
            yield Problem("error", str(conf), error.message.removeprefix("environment variable "))


def _files(folder: Path) -> Iterator[Problem]:
    dockerfile, cloudbuild = folder / "Dockerfile", folder / "cloudbuild.yaml"
    if dockerfile.exists() and cloudbuild.exists():
        words = "stands beside a Dockerfile, and gcloud refuses both together; put it into a folder beside this one"
        yield Problem("error", str(cloudbuild), words)
    elif not dockerfile.exists() and not cloudbuild.exists():
        words = "there is no Dockerfile: gcloud takes this folder only with --image-url"
        yield Problem("warning", str(folder), words)
    for name in (".gcloudignore", ".dockerignore"):
        path = folder / name
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            needed = ("app.yaml", "gunicorn.conf.py", "app", "requirements.txt", "*", "*.yaml", "*.py", "**")
            if line.strip().strip("/") in needed and not any(each.startswith("!") for each in lines):
                yield Problem("error", f"{path}:{number}", f"{line.strip()}: leaves out what the service needs")
