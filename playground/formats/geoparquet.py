"""GeoParquet 1.1: columns, compressed, for data frames and databases."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, BinaryIO

import orjson
import pyarrow.parquet as pq

from playground.formats.arrow import GEOMETRY, record_batches, schema_of
from playground.formats.columns import Spool


class GeoParquetWriter:
    """Written when the ``with`` block ends: only then are the columns known. Geometry is WKB in lon/lat (OGC:CRS84)."""

    media_type = "application/vnd.apache.parquet"
    extension = ".parquet"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._spool = Spool()

    def __enter__(self) -> GeoParquetWriter:
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
        column: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(self._spool.geometry_types - {""})}
        if (bounds := self._spool.bounds()) is not None:
            column["bbox"] = bounds
        geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
        schema = schema_of(self._spool, {"geo": orjson.dumps(geo).decode()})
        with pq.ParquetWriter(self._stream, schema, compression="zstd") as writer:
            for batch in record_batches(self._spool, schema):
                writer.write_batch(batch)
