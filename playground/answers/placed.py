"""Answers as numbers, before they are written: what texts and whatever else is made of them begin with."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from playground.answers.audit import Audit
from playground.answers.frame import Frame
from playground.answers.lines import place_lines, place_points
from playground.answers.options import Options
from playground.answers.paths import clean_paths
from playground.answers.polygons import place_polygons
from playground.answers.properties import describe
from playground.answers.read import read_table
from playground.answers.reshape import RING, reshape
from playground.answers.table import LINES, POINTS, POLYGONS, IntArray, Layer, Table
from playground.answers.text import layer_texts
from playground.answers.values import plain_value
from playground.geo import FloatArray

MEMBERS = frozenset(("type", "geometry", "properties"))
FEATURE = b'{"type":"Feature","geometry":%b,"properties":%b}'
COLLECTION = b'{"type":"GeometryCollection","geometries":[%b]}'
Stage = Callable[[Table, Frame, Audit, "IntArray | None"], "list[Layer]"]
STAGES: tuple[tuple[tuple[str, ...], Stage], ...] = (
    (POLYGONS, place_polygons),
    (LINES, place_lines),
    (POINTS, place_points),
)


@dataclass
class Placed:
    """Features of answers.

    Args:
        layers: their geometries, valid, wound and rounded, each layer of one family.
        owners: by place, the feature that a geometry belongs to, in order; also of those that no layer has any more.
        collections: features whose geometries are members of a GeometryCollection.
        properties: of each feature given, as JSON.
        confidences: of each feature given, 0 to 1.
        names: ids of features, as JSON.
        kept: features given of which something is left, in order.
    """

    layers: list[Layer]
    owners: IntArray
    collections: set[int]
    properties: list[bytes]
    confidences: FloatArray
    names: dict[int, bytes]
    kept: IntArray

    def texts(self) -> list[bytes]:
        """The features that are left as GeoJSON."""
        geometries: Iterable[bytes | None] = layer_texts(self.layers, len(self.owners))
        if self.collections:
            geometries = collected(self.owners.tolist(), geometries, self.collections).values()
        elif len(self.kept) < len(self.owners):
            geometries = [geometry for geometry in geometries if geometry is not None]
        properties = self.properties
        if len(self.kept) < len(properties):
            properties = [properties[owner] for owner in self.kept.tolist()]
        made = list(map(FEATURE.__mod__, zip(geometries, properties, strict=True)))
        if self.names:
            for place, owner in enumerate(self.kept.tolist()):
                if owner in self.names:
                    made[place] = b'%b,"id":%b}' % (made[place][:-1], self.names[owner])
        return made


def place(
    features: Sequence[Any], frame: Frame, options: Options, teams: IntArray | None = None
) -> tuple[Placed, Audit]:
    """The features that a predictor gave where they lie, by all the rules of an answer.

    Args:
        features: as ``normalize`` takes them.
        frame: where their pixels lie.
        options: what the configuration asks for.
        teams: of each feature, the image that it is of; None for one image.

    Returns:
        What became of them, and what was done to them.
    """
    audit = Audit()
    table, collections = read_table(features, audit)
    described = describe(features, options.class_names, audit)
    if options.least_confidence:
        sure = described.confidences >= options.least_confidence
        audit.lose("below_confidence", np.flatnonzero(~sure).tolist())
        table = table.take(sure[table.owners])
    table = clean_paths(table, frame, audit, least_ring=1 if options.pixel_convention == "index" else RING)
    owners = table.owners
    layers = list(_layers(table, frame, options, audit, teams))
    if not collections and len(layers) == 1 and len(layers[0].places) == len(owners) == len(features):
        kept = owners
    else:
        left = np.zeros(len(features), dtype=bool)
        for layer in layers:
            left[owners[layer.places]] = True
        kept = np.flatnonzero(left)
    names = _names(features, kept, audit)
    return Placed(layers, owners, collections, described.texts, described.confidences, names, kept), audit


def placed_of(features: Sequence[dict[str, Any]]) -> Placed:
    """Features of answers, as ``normalize`` gave them, before they were written."""
    table, collections = read_table(features, Audit())
    layers = []
    for kinds, _ in _stages(table.kinds):
        mask = table.are(kinds)
        layers.append(Layer(table.take(mask), np.flatnonzero(mask)))
    told = [feature["properties"] for feature in features]
    return Placed(
        layers,
        table.owners,
        collections,
        list(map(orjson.dumps, told)),
        np.array([properties["confidence"] for properties in told], dtype=np.float64),
        {owner: orjson.dumps(feature["id"]) for owner, feature in enumerate(features) if "id" in feature},
        np.arange(len(features)),
    )


def joined(parts: Sequence[Placed]) -> Placed:
    """All of them as one, one behind the other."""
    nothing = np.empty(0, np.int64)
    whole = Placed([], nothing, set(), [], np.empty(0), {}, nothing)
    owners, kept, confidences, count = [nothing], [nothing], [np.empty(0)], 0
    for part in parts:
        first = len(whole.properties)
        whole.layers += [Layer(layer.table, layer.places + count) for layer in part.layers]
        whole.collections |= {owner + first for owner in part.collections}
        whole.names.update((owner + first, name) for owner, name in part.names.items())
        whole.properties += part.properties
        owners.append(part.owners + first)
        kept.append(part.kept + first)
        confidences.append(part.confidences)
        count += len(part.owners)
    whole.owners, whole.kept = np.concatenate(owners), np.concatenate(kept)
    whole.confidences = np.concatenate(confidences)
    return whole


def place_again(layers: Iterable[Layer], frame: Frame, count: int) -> list[bytes | None]:
    """GeoJSON geometries in another frame, by their places among ``count``; None of those of which nothing is left.

    Args:
        layers: geometries as ``place`` gives them, in pixels of that frame; what becomes of each hangs on it alone.
        frame: where those pixels lie.
    """
    found = []
    for table, places in layers:
        if not len(table):
            continue
        ((_, stage),) = _stages(table.kinds)
        alone = Table(table.kinds, places, table.parts, table.paths, table.positions, table.coords)
        for again in stage(alone, frame, Audit(), np.arange(count)):
            found.append(Layer(again.table, places[again.places]))
    return layer_texts(found, count)


def collected(
    owners: Iterable[int], geometries: Iterable[bytes | None], collections: Container[int]
) -> dict[int, bytes]:
    """Geometries by their features, members of GeometryCollections together again.

    Args:
        owners: by place, the feature of each geometry.
        geometries: by place; None where nothing is left.
        collections: features whose geometries are members of one.
    """
    members: dict[int, list[bytes]] = {}
    for owner, geometry in zip(owners, geometries, strict=True):
        if geometry is not None:
            members.setdefault(owner, []).append(geometry)
    return {
        owner: COLLECTION % b",".join(inside) if owner in collections else inside[0]
        for owner, inside in members.items()
    }


def _layers(table: Table, frame: Frame, options: Options, audit: Audit, teams: IntArray | None) -> Iterator[Layer]:
    for kinds, stage in _stages(table.kinds):
        mask = table.are(kinds)
        part, places = table.take(mask), np.flatnonzero(mask)
        if options.reshape:
            part, left = reshape(part, frame, options, audit, teams)
            places = places[left]
        if len(part):
            for layer in stage(part, frame, audit, teams):
                yield Layer(layer.table, places[layer.places])


def _stages(kinds: Iterable[str]) -> list[tuple[tuple[str, ...], Stage]]:
    """The families that there are, and what places them."""
    present = set(kinds)
    return [(family, stage) for family, stage in STAGES if not present.isdisjoint(family)]


def _names(features: Sequence[Any], kept: IntArray, audit: Audit) -> dict[int, bytes]:
    """The ids of features; members that an answer cannot keep are counted."""
    names: dict[int, bytes] = {}
    left = features if len(kept) == len(features) else [features[owner] for owner in kept.tolist()]
    if all(map(MEMBERS.issuperset, set(map(tuple, left)))):
        return names
    for owner, given in zip(kept.tolist(), left, strict=True):
        if MEMBERS.issuperset(given):
            continue
        found: set[str] = set()
        name = plain_value(given.get("id"), found)
        has_id = type(name) in (str, int, float)
        if has_id:
            names[owner] = orjson.dumps(name)
        if len(given.keys() - MEMBERS) > has_id:
            found.add("members_dropped")
        for repair in found:
            audit.repair(repair, (owner,))
    return names
