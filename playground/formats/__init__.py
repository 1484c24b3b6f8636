"""Output formats, one file each: writers that take features a few at a time, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from playground import registry

FORMATS = {
    "geojson": "playground.formats.geojson:GeoJSONWriter",
    "geojsonseq": "playground.formats.geojsonseq:GeoJSONSeqWriter",
    "flatgeobuf": "playground.formats.flatgeobuf:FlatGeobufWriter",
    "geoparquet": "playground.formats.geoparquet:GeoParquetWriter",
    "csv": "playground.formats.csv:CSVWriter",
}
"""Name to writer."""


class Writer(Protocol):
    """Writes features to a binary stream, which stays open; ``with`` finishes what it wrote unless an error ends it."""

    media_type: str
    extension: str

    def __init__(self, stream: BinaryIO) -> None: ...

    def __enter__(self) -> Writer: ...

    def write(self, features: Iterable[dict[str, Any]]) -> None:
        """Write features; their coordinates may be numpy arrays."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def writer_class(name: str) -> type[Writer]:
    """The writer of a format in FORMATS."""
    found: type[Writer] = registry.load(FORMATS[name])
    return found
