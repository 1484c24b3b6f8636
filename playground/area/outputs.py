"""Files of results: the format from the suffix, several at once, each there only when it is whole."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from playground.errors import RunError
from playground.formats import FORMATS, Writer, writer_class
from playground.formats.features import Feature

SUFFIXES = {
    ".json": "geojson",
    ".geojsonl": "geojsonseq",
    ".geojsons": "geojsonseq",
    ".fgb": "flatgeobuf",
    ".parquet": "geoparquet",
}
"""Suffixes that are not a format's name."""
STDOUT = "-"


def format_of(path: str) -> str:
    """The name of the format that a file name asks for.

    Raises:
        RunError: none that is known.
    """
    suffix = Path(path).suffix.lower()
    name = "geojson" if path == STDOUT else SUFFIXES.get(suffix, suffix.removeprefix("."))
    if name not in FORMATS:
        known = [f".{name}" for name in FORMATS] + [suffix for suffix, name in SUFFIXES.items() if name in FORMATS]
        raise RunError(
            f"{path}: the format {suffix or 'without a suffix'} is not known", f"known are {', '.join(known)}"
        )
    return name


def write(batches: Iterable[Iterable[Feature]], paths: Sequence[str]) -> None:
    """Write features to files; ``-`` is GeoJSON on stdout.

    Raises:
        RunError: a file cannot be written. Files of that name stay as they were until all of them are whole.
    """
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(_open(path)) for path in paths]
        for batch in batches:
            for writer in writers:
                _try(writer, batch)


def _try(writer: Writer, batch: Iterable[Feature]) -> None:
    try:
        writer.write(batch)
    except OSError as error:
        raise _unwritable("the output", error) from error


@contextlib.contextmanager
def _open(path: str) -> Iterator[Writer]:
    make = writer_class(format_of(path))
    if path == STDOUT:
        with make(cast("BinaryIO", sys.stdout.buffer)) as writer:
            yield writer
        sys.stdout.flush()
        return
    part = Path(f"{path}.part")
    try:
        with part.open("wb") as stream, make(stream) as writer:
            yield writer
        part.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        part.unlink(missing_ok=True)


def _unwritable(name: str, error: OSError) -> RunError:
    return RunError(
        f"{name} cannot be written: {error.strerror or error}",
        "make room or name another place, then run the same command with --resume: what is done is kept",
    )
