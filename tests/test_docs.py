"""The documentation holds what the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.commands import COMMANDS
from playground.settings import RunningSettings, ServiceSettings, docs_table
from playground.sources import SOURCES

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Settings

Those of a partner's service.yaml, then those that only the running service has. Each is also an environment variable of
the running service, in capitals; the environment wins. Written from the code: `make test PYTEST_ARGS=--update-golden`.
"""


def table(rows: list[tuple[str, str, str, str]]) -> str:
    lines = [f"| `{key}` | {allowed} | {default} | {words} |" for key, allowed, default, words in rows]
    return "\n".join(["| setting | allowed | default | what |", "|---|---|---|---|", *lines])


def test_every_setting_is_in_its_table(request: pytest.FixtureRequest) -> None:
    partner = docs_table(ServiceSettings)
    known = {row[0] for row in partner}
    running = [row for row in docs_table(RunningSettings) if row[0] not in known]
    text = f"{HEAD}\n## service.yaml\n\n{table(partner)}\n\n## The running service only\n\n{table(running)}\n"
    path = DOCS / "settings.md"
    if request.config.getoption("--update-golden"):
        path.write_text(text)
    assert path.read_text() == text, "make test PYTEST_ARGS=--update-golden, read the diff, commit it"


def test_every_kind_of_source_has_its_section() -> None:
    text = (DOCS / "sources.md").read_text().lower()
    for kind, words in {**dict.fromkeys(SOURCES, ""), "raster": "rasters", "directory": "directories"}.items():
        assert f"\n## {words or kind}" in text


def test_every_command_is_spoken_of() -> None:
    text = "".join(path.read_text() for path in [DOCS.parent / "README.md", *DOCS.glob("*.md")])
    for name in COMMANDS:
        assert f"playground {name}" in text or f"make {name}" in text


def test_every_page_that_is_linked_is_there() -> None:
    import re

    for page in [DOCS.parent / "README.md", *DOCS.glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
