"""The documentation holds what the code has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from playground import errors
from playground.commands import COMMANDS, main
from playground.serving.errors import STATUS, status_of
from playground.settings import RunningSettings, ServiceSettings, docs_table
from playground.sources import SOURCES

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Settings

Those of a partner's service.yaml, then those that only the running service has. Each is also an environment variable,
in capitals (`service`: `GAE_SERVICE`), of the running service and of `playground serve`, `run`, `predict` and
`check`. It wins over files, and an option over it. From Python, `playground.area.run` takes them as arguments, in
small letters. Written from the code: `make test PYTEST_ARGS=--update-golden`.
"""

ERRORS_HEAD = """# Errors

Every error that playground raises on purpose is a `playground.errors.PlaygroundError` with a `message` and a `hint`;
the service answers each in one JSON shape, the commands in one line. Clients retry 408, 423, 429, 500, 502, 503 and
504 and nothing else. Written from the code: `make test PYTEST_ARGS=--update-golden`.
"""
RETRIED = {408, 423, 429, 500, 502, 503, 504}


def table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = [f"| `{key}` | {allowed} | {default} | {words} |" for key, allowed, default, words in rows]
    return "\n".join(["| setting | allowed | default | what |", "|---|---|---|---|", *lines])


def test_every_setting_is_in_its_table(request: pytest.FixtureRequest) -> None:
    partner = docs_table(ServiceSettings)
    known = {row[0] for row in partner}
    running = [row for row in docs_table(RunningSettings) if row[0] not in known]
    text = f"{HEAD}\n## service.yaml\n\n{table(partner)}\n\n## The running service only\n\n{table(running)}\n"
    check_page(request, "settings.md", text)


def test_every_module_is_on_the_maintainers_map() -> None:
    named = set(re.findall(r"\w+", (DOCS / "maintainer.md").read_text()))
    one_file_a_kind = {"sources", "formats", "commands", "checks", "guard", "fields", "inside"}
    root = DOCS.parent
    modules = [*root.glob("playground/**/*.py"), *root.glob("app/**/*.py")]
    unnamed = [path for path in modules if path.stem not in named and path.stem != "__init__"]
    assert [str(path.relative_to(root)) for path in unnamed if path.parent.name not in one_file_a_kind] == []


def check_page(request: pytest.FixtureRequest, name: str, text: str) -> None:
    path = DOCS / name
    if request.config.getoption("--update-golden"):
        path.write_text(text)
    assert path.read_text() == text, "make test PYTEST_ARGS=--update-golden, read the diff, commit it"


def error_classes(root: type[errors.PlaygroundError]) -> Iterator[type[errors.PlaygroundError]]:
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)


def test_every_error_has_its_heading(request: pytest.FixtureRequest) -> None:
    sections = []
    for kind in list(error_classes(errors.PlaygroundError))[1:]:
        over_http = "commands and start-up only, no request meets it"
        if any(known in STATUS for known in kind.__mro__):
            status = status_of(kind(""))
            over_http = (
                f"over HTTP {status}: {'a retry may help' if status in RETRIED | {409} else 'a retry changes nothing'}"
            )
        parent = kind.__bases__[0].__name__
        words = " ".join((kind.__doc__ or "").split())
        sections.append(f"## {kind.__name__}\n\n{words}\n\nA `{parent}`; {over_http}.\n")
        assert kind.__name__ in (errors.__doc__ or ""), f"the tree in errors.py lacks {kind.__name__}"
    check_page(request, "errors.md", "\n".join([ERRORS_HEAD, *sections]))


def test_every_kind_of_source_has_its_section() -> None:
    text = (DOCS / "sources.md").read_text().lower()
    for kind, words in {**dict.fromkeys(SOURCES, ""), "raster": "rasters", "directory": "directories"}.items():
        assert f"\n## {words or kind}" in text


def test_every_command_is_spoken_of() -> None:
    text = "".join(path.read_text() for path in [DOCS.parent / "README.md", *DOCS.glob("*.md")])
    for name in COMMANDS:
        assert f"playground {name}" in text or f"make {name}" in text


def test_every_page_that_is_linked_is_there() -> None:
    for page in [DOCS.parent / "README.md", *DOCS.glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def shell_lines() -> Iterator[tuple[str, str]]:
    """(page, line) of every shell block of the documentation."""
    for page in [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]:
        for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                yield page.name, line


def test_every_command_line_that_is_shown_is_one_that_playground_takes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    checked = 0
    for page, line in shell_lines():
        words = shlex.split(line, comments=True)
        if words[:1] != ["playground"] or len(words) < 2:
            continue
        arguments = words[1 : next((i for i, word in enumerate(words) if word in ("|", "&", "&&", ">", ";")), None)]
        name, *rest = arguments
        for word in rest:  # files that the line names: only whether they may be named there is asked
            if re.fullmatch(r"[\w./-]+\.\w+", word) and not Path(word).is_absolute() and ".." not in word:
                Path(word).parent.mkdir(parents=True, exist_ok=True)
                Path(word).touch()
        group = main.make_context("playground", [name])  # click keeps a command's first help option for good
        command = main.get_command(group, name)
        assert command is not None, f"{page}: {line}"
        try:
            command.make_context(name, rest, parent=group)
        except click.UsageError as error:
            pytest.fail(f"{page}: {line}: {error.format_message()}")
        checked += 1
    assert checked > 5
