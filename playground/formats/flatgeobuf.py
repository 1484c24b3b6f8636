"""FlatGeobuf: one binary file with a spatial index, which GIS programs read in parts, over HTTP too."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from playground.errors import FormatError
from playground.formats.arrow import GEOMETRY, reader_of
from playground.formats.columns import Spool

try:
    import pyogrio
except ImportError as error:
    raise FormatError(
        "FlatGeobuf needs a package that is not installed (pyogrio)", "pip install 'tile-playground[area]'"
    ) from error


class FlatGeobufWriter:
    """Written when the ``with`` block ends: the index comes before the features. Lists become JSON texts.

    A feature without a geometry costs the file its index: the format has no place for such a one in it.
    """

    media_type = "application/vnd.flatgeobuf"
    extension = ".fgb"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._spool = Spool(lists=False)

    def __enter__(self) -> FlatGeobufWriter:
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
        types = self._spool.geometry_types
        only = next(iter(types)) if len(types) == 1 else ""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "features.fgb"
            try:
                pyogrio.write_arrow(
                    reader_of(self._spool),
                    path,
                    layer="features",
                    driver="FlatGeobuf",
                    geometry_name=GEOMETRY,
                    geometry_type=only or "Unknown",
                    crs="EPSG:4326",
                    SPATIAL_INDEX="NO" if "" in types else "YES",
                )
            except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
                raise FormatError(f"FlatGeobuf cannot be written: {error}") from error
            with path.open("rb") as file:
                shutil.copyfileobj(file, self._stream, 2**20)
