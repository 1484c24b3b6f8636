"""Features that are JSON already: who only writes them never takes them apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import orjson

Feature = dict[str, Any]
BEFORE_GEOMETRY = b'{"type":"Feature","geometry":'
BEFORE_PROPERTIES = b',"properties":'
FEATURE = BEFORE_GEOMETRY + b"%b" + BEFORE_PROPERTIES + b'%b,"id":"%b"}'
"""A feature of its geometry, its properties and an id that needs no escapes."""
SEPARATOR = b",\n"
"""Between two features; JSON as we write it has no line feed in it."""


class Features(Sequence[Feature]):
    """Features of which each is read when it is asked for.

    Args:
        blocks: GeoJSON of one feature each, or of several with SEPARATOR between them.
        count: of all features.
    """

    __slots__ = ("_count", "_texts", "blocks")

    def __init__(self, blocks: list[bytes], count: int | None = None) -> None:
        self.blocks = blocks
        self._count = sum(block.count(SEPARATOR) for block in blocks) + len(blocks) if count is None else count
        self._texts: list[bytes] | None = blocks if self._count == len(blocks) else None

    @property
    def texts(self) -> list[bytes]:
        """Each feature as GeoJSON."""
        if self._texts is None:
            self._texts = SEPARATOR.join(self.blocks).split(SEPARATOR)
        return self._texts

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Feature: ...

    @overload
    def __getitem__(self, place: slice) -> Features: ...

    def __getitem__(self, place: int | slice) -> Feature | Features:
        if isinstance(place, slice):
            return Features(self.texts[place])
        feature: Feature = orjson.loads(self.texts[place])
        return feature

    def __iter__(self) -> Iterator[Feature]:
        return map(orjson.loads, self.texts)


def blocks_of(features: Iterable[Feature]) -> list[bytes]:
    """Features as GeoJSON, SEPARATOR between those of a block; their coordinates may be numpy arrays."""
    if isinstance(features, Features):
        return features.blocks
    return [orjson.dumps(feature, option=orjson.OPT_SERIALIZE_NUMPY) for feature in features]
