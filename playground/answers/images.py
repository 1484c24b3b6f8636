"""The features of many images at once: what each would give alone, for a fraction of what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from playground.answers.audit import add_reports
from playground.answers.frame import Frame
from playground.answers.options import Options
from playground.answers.placed import Placed, joined, place

BLOCK = 2048
"""Features at once, so that what is made of them stays in the processor's cache."""


@dataclass(frozen=True)
class Images:
    """Consecutive images.

    Args:
        placed: their features.
        reports: of each, as an Answer's.
        ends: by image, how many features are left of it and of those before.
    """

    placed: Placed
    reports: list[dict[str, Any]]
    ends: list[int]


def place_all(images: Sequence[Sequence[Any]], frame: Frame, options: Options) -> Images:
    """The features of several images where they lie, those of each as if there were no other image.

    Args:
        images: the features of each.
        frame: where the pixels of every one of them lie.
        options: what the configuration asks for.
    """
    parts: list[Placed] = []
    reports: list[dict[str, Any]] = []
    for together in _blocks(images):
        if len(together) == 1:
            blocks = _of_one(together[0], frame, options)
            reports.append(add_reports(report for _, report in blocks) if len(blocks) > 1 else blocks[0][1])
            parts += [placed for placed, _ in blocks]
            continue
        counts = [len(features) for features in together]
        teams = np.repeat(np.arange(len(counts)), counts)
        placed, audit = place(list(chain.from_iterable(together)), frame, options, teams)
        reports += audit.reports(counts, placed.kept)
        parts.append(placed)
    ends = np.cumsum([report["features_out"] for report in reports], dtype=np.int64).tolist()
    return Images(parts[0] if len(parts) == 1 else joined(parts), reports, ends)


def _blocks(images: Sequence[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Consecutive images, as many as are placed together."""
    block: list[Sequence[Any]] = []
    count = 0
    for features in images:
        if block and count + len(features) > BLOCK:
            yield block
            block, count = [], 0
        block.append(features)
        count += len(features)
    if block:
        yield block


def _of_one(features: Sequence[Any], frame: Frame, options: Options) -> list[tuple[Placed, dict[str, Any]]]:
    """The features of one image, some at a time, and the report of each time."""
    found = []
    for start in range(0, max(len(features), 1), BLOCK):
        some = features[start : start + BLOCK]
        placed, audit = place(some, frame, options)
        found.append((placed, audit.report(len(some), placed.kept.tolist())))
    return found
