"""What a predictor gave, read into a table: anything may come, and nothing is left out without a reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from playground.answers.audit import Audit
from playground.answers.table import PARTS, Table, table_of, table_of_polygons
from playground.packed import Coordinates, Polygons, gathered

BLOCK = 256
"""Geometries looked through number by number when one of them cannot be read at once."""
POSITION_DEPTH = 3

UNREADABLE = (TypeError, ValueError, OverflowError, KeyError, IndexError)


def read_table(features: Sequence[Any], audit: Audit) -> tuple[Table, set[int]]:
    """The geometries of features.

    Returns:
        The table, collections taken apart; and the features whose geometry is a GeometryCollection.
    """
    polygons = _polygons(features)
    if polygons is not None:
        return polygons, set()
    kinds: list[str] = []
    owners: list[int] = []
    shapes: list[Any] = []
    collections: set[int] = set()
    for owner, feature in enumerate(features):
        if not isinstance(feature, dict) or feature.get("type", "Feature") != "Feature":
            audit.lose("not_a_feature", [owner])
            continue
        geometry = feature.get("geometry")
        if geometry is None:
            audit.lose("no_geometry", [owner])
            continue
        for member in _members(geometry, owner, collections):
            try:
                kind = member["type"]
                coordinates = member["coordinates"]
                shape = PARTS[kind](coordinates.tolist() if isinstance(coordinates, Coordinates) else coordinates)
            except UNREADABLE:
                audit.lose("unreadable", [owner])
                continue
            kinds.append(kind)
            owners.append(owner)
            shapes.append(shape)
    try:
        table, width = table_of(kinds, owners, shapes)
    except UNREADABLE:
        return _read_slowly(kinds, owners, shapes, audit), collections
    if width > 2:
        audit.repair("z_dropped", owners)
    return table, collections


def _polygons(features: Sequence[Any]) -> Table | None:
    """The table of features that are nothing but plain polygons in two dimensions, as most are; None of others."""
    try:
        geometries = [feature["geometry"] for feature in features]
        polygons = [geometry["coordinates"] for geometry in geometries]
        kinds = {geometry["type"] for geometry in geometries} | {feature["type"] for feature in features}
        if kinds != {"Polygon", "Feature"} or not all(issubclass(each, dict) for each in set(map(type, features))):
            return None
        if set(map(type, polygons)) == {Coordinates}:
            return _packed(gathered(polygons))
        table, width = table_of_polygons(polygons)
    except UNREADABLE:
        return None
    return table if width == 2 else None


def _packed(polygons: Polygons) -> Table:
    count = len(polygons.rings)
    ones = np.ones(count, np.int64)
    return Table(["Polygon"] * count, np.arange(count), ones, polygons.rings, polygons.positions, polygons.coords)


def _members(geometry: Any, owner: int, collections: set[int]) -> Iterable[Any]:
    """The geometry itself, or those of a GeometryCollection and of collections inside it."""
    if not _is_collection(geometry):
        return (geometry,)
    collections.add(owner)
    members: list[Any] = []
    stack: list[Any] = [geometry]
    while stack:
        member = stack.pop()
        if _is_collection(member):
            inside = member.get("geometries")
            stack.extend(reversed(inside) if isinstance(inside, list | tuple) else [None])
        else:
            members.append(member)
    return members


def _is_collection(geometry: Any) -> bool:
    return isinstance(geometry, dict) and geometry.get("type") == "GeometryCollection"


def _read_slowly(kinds: list[str], owners: list[int], shapes: list[Any], audit: Audit) -> Table:
    """The table of what can be read, the blocks that hold something odd looked through number by number."""
    good: list[tuple[str, int, Any]] = []
    for start in range(0, len(shapes), BLOCK):
        block = slice(start, start + BLOCK)
        members = list(zip(kinds[block], owners[block], shapes[block], strict=True))
        try:
            plain = table_of(kinds[block], owners[block], shapes[block])[1] == 2
        except UNREADABLE:
            plain = False
        good.extend(members if plain else _cleaned(members, audit))
    kinds, owners, shapes = [list(column) for column in zip(*good, strict=True)] or [[], [], []]
    return table_of(kinds, owners, shapes)[0]


def _cleaned(members: list[tuple[str, int, Any]], audit: Audit) -> Iterator[tuple[str, int, Any]]:
    for kind, owner, shape in members:
        found: set[str] = set()
        try:
            cleaned = _clean(shape, 0, found)
        except UNREADABLE:
            audit.lose("unreadable", [owner])
            continue
        for repair in found:
            audit.repair(repair, [owner])
        yield kind, owner, cleaned


def _clean(shape: Any, depth: int, found: set[str]) -> list[Any]:
    """Parts, paths and positions as lists of two floats; ``found`` takes the repairs made on the way."""
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if not isinstance(shape, list | tuple):
        raise TypeError(f"{type(shape).__name__} where coordinates belong")
    if depth < POSITION_DEPTH:
        return [_clean(member, depth + 1, found) for member in shape]
    if len(shape) < 2:
        raise ValueError("a position of fewer than two numbers")
    if len(shape) > 2:
        found.add("z_dropped")
    return [_number(value, found) for value in shape[:2]]


def _number(value: Any, found: set[str]) -> float:
    if value is None:  # what JSON writers make of NaN
        return math.nan
    if isinstance(value, str):
        found.add("numbers_parsed")
    try:
        return float(value)
    except OverflowError:
        return math.inf
