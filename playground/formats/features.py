"""Features that are JSON already: who only writes them never takes them apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import orjson

Feature = dict[str, Any]


class Features(Sequence[Feature]):
    """Features of which each is read when it is asked for.

    Args:
        texts: the features, each as GeoJSON.
    """

    __slots__ = ("texts",)

    def __init__(self, texts: list[bytes]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

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


def texts_of(features: Iterable[Feature]) -> list[bytes]:
    """The features, each as GeoJSON; their coordinates may be numpy arrays."""
    if isinstance(features, Features):
        return features.texts
    return [orjson.dumps(feature, option=orjson.OPT_SERIALIZE_NUMPY) for feature in features]
