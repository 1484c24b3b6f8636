"""What came back from the predictor process."""

from __future__ import annotations

import json
import logging
from typing import Any

import geojson
import orjson

from playground.errors import PredictorFailedError, TileRejectedError
from playground.packed import Coordinates
from playground.predictor.state import OtherResult

logger = logging.getLogger(__name__)


def read_result(reply: dict[str, Any], blob: bytearray) -> Any:
    """The result of an answering frame: a geojson.FeatureCollection or an OtherResult.

    Raises:
        TileRejectedError: the predictor raised PredictError.
        PredictorFailedError: it raised anything else.
    """
    if reply["op"] == "rejected":
        raise TileRejectedError(reply["message"], reply["hint"])
    if reply["op"] == "raised":
        raise failed(reply)
    if reply["kind"] == "other":
        return OtherResult(reply["type"])
    try:
        read = orjson.loads(blob)
    except orjson.JSONDecodeError:  # NaN and Infinity: the answer's audit counts them
        read = json.loads(blob)
    polygons = reply.get("polygons")
    return collection_of(read if polygons is None else _features(polygons, read))


def _features(polygons: list[Coordinates], properties: list[Any]) -> list[Any]:
    """Features of what came packed: of each the properties, or those that all share."""
    if len(properties) == 1:
        properties = properties * len(polygons)
    return [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": coordinates}, "properties": told}
        for coordinates, told in zip(polygons, properties, strict=True)
    ]


def collection_of(features: list[Any]) -> geojson.FeatureCollection:
    """A geojson.FeatureCollection of features as they are.

    Its constructor would look at every number, round it to 6 decimals, and refuse what the answer's audit counts.
    """
    collection = geojson.FeatureCollection.__new__(geojson.FeatureCollection)
    collection.update(type="FeatureCollection", features=features)
    return collection


def failed(told: dict[str, Any]) -> PredictorFailedError:
    """The error of an exception that predict() raised; the traceback goes to the log."""
    logger.error("predict() raised %s\n%s", told["message"], told["traceback"])
    return PredictorFailedError(
        f"the predictor failed on this tile: {told['message']}", "its traceback is in the service's log"
    )
