"""Features as predictors give them, and their answers, checked."""

from __future__ import annotations

import mercantile
import shapely
import shapely.geometry
from rfc7946 import check_text

from playground.answers import Frame, Options, normalize

DEFAULT = Options()
PIXELS = Frame()
HARBOUR = Frame(mercantile.Tile(140818, 85953, 18), 256, 24)
WORLD = Frame(mercantile.Tile(0, 0, 0), 256, 64)
SQUARE = [[10, 10], [10, 60], [60, 60], [60, 10], [10, 10]]
HOLE = [[20, 20], [20, 30], [30, 30], [30, 20], [20, 20]]
NAN = float("nan")


def feature(kind="Polygon", coordinates=None, **properties):
    geometry = {"type": kind, "coordinates": [SQUARE] if coordinates is None else coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": {"category": "ship", **properties}}


def limits_of(frame):
    """What the answer of a frame keeps to: its decimals, and no ring or line wider than the predictor can mean."""
    widest = frame.reach[1] - frame.reach[0]
    if frame.tile is not None:
        widest *= 360 / 2**frame.tile.z / frame.tile_size
    return {"degrees": frame.tile is not None, "decimals": frame.decimals, "widest": widest + 1e-6}


def answer_of(*features, frame=HARBOUR, options=DEFAULT):
    """The answer, checked as text and as plain features."""
    answer = normalize(list(features), frame, options)
    collection = check_text(answer.dumps(), **limits_of(frame))
    assert collection == answer.collection
    report = answer.report
    assert report["features_in"] == len(features) == report["features_out"] + sum(report["dropped"].values())
    assert report["features_out"] == len(collection["features"])
    assert all(report["repairs"].values())
    assert all(report["dropped"].values())
    assert all(count <= report["features_out"] for count in report["repairs"].values())
    return answer


def shape_of(answer):
    return shapely.geometry.shape(answer.features()[0]["geometry"])
