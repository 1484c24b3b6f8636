"""Take the pictures of the pages for the documentation: `make screenshots`. They go to docs/images."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from pages import DESKTOP, PHONE, opened, start_water
from playwright.sync_api import sync_playwright
from service import ROOT

IMAGES = ROOT / "docs" / "images"
BLACK_SEA = """() => {
  const holds = ({ layer }) => layer.getBounds().contains([43.4, 34]) && layer.getBounds().getWest() > 20;
  app.results.choose(app.results.entries.find(holds));
}"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Serve the example, open its pages, and write what they look like."""
    with tempfile.TemporaryDirectory() as folder:
        service = start_water(Path(folder) / "log", DEVELOPER_LOG="true")
        try:
            with sync_playwright() as playwright:
                path = next(filter(None, map(shutil.which, BROWSERS)), None)
                browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                take_all(browser, service.url)
                browser.close()
        finally:
            service.stop()


def take_all(browser: Any, url: str) -> None:
    with opened(browser, f"{url}/#6/45/7?tile=5/16/11", color_scheme="light") as page:
        page.locator("#count", has_text="objects").wait_for()
        page.mouse.move(470, 380)
        take(page, "map-tile.jpg")
    with opened(browser, f"{url}/#4/50/13?area=-22,35,45,69", color_scheme="dark") as page:
        page.locator("#start").click()
        page.locator("#answer h3", has_text="All tiles").wait_for()
        page.evaluate(BLACK_SEA)
        take(page, "map-area.jpg")
    with opened(browser, f"{url}/#5/43.5/9?tile=5/16/11", PHONE, color_scheme="dark", device_scale_factor=2) as page:
        page.locator("#count", has_text="objects").wait_for()
        take(page, "map-phone.jpg")
    with opened(browser, f"{url}/developer", DESKTOP | {"height": 640}, color_scheme="light") as page:
        page.locator("#requests tbody tr").nth(5).wait_for()
        take(page, "developer.jpg")


def take(page: Any, name: str) -> None:
    """Write what is seen, once it has come to rest."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(700)  # tiles and zoom fade in
    page.screenshot(path=IMAGES / name, type="jpeg", quality=80)


if __name__ == "__main__":
    main()
