"""What the predictor process tells the server: results and exceptions, as a head and JSON."""

import json
import os
import traceback

from .prediction_result import PredictionResult


def listed(results, count):
    """What predict_batch returned, as a list with a result for each tile."""
    if isinstance(results, (dict, str, bytes, PredictionResult)) or not hasattr(results, "__iter__"):
        raise TypeError("predict_batch returned %s, not a list" % type(results).__name__)
    results = list(results)
    if len(results) != count:
        raise ValueError("predict_batch returned %d results for %d tiles" % (len(results), count))
    return results


def told(result):
    """What the partner returned for a tile, as a head and its features in JSON."""
    kind, features = features_of(result)
    head = {"op": "result", "kind": kind}
    if kind == "other":
        head["type"] = type(result).__name__
    return head, encode(features).encode("utf-8") if features else b"[]"


def rejected(error):
    """A PredictError for the server."""
    return {"op": "rejected", "message": error.message, "hint": error.hint}


def features_of(result):
    """What kind of answer the partner gave, and its features."""
    if isinstance(result, PredictionResult):
        return "prediction_result", result.format()["features"]
    if not isinstance(result, dict) and hasattr(result, "__geo_interface__"):
        result = result.__geo_interface__
    if isinstance(result, dict) and result.get("type") == "FeatureCollection":
        features = result.get("features")
        return "feature_collection", list(features) if features is not None else []
    return "other", []


def plain(value):
    """What json cannot write: numpy's arrays and numbers, geometry objects, sets."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__geo_interface__"):
        return value.__geo_interface__
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if hasattr(value, "__float__"):
        return float(value)
    return str(value)


encode = json.JSONEncoder(default=plain).encode


def describe(error):
    """An exception for the server: its type, its message, and its traceback, trimmed to the partner's frames."""
    lines = traceback.format_exception_only(type(error), error)
    return {
        "type": type(error).__name__,
        "message": "".join(lines).strip(),
        "traceback": trimmed_traceback(error),
    }


def trimmed_traceback(error):
    trace = traceback.TracebackException(type(error), error, error.__traceback__)
    pending = [trace]
    while pending:
        part = pending.pop()
        partners = [frame for frame in part.stack if not is_ours(frame.filename)]
        part.stack = traceback.StackSummary.from_list(partners)
        pending.extend(cause for cause in (part.__cause__, part.__context__) if cause is not None)
    return "".join(trace.format())


def is_ours(filename):
    """Whether a frame belongs to this loop or to the import machinery, not to the partner."""
    return filename.startswith(("<frozen importlib", os.path.dirname(os.path.abspath(__file__)))) or filename.endswith(
        os.path.join("importlib", "__init__.py")
    )
