"""Columns as Arrow's, for FlatGeobuf and GeoParquet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import shapely

from playground.errors import FormatError
from playground.formats.columns import Spool

try:
    import pyarrow as pa
except ImportError as error:
    raise FormatError(
        f"this format needs packages that are not installed ({error.name})", "pip install 'tile-playground[area]'"
    ) from error

GEOMETRY = "geometry"
TYPES = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
}


def schema_of(spool: Spool, metadata: dict[str, str] | None = None) -> Any:
    """The Arrow schema: the properties, then the geometry as WKB."""
    fields = [pa.field(name, TYPES[kind]) for name, kind in spool.columns().items()]
    return pa.schema([*fields, pa.field(GEOMETRY, pa.binary())], metadata=metadata)


def record_batches(spool: Spool, schema: Any) -> Iterator[Any]:
    """The features as Arrow record batches, in order."""
    for geometries, columns in spool.batches():
        wkb = shapely.to_wkb(geometries, flavor="iso")
        arrays = [pa.array(values, schema.field(name).type) for name, values in columns.items()]
        yield pa.record_batch([*arrays, pa.array(wkb, pa.binary())], schema=schema)


def reader_of(spool: Spool) -> Any:
    """The features as an Arrow stream."""
    schema = schema_of(spool)
    return pa.RecordBatchReader.from_batches(schema, record_batches(spool, schema))
