"""The predictor process: loads the partner's class, then answers one tile after the other.

It runs in the partner's own interpreter and imports the standard library only. The server starts it and holds the
other end of the socket (``playground/predictor/``).
"""

import importlib
import importlib.util
import json
import os
import socket
import sys
import time
import traceback

from .errors import PredictError
from .hooks import with_hooks
from .prediction_result import PredictionResult
from .tile import Tile
from .wire import Wire

CONTRACT = __name__.split(".", maxsplit=1)[0]


class PartGoneError(Exception):
    """The server could not make a part of the tile; it knows why and tells the caller."""


class ContractFinder(object):
    """Lets ``from playground import BaseProcess`` work where no package of that name is installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "playground":
            return None
        return importlib.util.spec_from_loader(name, ContractFinder)

    @staticmethod
    def create_module(spec):
        return None

    @staticmethod
    def exec_module(module):
        contract = sys.modules[CONTRACT]
        for name in contract.__all__:
            setattr(module, name, getattr(contract, name))


def main(descriptor):
    """Serve the socket with this file descriptor until the server closes it."""
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    wire = Wire(sock)
    die_with_parent()
    sys.argv = ["predictor"]
    sys.meta_path.append(ContractFinder)
    try:
        request, _ = wire.receive()
        workdir = request["workdir"]
        predictor = load(wire, request)
    except EOFError:
        return
    if predictor is None:
        return
    while True:
        try:
            request, blob = wire.receive()
        except EOFError:
            return
        wire.send(*answer(wire, predictor, request, blob))
        os.chdir(workdir)  # where the partner's relative paths are right, wherever this prediction went


def die_with_parent():
    """Ask Linux to end this process when the thread that started it ends, so that no orphan keeps a model loaded."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    except Exception:  # no ctypes or no prctl: the closed socket ends an idle process all the same
        return


def load(wire, request):
    """The partner's predictor, or None after the server was told why there is none."""
    try:
        wire.send({"op": "state", "phase": "importing"})
        # The partner's own files come first, as if its code were started in its own folder.
        sys.path[:] = [request["workdir"]] + [entry for entry in sys.path if entry not in ("", request["workdir"])]
        module = importlib.import_module(request["package"])
        predictor_class = find_class(module, request["class"])
        wire.send({"op": "state", "phase": "constructing"})
        predictor = predictor_class()
        if not callable(getattr(predictor, "predict", None)):
            raise TypeError("%s has no method predict(tile)" % request["class"])
        predictor = with_hooks(predictor, request.get("hooks", {}))
    except BaseException as error:  # SystemExit too: a partner's exit must not look like a crash
        wire.send(dict(describe(error), op="failed"))
        return None
    python = "%d.%d.%d" % sys.version_info[:3]
    wire.send({"op": "state", "phase": "ready", "python": python})
    return predictor


def find_class(module, name):
    """The class that a module offers under this name, or an error that says what it does offer."""
    found = getattr(module, name, None)
    if found is None:
        classes = [key for key, value in sorted(vars(module).items()) if callable(getattr(value, "predict", None))]
        offers = "it has " + ", ".join(classes) if classes else "it has no class with a method predict(tile)"
        raise AttributeError("module %s has no %s; %s" % (module.__name__, name, offers))
    if not callable(found):
        raise TypeError("%s.%s is no class" % (module.__name__, name))
    return found


def answer(wire, predictor, request, blob):
    """Predict one tile: the head and the blobs of the answering frame."""
    read = []
    tile = tile_of(wire, request, blob, read)
    started = time.perf_counter()
    try:
        result = predictor.predict(tile)
        kind, features = features_of(result)
        encoded = encode(features).encode("utf-8")
    except PartGoneError:
        return ({"op": "part-gone"},)
    except PredictError as error:
        return ({"op": "rejected", "message": error.message, "hint": error.hint},)
    except BaseException as error:  # whatever the partner raises costs this request only, sys.exit() included
        return (dict(describe(error), op="raised"),)
    head = {"op": "result", "kind": kind, "read": read, "seconds": time.perf_counter() - started}
    if kind == "other":
        head["type"] = type(result).__name__
    return head, [encoded]


def tile_of(wire, request, blob, read):
    """The partner's Tile: parts that came along, and a way to ask the server for the others."""
    parts = {}
    offset = 0
    for part in request["parts"]:
        parts[part["name"]] = (part, slice(offset, offset + part["length"]))
        offset += part["length"]

    def loader(name):
        def load_part():
            read.append(name)
            if name in parts:
                part, place = parts[name]
                whole = blob if len(parts) == 1 else blob[place]
            else:
                wire.send({"op": "need", "part": name})
                reply, whole = wire.receive()
                if reply["op"] != "part":
                    raise PartGoneError(name)
                part = reply["part"]
            return decode_part(part, whole)

        return load_part

    frame = dict(request["frame"])
    if frame.get("bounds") is not None:
        frame["bounds"] = tuple(frame["bounds"])
    loaders = {"load_" + name: loader(name) for name in ("image", "array", "valid")}
    return Tile(request["url"], **dict(frame, **loaders))


def decode_part(part, data):
    """The value of a part: bytes as they are, or the array that ``shape`` and ``dtype`` describe."""
    if "shape" not in part:
        return data
    try:
        import numpy
    except ImportError:
        raise ImportError("tile.%s needs numpy, which this Python has not: read tile.image instead" % part["name"])
    return numpy.frombuffer(data, dtype=part["dtype"]).reshape(part["shape"])


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
