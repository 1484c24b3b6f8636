"""Answers: what a predictor gave, as GeoJSON (RFC 7946) that any client can trust, with an audit of what was mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import orjson

from playground.answers.audit import Audit, add_reports
from playground.answers.frame import Frame
from playground.answers.lines import place_lines, place_points
from playground.answers.options import Options
from playground.answers.paths import clean_paths
from playground.answers.polygons import place_polygons
from playground.answers.properties import describe
from playground.answers.read import read_table
from playground.answers.reshape import RING, reshape
from playground.answers.table import LINES, POINTS, POLYGONS, Table
from playground.answers.values import plain_value

__all__ = ["Answer", "Frame", "Options", "normalize"]

MEMBERS = frozenset(("type", "geometry", "properties"))
DEFAULT = Options()
BLOCK = 2048
"""Features at once, so that what is made of them stays in the processor's cache."""
FEATURE = b'{"type":"Feature","geometry":%b,"properties":%b}'
COLLECTION = b'{"type":"GeometryCollection","geometries":[%b]}'
STAGES = ((POLYGONS, place_polygons), (LINES, place_lines), (POINTS, place_points))


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


def _normalize(features: Sequence[Any], frame: Frame, options: Options) -> Answer:
    audit = Audit()
    table, collections = read_table(features, audit)
    described = describe(features, options.class_names, audit)
    if options.least_confidence:
        sure = described.confidences >= options.least_confidence
        audit.lose("below_confidence", np.flatnonzero(~sure).tolist())
        table = table.take(sure[table.owners])
    table = clean_paths(table, frame, audit, least_ring=1 if options.pixel_convention == "index" else RING)
    geometries = _geometries(table, frame, options, audit)
    owners = table.owners.tolist()
    if collections:
        owners, geometries = _collected(owners, geometries, collections)
    elif None in geometries:
        owners = [owner for owner, geometry in zip(owners, geometries, strict=True) if geometry is not None]
        geometries = [geometry for geometry in geometries if geometry is not None]
    texts = described.texts
    if len(owners) < len(features):
        texts = [texts[owner] for owner in owners]
    made = list(map(FEATURE.__mod__, zip(geometries, texts, strict=True)))
    _add_ids(made, owners, features, audit)
    return Answer(made, audit.report(len(features), owners))


def _geometries(table: Table, frame: Frame, options: Options, audit: Audit) -> list[bytes | None]:
    """The GeoJSON geometry of each row; None where nothing is left."""
    geometries: list[bytes | None] = [None] * len(table)
    present = set(table.kinds)
    for kinds, place in STAGES:
        if present.isdisjoint(kinds):
            continue
        mask = table.are(kinds)
        part, indices = table.take(mask), np.flatnonzero(mask)
        if options.reshape:
            part, left = reshape(part, frame, options, audit)
            indices = indices[left]
        if not len(part):
            continue
        placed = place(part, frame, audit)
        if len(placed) == len(geometries):
            return placed
        for index, geometry in zip(indices.tolist(), placed, strict=True):
            geometries[index] = geometry
    return geometries


def _collected(
    owners: list[int], geometries: list[bytes | None], collections: set[int]
) -> tuple[list[int], list[bytes | None]]:
    """(features, their geometries) with the members of GeometryCollections together again."""
    members: dict[int, list[bytes]] = {}
    for owner, geometry in zip(owners, geometries, strict=True):
        if geometry is not None:
            members.setdefault(owner, []).append(geometry)
    return list(members), [
        COLLECTION % b",".join(inside) if owner in collections else inside[0] for owner, inside in members.items()
    ]


def _add_ids(made: list[bytes], owners: list[int], features: Sequence[Any], audit: Audit) -> None:
    """Put the features' ids in; members that an answer cannot keep are counted."""
    kept = features if len(owners) == len(features) else [features[owner] for owner in owners]
    if all(map(MEMBERS.issuperset, set(map(tuple, kept)))):
        return
    for place, (owner, given) in enumerate(zip(owners, kept, strict=True)):
        if MEMBERS.issuperset(given):
            continue
        found: set[str] = set()
        name = plain_value(given.get("id"), found)
        has_id = type(name) in (str, int, float)
        if has_id:
            made[place] = b'%b,"id":%b}' % (made[place][:-1], orjson.dumps(name))
        if len(given.keys() - MEMBERS) > has_id:
            found.add("members_dropped")
        for repair in found:
            audit.repair(repair, (owner,))
