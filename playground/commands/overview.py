"""The picture of a run: opened before it, so that a mistake is told at once; drawn while it goes."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playground.area.running import AreaRun
from playground.fetching.policy import FetchPolicy
from playground.settings import RunningSettings, load_running
from playground.sources import open_source

NOWHERE = {"PREDICTOR_PACKAGE": "none", "PREDICTOR_CLASS": "Nothing", "ZOOM_LEVEL": "0"}
"""Credentials and allowed hosts are the running service's settings, which name a predictor, too."""


class Overview:
    """Draws a run.

    Args:
        path: the PNG.
        run: that is about to begin.
        tiles: source of the imagery; None for none.
        settings: say how it is fetched; None for what the environment says.

    Raises:
        SourceSettingsError: there is no such source.
    """

    def __init__(self, path: Path, run: AreaRun, tiles: str | None, settings: RunningSettings | None) -> None:
        from playground.area.picture import Picture  # noqa: PLC0415 - only for those who draw

        self._path = path
        self._run = run
        settings = settings or load_running(None, {**NOWHERE, **os.environ})
        self._source = open_source(tiles, FetchPolicy.of(settings)) if tiles else None
        self._picture = Picture.of_area(run.plan.area, run.plan.zoom)

    def write(self, features: Iterable[dict[str, Any]]) -> None:
        self._picture.write(features)

    def save(self) -> None:
        """Write it, with what became of the tiles.

        Raises:
            RunError: it cannot be written.
        """
        from playground.area.page import Words  # noqa: PLC0415 - as above

        run = self._run
        about = run.plan.about
        report = run.report
        predictor = str(about.get("predictor") or about.get("service") or "")
        info = self._source.info() if self._source else None
        words = Words(
            title=predictor.rpartition(":")[2].rpartition(".")[2] or predictor,
            subtitle=f"{predictor}, zoom {run.plan.zoom}",
            figures=[
                (f"{report.asked:,}", "tiles"),
                (f"{report.features:,}", "objects"),
                (f"{report.joined:,}", "of them over several tiles"),
            ],
            attribution=f"Imagery: {plain(info.attribution)}" if info and info.attribution else "",
            holes=self._picture.mark_holes(run.holes()),
        )
        self._picture.save(self._path, words, self._source)
        if self._source is not None:
            self._source.close()


def plain(text: str) -> str:
    """An attribution without its links."""
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()
