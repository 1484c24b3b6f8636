"""Lines and points of an answer."""

from __future__ import annotations

import numpy as np

from playground.answers.audit import Audit
from playground.answers.frame import Frame
from playground.answers.paths import cut_line, shift_into_world
from playground.answers.table import Table, table_of
from playground.answers.text import geometry_texts


def place_lines(table: Table, frame: Frame, audit: Audit) -> list[bytes | None]:
    """GeoJSON geometries of a table of lines; None where nothing is left."""
    crossing = shift_into_world(table, frame, audit)
    geometries: list[bytes | None] = [None] * len(table)
    _place(table.take(~crossing), np.flatnonzero(~crossing).tolist(), geometries, frame, audit)
    if frame.world is not None and crossing.any():
        shapes = []
        across = table.take(crossing)
        for geometry in across.geometries():
            paths = [geometry["coordinates"]] if geometry["type"] == "LineString" else geometry["coordinates"]
            shapes.append(([piece for path in paths for piece in cut_line(path, *frame.world)],))
        cut = table_of(["MultiLineString"] * len(shapes), across.owners.tolist(), shapes)[0]
        _place(cut, np.flatnonzero(crossing).tolist(), geometries, frame, audit)
    return geometries


def _place(table: Table, indices: list[int], geometries: list[bytes | None], frame: Frame, audit: Audit) -> None:
    """Fill in the geometries of a table at their indices; lines without length are left out."""
    if not len(table):
        return
    table.coords = frame.round(frame.place(table.coords))
    low = np.minimum.reduceat(table.coords, table.starts, axis=0)
    high = np.maximum.reduceat(table.coords, table.starts, axis=0)
    long = (low != high).any(axis=1)
    if not long.all():
        audit.lose("degenerate", table.owners[table.path_geometry[~long]].tolist())
        stays = np.unique(table.path_geometry[long])
        indices = [indices[index] for index in stays.tolist()]
        table = table.take_paths(long)
    for index, geometry in zip(indices, geometry_texts(table), strict=True):
        geometries[index] = geometry


def place_points(table: Table, frame: Frame, audit: Audit) -> list[bytes | None]:
    """GeoJSON geometries of a table of points."""
    if frame.world is not None:
        origin, size = frame.world
        x = table.coords[:, 0]
        outside = (x < origin) | (x > origin + size)
        audit.repair("antimeridian", table.owners[table.path_geometry[outside]].tolist())
        x[outside] -= np.floor((x[outside] - origin) / size) * size
    table.coords = frame.round(frame.place(table.coords))
    return list(geometry_texts(table))
