"""CSV of points: each feature's representative point and its properties, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import orjson
import shapely

from playground.formats.columns import Spool


class CSVWriter:
    """``lon, lat`` of a point inside each feature (empty for none), then its properties; lists are JSON.

    Written when the ``with`` block ends: only then are the columns known.
    """

    media_type = "text/csv"
    extension = ".csv"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._spool = Spool()

    def __enter__(self) -> CSVWriter:
        return self

    def write(self, features: Iterable[dict[str, Any]]) -> None:
        self._spool.add(features)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._spool.close()

    def _finish(self) -> None:
        text = io.TextIOWrapper(self._stream, "utf-8", newline="", write_through=True)
        try:
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(["lon", "lat", *self._spool.columns()])
            for geometries, columns in self._spool.batches():
                points = shapely.point_on_surface(geometries)
                places = np.round(np.column_stack((shapely.get_x(points), shapely.get_y(points))), 8).tolist()
                for place, *values in zip(places, *columns.values(), strict=True):
                    rows.writerow([*map(_cell, place), *map(_cell, values)])
        finally:
            text.detach()  # the stream stays open


def _cell(value: Any) -> Any:
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - not a number: no point, no value
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"  # a spreadsheet would run it: https://owasp.org/www-community/attacks/CSV_Injection
    return orjson.dumps(value).decode() if isinstance(value, list) else value
