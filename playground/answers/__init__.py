"""Answers: what a predictor gave, as GeoJSON (RFC 7946) that any client can trust, with an audit of what was mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from playground.answers.audit import add_reports
from playground.answers.frame import Frame
from playground.answers.images import BLOCK, place_all
from playground.answers.options import Options
from playground.answers.placed import Placed, collected, place, place_again, placed_of
from playground.answers.shapes import layers_of_shapes

__all__ = [
    "Answer",
    "Frame",
    "Options",
    "Placed",
    "collected",
    "layers_of_shapes",
    "normalize",
    "normalize_all",
    "place_again",
    "place_all",
    "placed_of",
]

DEFAULT = Options()


@dataclass(frozen=True, slots=True)
class Answer:
    """The objects found in one image.

    Args:
        texts: the features, each as GeoJSON.
        report: features_in, features_out, and how many features were ``repairs`` and ``dropped``, by kind.
    """

    texts: list[bytes]
    report: dict[str, Any]

    def dumps(self) -> bytes:
        """The FeatureCollection as JSON."""
        return b'{"type":"FeatureCollection","features":[' + b",".join(self.texts) + b"]}"

    def features(self) -> list[dict[str, Any]]:
        """The features, made of plain dicts, lists and numbers."""
        found: list[dict[str, Any]] = orjson.loads(b"[" + b",".join(self.texts) + b"]")
        return found

    @property
    def collection(self) -> dict[str, Any]:
        """The FeatureCollection, made of plain dicts, lists and numbers."""
        return {"type": "FeatureCollection", "features": self.features()}


def normalize(features: Sequence[Any], frame: Frame, options: Options = DEFAULT) -> Answer:
    """The answer that a predictor's features make.

    Args:
        features: GeoJSON features as the predictor gave them, in pixels of the padded image; anything may be wrong
            with them, and numpy arrays may stand for lists.
        frame: where those pixels lie.
        options: what the configuration asks for.

    Returns:
        Valid, counterclockwise, rounded features: in degrees and cut at the antimeridian, or in pixels if the frame
        has no tile. Each has ``category``, ``categories``, ``confidence`` and ``score``.
    """
    if not len(features):
        return Answer([], {"features_in": 0, "features_out": 0, "repairs": {}, "dropped": {}})
    if len(features) <= BLOCK:
        return _normalize(features, frame, options)
    blocks = [_normalize(features[first : first + BLOCK], frame, options) for first in range(0, len(features), BLOCK)]
    return Answer(
        list(chain.from_iterable(block.texts for block in blocks)), add_reports(block.report for block in blocks)
    )


def normalize_all(images: Sequence[Sequence[Any]], frame: Frame, options: Options = DEFAULT) -> list[Answer]:
    """The answers that the features of several images make, each as ``normalize`` gives it, for less together.

    Args:
        images: the features of each.
        frame: where the pixels of every one of them lie.
        options: what the configuration asks for.
    """
    found = place_all(images, frame, options)
    texts = found.placed.texts()
    return [
        Answer(texts[start:end], report)
        for report, start, end in zip(found.reports, [0, *found.ends], found.ends, strict=False)
    ]


def _normalize(features: Sequence[Any], frame: Frame, options: Options) -> Answer:
    placed, audit = place(features, frame, options)
    return Answer(placed.texts(), audit.report(len(features), placed.kept.tolist()))
