"""The pages in a real Chromium, for tests and screenshots: the water demo, and pages that tell what goes wrong."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service import ROOT, RunningService, start_service

from playground.demo.imagery import blue_marble, cache_folder

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
EUROPE = "#4/46/8"
PROJECT = ROOT / "examples" / "water"


def start_water(log: Path, **environ: str) -> RunningService:
    """The detector of the example on the Blue Marble, as `make demo` has it, in this Python."""
    given = {
        "PREDICTOR_PACKAGE": "water.detector",
        "PREDICTOR_CLASS": "WaterDetector",
        "PREDICTOR_PYTHON": sys.executable,
        "WORKERS": "2",
        "ZOOM_LEVEL": "5",
        "PADDING": "24",
        "TILES": str(blue_marble(cache_folder())),
        "GAE_SERVICE": "water",
        "AUTH": "none",
        **environ,
    }
    found = start_service(given, PROJECT, log)
    assert found.wait_loaded()["status"] == "ready"
    return found


@contextlib.contextmanager
def opened(browser: Any, address: str, viewport: dict[str, int] = DESKTOP, **context: Any) -> Iterator[Any]:
    """A page; at its end nothing may have gone wrong that nobody meant: no script error, no refusal by the policy."""
    wrong: list[str] = []
    made = browser.new_context(viewport=viewport, **context)
    page = made.new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if is_wrong(message) else None)
    page.goto(address)
    try:
        yield page
    finally:
        made.close()
    assert wrong == []


def tell(words: str) -> None:
    """A measured figure, for who looks at the tests' output: `pytest -s`."""
    sys.stderr.write(f"{words}\n")


def is_wrong(message: Any) -> bool:
    """Whether a line of the console is no failed request, which pages tell in their own words."""
    return message.type in ("error", "warning") and "Failed to load resource" not in message.text


def in_words(page: Any, selector: str) -> str:
    """The text of what is shown there."""
    return " ".join(page.locator(selector).inner_text().split())
