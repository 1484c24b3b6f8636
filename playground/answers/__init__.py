"""Answers: what a predictor gave, as GeoJSON (RFC 7946) that any client can trust, with an audit of what was mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from playground.answers.audit import Audit
from playground.answers.frame import Frame
from playground.answers.lines import place_lines, place_points
from playground.answers.paths import clean_paths
from playground.answers.polygons import place_polygons
from playground.answers.properties import read_properties
from playground.answers.read import read_table
from playground.answers.table import LINES, POINTS, POLYGONS
from playground.answers.values import plain_value

__all__ = ["Answer", "Frame", "normalize"]

MEMBERS = frozenset(("type", "geometry", "properties"))
STAGES = ((POLYGONS, place_polygons), (LINES, place_lines), (POINTS, place_points))


@dataclass(frozen=True, slots=True)
class Answer:
    """The objects found in one image.

    Args:
        collection: a FeatureCollection; the coordinates of its paths are numpy views of one table, which orjson
            writes with OPT_SERIALIZE_NUMPY. ``features`` gives plain lists.
        report: features_in, features_out, and how many features were ``repairs`` and ``dropped``, by kind.
    """

    collection: dict[str, Any]
    report: dict[str, Any]

    def features(self) -> list[dict[str, Any]]:
        """The features, made of plain dicts, lists and numbers."""
        return [{**feature, "geometry": _plain(feature["geometry"])} for feature in self.collection["features"]]

    def dumps(self) -> bytes:
        """The FeatureCollection as JSON."""
        return orjson.dumps(self.collection, option=orjson.OPT_SERIALIZE_NUMPY)


def normalize(features: Sequence[Any], frame: Frame) -> Answer:
    """The answer that a predictor's features make.

    Args:
        features: GeoJSON features as the predictor gave them, in pixels of the padded image; anything may be wrong
            with them, and numpy arrays may stand for lists.
        frame: where those pixels lie.

    Returns:
        Valid, counterclockwise, rounded features: in degrees and cut at the antimeridian, or in pixels if the frame
        has no tile. Each has ``category``, ``categories``, ``confidence`` and ``score``.
    """
    if not len(features):
        report = {"features_in": 0, "features_out": 0, "repairs": {}, "dropped": {}}
        return Answer({"type": "FeatureCollection", "features": []}, report)
    audit = Audit()
    table, collections = read_table(features, audit)
    table = clean_paths(table, frame, audit)
    geometries: list[dict[str, Any] | None] = [None] * len(table)
    present = set(table.kinds)
    for kinds, place in STAGES:
        if present.isdisjoint(kinds):
            continue
        mask = np.array([kind in kinds for kind in table.kinds], dtype=bool)
        for index, geometry in zip(np.flatnonzero(mask).tolist(), place(table.take(mask), frame, audit), strict=True):
            geometries[index] = geometry
    found: dict[int, dict[str, Any]] = {}
    for owner, geometry in zip(table.owners.tolist(), geometries, strict=True):
        if geometry is None:
            continue
        if owner in collections:
            found.setdefault(owner, {"type": "GeometryCollection", "geometries": []})["geometries"].append(geometry)
        else:
            found[owner] = geometry
    made = [_feature(features[owner], owner, geometry, audit) for owner, geometry in found.items()]
    return Answer({"type": "FeatureCollection", "features": made}, audit.report(len(features), found))


def _feature(given: dict[str, Any], owner: int, geometry: dict[str, Any], audit: Audit) -> dict[str, Any]:
    properties = read_properties(given.get("properties"), owner, audit)
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    if not MEMBERS.issuperset(given):
        found: set[str] = set()
        name = plain_value(given.get("id"), found)
        if type(name) in (str, int, float):
            feature["id"] = name
        if len(given.keys() - MEMBERS) > ("id" in feature):
            found.add("members_dropped")
        for repair in found:
            audit.repair(repair, (owner,))
    return feature


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(inside) for key, inside in value.items()}
    return [_plain(inside) for inside in value] if isinstance(value, list) else value
