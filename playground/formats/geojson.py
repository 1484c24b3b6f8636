"""GeoJSON: one FeatureCollection (RFC 7946), a feature a line."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, BinaryIO

from playground.formats.features import SEPARATOR, blocks_of


class GeoJSONWriter:
    """A FeatureCollection. It is complete only when the ``with`` block ends well, so that half a file never parses."""

    media_type = "application/geo+json"
    extension = ".geojson"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._separator = b"\n"

    def __enter__(self) -> GeoJSONWriter:
        self._stream.write(b'{"type":"FeatureCollection","features":[')
        return self

    def write(self, features: Iterable[dict[str, Any]]) -> None:
        if blocks := blocks_of(features):
            self._stream.write(self._separator)
            self._stream.write(SEPARATOR.join(blocks))
            self._separator = SEPARATOR

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._stream.write(b"\n]}\n")
