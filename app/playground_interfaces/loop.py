"""The predictor process: loads the partner's class, then answers one tile after the other.

It runs in the partner's own interpreter and imports the standard library only. The server starts it and holds the
other end of the socket (``playground/predictor/``).
"""

import importlib
import importlib.util
import os
import select
import socket
import sys
import time
from functools import lru_cache, partial

from .errors import PredictError
from .hooks import with_hooks
from .telling import describe, listed, rejected, told
from .tile import Tile
from .wire import Wire, encode_json

PATIENCE = 0.05
"""Seconds; after a prediction that took longer, the server is asked whether what it sent ahead is still wanted."""
MOST_AHEAD = 8
"""Requests that the server sends ahead of their turn, at most."""

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
    if is_alone(sock):
        return
    prepare()
    try:
        request, _ = wire.receive()
        predictor = load(wire, request)
    except EOFError:
        return
    if predictor is not None:
        tell_ready(wire, predictor)
        serve(wire, predictor, request["workdir"])


def prepare():
    """Make this process look like one that was started by the partner."""
    sys.argv = ["predictor"]
    sys.meta_path.append(ContractFinder)


def serve(wire, predictor, workdir):
    """Answer one request after the other until the server closes the connection."""
    several = None
    doubtful = 0
    while True:
        try:
            request, blob = wire.aside.popleft() if wire.aside else wire.receive()
            if doubtful:
                doubtful -= 1
                if request.get("ahead") and not is_wanted(wire):
                    continue
        except EOFError:
            return
        began = time.perf_counter()
        if request["op"] == "predict":
            reply = answer(wire, predictor, request, blob)
        elif request["op"] == "predict-batch":
            reply = answer_batch(wire, predictor, request, blob)
        else:
            if several is None:
                from .several import Several  # it needs this module

                several = Several(wire, predictor, workdir)
            reply = several.reply(request)
        wire.send(*reply)
        os.chdir(workdir)  # where the partner's relative paths are right, wherever this prediction went
        if time.perf_counter() - began > PATIENCE:
            doubtful = MOST_AHEAD


def is_wanted(wire):
    """Whether anybody waits for a request that was sent ahead of its turn, before a prediction that took long."""
    return ask(wire, {"op": "wanted"})[0]["op"] == "yes"


def die_with_parent(number=9):
    """Ask Linux to end this process when the thread that started it ends, so that no orphan keeps a model loaded.

    Args:
        number: the signal that ends it, SIGKILL; 0 to take the wish back.
    """
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG
    except Exception:  # no ctypes or no prctl: the closed socket ends an idle process all the same
        return


def is_alone(sock):
    """Whether the other end of a socket is closed: its process was gone before this one could ask to end with it."""
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))


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
    return predictor


def tell_ready(wire, predictor):
    """Tell the server that tiles can come, and whether several at once."""
    python = "%d.%d.%d" % sys.version_info[:3]
    batches = callable(getattr(predictor, "predict_batch", None))
    wire.send({"op": "state", "phase": "ready", "python": python, "pid": os.getpid(), "batches": batches})


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
    try:
        head, encoded = told(predictor.predict(tile))
    except BaseException as error:  # whatever the partner raises costs this request only, sys.exit() included
        return (failure(error),)
    return result_head(read=tuple(read), **head), [encoded]


def failure(error):
    """The head that answers for a tile with what the partner raised in place of a result."""
    if isinstance(error, PartGoneError):
        return {"op": "part-gone"}
    if isinstance(error, PredictError):
        return rejected(error)
    return dict(describe(error), op="raised")


@lru_cache(maxsize=64)
def result_head(**head):
    """The encoded head of an answer; there are few different ones."""
    return encode_json(head)


def answer_batch(wire, predictor, request, blob):
    """Predict several tiles at once: the head and the blobs of the answering frame.

    A batch that fails as a whole is told as such: the server then hands its tiles over one by one.
    """
    reads = [[] for _ in request["tiles"]]
    tiles = []
    start = 0
    for index, each in enumerate(request["tiles"]):
        end = start + sum([part["length"] for part in each["parts"]])
        tiles.append(tile_of(wire, each, blob[start:end], reads[index], index))
        start = end
    try:
        results = listed(predictor.predict_batch(tiles), len(tiles))
    except PartGoneError:
        return ({"op": "part-gone"},)
    except BaseException as error:
        return (dict(describe(error), op="raised"),)
    heads, blobs = [], []
    for result, read in zip(results, reads):
        try:
            if isinstance(result, Exception):  # in the place of a result: of this tile only
                raise result
            head, encoded = told(result)
        except BaseException as error:
            head, encoded = failure(error), b""
        heads.append(dict(head, read=read, length=len(encoded)))
        blobs.append(encoded)
    return {"op": "results", "tiles": heads}, blobs


def tile_of(wire, request, blob, read, index=0):
    """The partner's Tile: parts that came along, and a way to ask the server for the others.

    Args:
        wire: where to ask.
        request: the tile's address, frame, and which parts came along.
        blob: these parts, one after the other.
        read: a list that the names of the parts which the partner reads are added to.
        index: which tile of its batch it is.
    """

    def load(name):
        read.append(name)
        offset = 0
        for part in request["parts"]:
            end = offset + part["length"]
            if part["name"] == name:
                return decode_part(part, blob if end - offset == len(blob) else blob[offset:end])
            offset = end
        reply, whole = ask(wire, {"op": "need", "part": name, "tile": index})
        if reply["op"] != "part":
            raise PartGoneError(name)
        return decode_part(reply["part"], whole)

    def make(named, place):
        frame = named["frame"]
        if frame.get("bounds") is not None:
            frame["bounds"] = tuple(frame["bounds"])
        for name in ("image", "array", "valid"):
            frame["load_" + name] = partial(load, place + name)
        return Tile(named["url"], **frame)

    tile = make(request, "")
    for number, other in enumerate(request.get("others", ()), 1):  # their parts are called 1:image, 2:array, …
        tile.tiles.append(make(other, "%d:" % number))
    return tile


def ask(wire, head):
    """Ask the server something: the head and the blob of what it says.

    Requests that it had sent before it was asked are put aside until their turn.
    """
    wire.send(head)
    while True:
        reply, blob = wire.receive()
        if not reply["op"].startswith("predict"):
            return reply, blob
        wire.aside.append((reply, blob))


def decode_part(part, data):
    """The value of a part: bytes as they are, or the array that ``shape`` and ``dtype`` describe."""
    if "shape" not in part:
        return data
    try:
        import numpy
    except ImportError:
        raise ImportError("tile.%s needs numpy, which this Python has not: read tile.image instead" % part["name"])
    return numpy.frombuffer(data, dtype=part["dtype"]).reshape(part["shape"])
