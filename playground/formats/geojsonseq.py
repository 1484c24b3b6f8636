"""GeoJSON text sequences (RFC 8142): each feature between a record separator and a line feed."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, BinaryIO

from playground.formats.features import SEPARATOR, blocks_of

RECORD_SEPARATOR = b"\x1e"


class GeoJSONSeqWriter:
    """A sequence of features, whole after each ``write``."""

    media_type = "application/geo+json-seq"
    extension = ".geojsons"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __enter__(self) -> GeoJSONSeqWriter:
        return self

    def write(self, features: Iterable[dict[str, Any]]) -> None:
        if blocks := blocks_of(features):
            between = b"\n" + RECORD_SEPARATOR
            self._stream.write(RECORD_SEPARATOR + between.join(blocks).replace(SEPARATOR, between) + b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is left to be written."""
