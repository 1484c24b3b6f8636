"""Reading settings from service.yaml, app.yaml and the environment, with every problem in one error."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playground.errors import SettingsError
from playground.settings.description import BlockError
from playground.settings.fields import (
    REQUIRED,
    About,
    PredictorSettings,
    Resources,
    RunningSettings,
    ServiceSettings,
    defaults_of,
    settings_of,
)
from playground.settings.kinds import Hidden, Number, Text, Whole
from playground.settings.several import read_several

if TYPE_CHECKING:
    from playground.settings.yaml_lines import Entry


@dataclass(frozen=True)
class Finding:
    """What a rule found wrong in settings that are each allowed by themselves."""

    key: str
    words: str
    fatal: bool = True


NO_SECRETS = "is secret, and what stands here goes into the image; allowed: API_KEYS_FILE, or API_KEY_HASHES"

Rule = Callable[[Mapping[str, Any]], Iterable[Finding]]
"""Reads the good values by key, defaults included (a key with a bad value is absent), and yields what is wrong."""


def load_service(path: Path, rules: Sequence[Rule] = ()) -> ServiceSettings:
    """Read a partner's service.yaml.

    Args:
        path: the file.
        rules: further checks that see several settings at once, like those of a deploy target.

    Raises:
        SettingsError: with every problem of the file, not the first only.
    """
    known = settings_of(ServiceSettings)
    problems: list[str] = []
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for entry in _flat(_entries(path), "resources", path, problems):
        place = f"{path}:{entry.line}: {entry.key}"
        lines[entry.key] = entry.line
        if entry.key == "PROJECT_NAME":
            problems.append(f"{place}: is not in the partner's file; the team gives it with --project")
        elif entry.key == "API_KEYS":
            problems.append(f"{place}: {NO_SECRETS}")
        elif entry.key not in known:
            problems.append(f"{place}: unknown key{nearest(entry.key, known)}")
        else:
            definition = known[entry.key][1]
            try:
                values[entry.key] = definition.kind.check(entry.value)
            except ValueError as error:
                problems += _problems_of(entry, definition, error, path)
    several, wrong = read_several(values.get("PREDICTORS") or [])
    problems += [f"{path}: {problem}" for problem in wrong]
    for place, definition in _missing(several, lines):
        problems.append(f"{path}: {place}: missing, needed: {definition.allowed}")
    for key, (attribute, _) in known.items():
        if several and key not in lines and attribute in several[0]:
            values[key] = several[0][attribute]  # what stands for the service where one predictor is meant
    if "name" not in lines:
        values["name"] = _service_id(values.get("image") or values.get("PREDICTOR_PACKAGE") or "service")
    complete = {key: value for key, value in defaults_of(ServiceSettings).items() if key not in lines} | values
    warnings: list[str] = []
    for finding in (finding for rule in rules for finding in rule(complete)):
        place = f"{path}:{lines[finding.key]}" if finding.key in lines else str(path)
        (problems if finding.fatal else warnings).append(f"{place}: {finding.key}: {finding.words}")
    _raise_if(problems, path)
    parts = {known[key][0]: value for key, value in values.items()}
    resources = Resources(**{name: parts.pop(name) for name in ("cpu", "memory_gb", "disk_size_gb") if name in parts})
    return ServiceSettings(**parts, resources=resources, warnings=tuple(warnings))


def load_running(
    config_path: Path | None, environ: Mapping[str, str], said: Mapping[str, str] | None = None
) -> RunningSettings:
    """What the running service needs.

    A key may stand at the top of app.yaml, below its ``env_variables``, or in the environment; the later wins. An empty
    value counts as not given. Other keys of app.yaml are App Engine's and ignored.

    Args:
        config_path: app.yaml, if there is one.
        environ: variable -> text.
        said: what a person wrote who set no variable, by the variable: ``{"ZOOM_LEVEL": "argument zoom"}``.

    Raises:
        SettingsError: with every problem, not the first only.
    """
    known = settings_of(RunningSettings)
    problems: list[str] = []
    values: dict[str, Any] = {}
    given: set[str] = set()
    given_by = "the arguments" if said else "the environment"
    where = f"{config_path} and {given_by}" if config_path else given_by
    entries = _flat(_entries(config_path), "env_variables", config_path, problems) if config_path else ()
    by_key = {entry.key: entry for entry in entries}
    for key, (attribute, definition) in known.items():
        flat, variable = by_key.get(key), by_key.get(f"env_variables.{definition.env}")
        in_file = variable if variable and variable.raw != "" else flat
        if in_file and isinstance(definition.kind, Hidden) and not definition.kind.in_files:
            problems.append(f"{config_path}:{in_file.line}: {in_file.key}: {NO_SECRETS}")
        elif text := environ.get(definition.env):
            place, found = (said or {}).get(definition.env) or f"environment variable {definition.env}", text
            read = partial(definition.kind.parse, text)
        elif variable and variable.raw != "":
            place, found = f"{config_path}:{variable.line}: {variable.key}", variable.found
            read = partial(definition.kind.parse, variable.raw or "")
        elif flat:
            place, found = f"{config_path}:{flat.line}: {key}", flat.found
            read = partial(definition.kind.check, flat.value)
        else:
            continue
        given.add(key)
        try:
            values[attribute] = read()
        except BlockError as error:
            problems.extend(f"{place}: {problem}" for problem in error.problems)
        except ValueError:
            found = "***" if isinstance(definition.kind, Hidden) else found
            problems.append(f"{place}: found {found}, allowed: {definition.allowed}")
    several, wrong = read_several(values.get("predictors") or [])
    missing = [f"{place}: missing in {where}, needed: {each.allowed}" for place, each in _missing(several, given)]
    problems = [*missing, *problems, *wrong]
    _raise_if(problems, config_path or given_by)
    first = several[0] if several else {}
    values.setdefault("name", _service_id(values.get("predictor_package") or first["predictor_package"]))
    values["application"] = values.get("metadata")
    each = tuple(RunningSettings(**{"namespace": values["name"]} | values | own) for own in several)
    return dataclasses.replace(each[0], several=each) if each else RunningSettings(**values)


def _missing(several: Sequence[Mapping[str, Any]], given: Container[str]) -> Iterator[tuple[str, About]]:
    """Required settings that neither the service nor one of its predictors has: where, and the definition."""
    for key in REQUIRED:
        attribute, definition = settings_of(PredictorSettings)[key]
        for number, own in enumerate(several or [{}], 1):
            if key not in given and attribute not in own:
                yield (f"PREDICTORS, {number}. predictor: {key}" if several else key), definition


def read_number(key: str, environ: Mapping[str, str], default: int) -> int:
    """``workers``, ``backlog`` or ``timeout``, see ``read_setting``."""
    return int(str(read_setting(key, environ, default)))


def read_setting(key: str, environ: Mapping[str, str], default: object) -> object:
    """One setting, for gunicorn.conf.py: the environment's value, else ``default``.

    Raises:
        SettingsError: the environment holds no such value.
    """
    definition = settings_of(RunningSettings)[key][1]
    text = environ.get(definition.env) or str(default)
    try:
        return definition.kind.parse(text)
    except ValueError:
        problem = f"environment variable {definition.env}: found {text}, allowed: {definition.allowed}"
        raise SettingsError(problem, problems=(problem,)) from None


def _entries(path: Path) -> tuple[Entry, ...]:
    from playground.settings.yaml_lines import load_entries  # noqa: PLC0415 - YAML is not for those who read no file

    return load_entries(path)


def _flat(entries: Iterable[Entry], opened: str, path: Path, problems: list[str]) -> Iterator[Entry]:
    """Every entry, those inside the mapping ``opened`` in its place; a key given twice is a problem."""
    seen: dict[str, int] = {}
    for outer in entries:
        opens = outer.key == opened and isinstance(outer.value, dict)
        if outer.key == opened and not opens:
            problems.append(f"{path}:{outer.line}: {opened}: found {outer.found}, allowed: a mapping of KEY: value")
        for entry in (*((outer,) if outer.key != opened else ()), *(outer.inner if opens else ())):
            if entry.key in seen:
                first = seen[entry.key]
                problems.append(f"{path}:{entry.line}: {entry.key}: given twice, first in line {first}")
                continue
            seen[entry.key] = entry.line
            yield entry


def nearest(key: str, known: Iterable[str]) -> str:
    """A did-you-mean: a key spelt nearly so, or one whose last part is spelt nearly so."""
    plain = {name.lower(): name for name in known}
    plain |= {name.rpartition(".")[2]: name for name in plain if "." in name}
    near = difflib.get_close_matches(key.lower(), plain, n=1, cutoff=0.5)
    return f"; did you mean {plain[near[0]]}?" if near else f", allowed: {', '.join(known)}"


def _problems_of(entry: Entry, definition: About, error: ValueError, path: Path) -> Iterator[str]:
    """What is wrong with an entry: with a block, perhaps several things, each in a line of its own."""
    if not isinstance(error, BlockError):
        yield f"{path}:{entry.line}: {entry.key}: found {entry.found}, allowed: {definition.allowed}" + _quotes(
            entry, definition
        )
        return
    for problem in error.problems:
        key = f"{entry.key}.{problem}"
        line = next((inner.line for inner in entry.inner if _is_below(key, inner.key)), entry.line)
        yield f"{path}:{line}: {key}"


def _quotes(entry: Entry, definition: About) -> str:
    """A hint where only the quotes are wrong."""
    if isinstance(definition.kind, Whole | Number) and isinstance(entry.value, str):
        try:
            definition.kind.parse(entry.value)
        except ValueError:
            return ""
        return "; remove the quotes"
    if isinstance(definition.kind, Text) and isinstance(entry.value, bool | int | Decimal):
        return "; put it in quotes" if definition.kind.accepts(entry.raw or "") else ""
    return ""


def _is_below(key: str, above: str) -> bool:
    """Whether one key stands inside another, or is it: a.b.c or a.b[0] in a.b."""
    return bool(re.match(rf"{re.escape(above)}(?![A-Za-z0-9_-])", key))


def _service_id(source: str) -> str:
    """A legal service id from the reference of an image, or from a package's name."""
    last = source.partition("@")[0].rpartition("/")[2].partition(":")[0].partition(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", last.lower())[:63].strip("-") or "service"


def _raise_if(problems: list[str], what: object) -> None:
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SettingsError(f"{what}: {count}", problems=tuple(problems))
