"""Features one after the other: GeoJSON text sequences (RFC 8142), or the same without record separators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from playground.formats.geojsonseq import RECORD_SEPARATOR
from playground.serving.negotiation import GEOJSON_SEQ, NDJSON

SEQUENCES = (GEOJSON_SEQ, NDJSON)
AT_A_TIME = 1000
"""Features that are written together."""

Feature = dict[str, Any]


def dump(features: Iterable[Feature], media_type: str) -> bytes:
    """Features as lines of one of SEQUENCES."""
    separator = RECORD_SEPARATOR if media_type == GEOJSON_SEQ else b""
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return b"".join([separator + orjson.dumps(feature, option=option) for feature in features])


def dump_pieces(features: list[Feature], media_type: str) -> Iterator[bytes]:
    """The same, some at a time, for answers too large to be written at once."""
    for start in range(0, len(features), AT_A_TIME):
        yield dump(features[start : start + AT_A_TIME], media_type)
