"""The shapes that the predictor gives, before the service mends them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import numpy as np

from playground.acceptance.bench import Bench
from playground.acceptance.masks import paths_of
from playground.acceptance.model import Check, Verdict, failed, passed, skipped

NOTHING = "nothing was found in any image: give --scene or --tiles with something that it finds"
TOLERANCE = 1.0
"""Pixels that a coordinate may lie outside the image: rounding, and half a pixel of the other convention."""


def by_kind(kinds: dict[str, str]) -> Callable[[Bench], Verdict]:
    """A check that no answer needed one of these repairs, or lost features for one of these reasons: kind -> words."""

    def run(bench: Bench) -> Verdict:
        total, features, where = Counter[str](), 0, ""
        for name, seen in bench.observations().items():
            features += len(seen.features)
            counts = {**seen.report.get("repairs", {}), **seen.report.get("dropped", {})}
            found = {kind: count for kind, count in counts.items() if kind in kinds}
            if found:
                total.update(found)
                where = where or name
        if total:
            told = ", ".join(f"{count} {kinds[kind]}" for kind, count in sorted(total.items()))
            return failed(f"{told}; first in {where}")
        return passed(f"{features} features") if features else skipped(NOTHING)

    return run


READABLE = Check(
    "must",
    by_kind(
        {
            "not_a_feature": "that are no features",
            "no_geometry": "without a geometry",
            "unreadable": "that cannot be read",
            "empty": "without coordinates",
            "numbers_parsed": "with text for numbers",
        }
    ),
    "every feature is one, with coordinates that are numbers",
    "what cannot be read is dropped: the object was found, and nobody will know",
    "give add_result(category, [(x, y), …], confidence), or GeoJSON features",
)

FINITE = Check(
    "must",
    by_kind({"not_finite": "with NaN or infinite coordinates"}),
    "every coordinate is a finite number",
    "NaN and infinity are no JSON; features with them are dropped",
    "find the division by zero or the empty mean, and leave such objects out",
)

VALID_POLYGONS = Check(
    "should",
    by_kind(
        {
            "made_valid": "that cross themselves",
            "unmendable": "that cannot be mended",
            "degenerate": "without an area",
        }
    ),
    "every polygon is valid: it does not cross itself, and has an area",
    "the service mends what it can, but a bow tie mended is not the shape that you meant; lines are dropped",
    "go round the outline in order; shapely.is_valid tells, cv2.approxPolyDP and simplification may break shapes",
)

CLOSED_RINGS = Check(
    "good",
    by_kind({"ring_closed": "whose ring is not closed"}),
    "the last position of each ring is its first",
    "GeoJSON wants it so; the service closes rings, other readers of your output may not",
    "add the first position at the end",
)


def _inside_image(bench: Bench) -> Verdict:
    worst, where, features, outside = 0.0, "", 0, 0
    for name, seen in bench.observations().items():
        height, width = bench.shape_of(name)
        for feature in seen.features:
            geometry = feature.get("geometry") if isinstance(feature, dict) else None
            features += 1
            distance = 0.0
            for _, coords in paths_of(geometry):
                finite = coords[np.isfinite(coords).all(axis=1)]
                if len(finite):
                    beyond = np.maximum(-finite, finite - (width, height))
                    distance = max(distance, float(beyond.max()))
            outside += distance > TOLERANCE
            if distance > max(worst, TOLERANCE):
                worst, where = distance, name
    if where:
        return failed(f"{outside} of {features} features, up to {worst:.0f} pixels outside; worst in {where}")
    return passed(f"{features} features") if features else skipped(NOTHING)


INSIDE_IMAGE = Check(
    "should",
    _inside_image,
    "coordinates lie within the padded image",
    "nothing can be seen there; mostly it is a scale, an offset or an axis that is wrong, and far away it is dropped",
    "clip boxes to 0..width and 0..height; if the model works at another size, scale its output back",
)


def _duplicates(bench: Bench) -> Verdict:
    for name, seen in bench.observations().items():
        shapes = Counter(
            json.dumps([feature.get("geometry"), (feature.get("properties") or {}).get("category")], sort_keys=True)
            for feature in seen.features
            if isinstance(feature, dict)
        )
        twice = sum(count - 1 for count in shapes.values())
        if twice:
            return failed(f"{twice} of {len(seen.features)} features in {name} are there twice")
    return passed() if any(seen.features for seen in bench.observations().values()) else skipped(NOTHING)


DUPLICATES = Check(
    "should",
    _duplicates,
    "no object is there twice, with the same shape and category",
    "clients count what they get",
    "suppress what overlaps (non-maximum suppression), and look whether results are kept between calls",
)

CATEGORY = Check(
    "must",
    by_kind(
        {
            "category_missing": "without a category",
            "category_to_text": "whose category is no text",
            "properties_unreadable": "with properties that are no object",
        }
    ),
    "every feature has a category, and it is a text",
    "clients choose by category; the class number of a network is not a name that they know",
    "give the name of the class: add_result('ship', …), not add_result(3, …)",
)

CONFIDENCE = Check(
    "must",
    by_kind(
        {
            "confidence_not_finite": "with a confidence of NaN or infinity",
            "confidence_clipped": "with a confidence outside 0..1",
            "confidence_unreadable": "with a confidence that is no number",
            "confidence_parsed": "with a confidence as text",
            "score_replaced": "with a score that contradicts the confidence",
        }
    ),
    "every confidence is a number from 0 to 1",
    "clients sort and cut by it; what is outside is clipped, and NaN becomes 0: the object seems worthless",
    "divide percents by 100, put logits through a sigmoid or softmax, and mind empty means",
)
