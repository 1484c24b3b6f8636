"""Lines and points of an answer."""

from __future__ import annotations

import numpy as np

from playground.answers.audit import Audit
from playground.answers.frame import Frame
from playground.answers.paths import cut_line, shift_into_world
from playground.answers.table import IntArray, Layer, Table, table_of


def place_lines(table: Table, frame: Frame, audit: Audit, teams: IntArray | None = None) -> list[Layer]:
    """The layers that a table of lines makes, without those of which nothing is left."""
    crossing = shift_into_world(table, frame, audit)
    if frame.world is None or not crossing.any():
        return _placed(table, np.arange(len(table)), frame, audit)
    layers = _placed(table.take(~crossing), np.flatnonzero(~crossing), frame, audit)
    shapes = []
    across = table.take(crossing)
    for geometry in across.geometries():
        paths = [geometry["coordinates"]] if geometry["type"] == "LineString" else geometry["coordinates"]
        shapes.append(([piece for path in paths for piece in cut_line(path, *frame.world)],))
    cut = table_of(["MultiLineString"] * len(shapes), across.owners.tolist(), shapes)[0]
    return layers + _placed(cut, np.flatnonzero(crossing), frame, audit)


def _placed(table: Table, places: IntArray, frame: Frame, audit: Audit) -> list[Layer]:
    """The layer that a table makes, if any; lines without length are left out."""
    if not len(table):
        return []
    table.coords = frame.round(frame.place(table.coords))
    low = np.minimum.reduceat(table.coords, table.starts, axis=0)
    high = np.maximum.reduceat(table.coords, table.starts, axis=0)
    long = (low != high).any(axis=1)
    if not long.all():
        audit.lose("degenerate", table.owners[table.path_geometry[~long]].tolist())
        places = places[np.unique(table.path_geometry[long])]
        table = table.take_paths(long)
    return [Layer(table, places)] if len(table) else []


def place_points(table: Table, frame: Frame, audit: Audit, teams: IntArray | None = None) -> list[Layer]:
    """The layer that a table of points makes."""
    if frame.world is not None:
        origin, size = frame.world
        x = table.coords[:, 0]
        outside = (x < origin) | (x > origin + size)
        audit.repair("antimeridian", table.owners[table.path_geometry[outside]].tolist())
        x[outside] -= np.floor((x[outside] - origin) / size) * size
    table.coords = frame.round(frame.place(table.coords))
    return [Layer(table, np.arange(len(table)))]
