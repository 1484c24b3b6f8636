"""Several tiles at a time, through memory that this process shares with the server.

The server (``playground/predictor/shared.py``) writes what the partner reads of the tiles into the memory and tells
where; ``predict`` is called with one after the other, and one frame answers them all. What is predicted now, and since
when, stands at the memory's start.
"""

import array
import mmap
import os
import socket
import struct
import sys
import time
from functools import partial

from .encoding import encoder, written
from .loop import PartGoneError, decode_part, failure
from .packing import Packed, counts
from .telling import listed
from .tile import Tile

try:
    import resource
except ImportError:  # no Unix
    resource = None

INDEX = struct.Struct("q")
SINCE = struct.Struct("d")
SIZES = 8
"""Sizes of arrays that buffers are kept of."""
ATTRIBUTES = ("image", "array", "valid")


class Several(object):
    """Answers the server's requests for several tiles.

    Args:
        wire: where to answer, and to ask for parts that did not come along.
        predictor: has ``predict(tile)``.
        workdir: the partner's folder: the current one whenever a tile is predicted.
    """

    def __init__(self, wire, predictor, workdir):
        self.wire = wire
        self.predictor = predictor
        self.workdir = workdir
        self.encode = encoder()
        self.memory = None
        self.buffers = Buffers()

    def reply(self, request):
        """The head and the blobs of the answering frame."""
        return self.share(request) if request["op"] == "share" else self.answer(request)

    def share(self, request):
        """Take the memory that the server offers, in the place of an earlier one."""
        self.memory = None
        self.wire.send({"op": "memory"})
        try:
            descriptor = receive_descriptor(self.wire.socket)
            try:
                self.memory = memoryview(mmap.mmap(descriptor, request["size"]))
            finally:
                os.close(descriptor)
        except (OSError, ValueError, AttributeError) as error:
            return ({"op": "refused", "message": str(error)},)
        return ({"op": "shared"},)

    def answer(self, request):
        """Predict tiles.

        Where time or memory run out, or a batch fails as a whole, only those before are answered: the server asks for
        the others again.
        """
        told = Told()
        asked, kinds, count = request["tiles"], request["kinds"], request["batch"]
        until = time.monotonic() + request["seconds"]
        start = 0
        while start < len(asked):
            some = enumerate(asked[start : start + count], start)
            parts = [Parts(self, index, kinds, each) for index, each in some]
            began = self.note(start)
            if count == 1:
                told.add(self.predict(parts[0]), parts[0])
            elif not self.predict_batch(parts, told):
                break
            ended = time.monotonic()
            told.micros += [int((ended - began) * 1e6 / len(parts))] * len(parts)
            for each in parts:
                each.close()
            os.chdir(self.workdir)  # where the partner's relative paths are right, wherever this prediction went
            start += len(parts)
            if ended > until or is_beyond(request["memory_mb"]):
                break
        self.note(len(asked))
        return told.reply()

    def note(self, index):
        """Tell the server which tile it is now: if the time is wrong for a moment, then by too little."""
        now = time.monotonic()
        SINCE.pack_into(self.memory, INDEX.size, now)
        INDEX.pack_into(self.memory, 0, index)
        return now

    def predict(self, part):
        """Predict one tile: the head and the blob of its answer."""
        try:
            return written(self.predictor.predict(part.tile()), self.encode)
        except BaseException as error:  # whatever the partner raises costs this tile only, sys.exit() included
            return failure(error), b""

    def predict_batch(self, parts, told):
        """Predict several tiles at once; False when they could not be predicted together."""
        try:
            results = listed(self.predictor.predict_batch([part.tile() for part in parts]), len(parts))
        except BaseException as error:
            told.alone = dict(failure(error), tiles=len(parts))
            return False
        for part, result in zip(parts, results):
            try:
                if isinstance(result, Exception):  # in the place of a result: of this tile only
                    raise result
                answer = written(result, self.encode)
            except BaseException as error:
                answer = failure(error), b""
            told.add(answer, part)
        return True


class Told(object):
    """The answers to a frame's tiles; most have the same head, which is told once.

    What is packed of all tiles travels behind their blobs: how many rings the polygons have, how many positions the
    rings have, and the positions.
    """

    def __init__(self):
        self.heads, self.places = [], {}
        self.which, self.lengths, self.micros, self.blobs = [], [], [], []
        self.polygons, self.rings, self.positions, self.numbers = [], [], [], []
        self.alone = {}

    def add(self, answer, part):
        head, encoded = answer
        form = None
        if type(encoded) is Packed:
            form, rings, positions, numbers, encoded = encoded
            self.polygons.append(len(rings))
            self.rings += rings
            self.positions += positions
            self.numbers.append(numbers)
        key = len(self.which)
        if head["op"] == "result":
            key = (head["kind"], head.get("type"), form, tuple(part.read))
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = len(self.heads)
            self.heads.append(dict(head, read=part.read, packed=form))
        self.which.append(place)
        self.lengths.append(len(encoded))
        self.blobs.append(encoded)

    def reply(self):
        """The head and the blobs of the answering frame."""
        names = ("heads", "which", "lengths", "micros", "polygons", "alone")
        blobs = self.blobs + [counts(self.rings), counts(self.positions)] + self.numbers
        return dict([(name, getattr(self, name)) for name in names], op="several"), blobs


class Parts(object):
    """A tile's parts in the shared memory, and a way to ask the server for the others.

    What the partner gets is its own: the server writes the next tiles to the memory.

    Args:
        several: whose memory, and whose wire.
        index: which tile of the frame it is.
        kinds: the parts that there are: name, length in bytes, and of arrays the shape and the dtype.
        asked: the tile's address and frame, and its parts: which of the kinds each is, and where it begins.
    """

    def __init__(self, several, index, kinds, asked):
        self.wire = several.wire
        self.index = index
        self.asked = asked
        self.buffers, self.lent = several.buffers, []
        self.sent = {}
        for kind, start in asked["parts"]:
            part = kinds[kind]
            self.sent[part["name"]] = (part, several.memory[start : start + part["length"]])
        self.read = []
        self.is_over = False

    def tile(self):
        """The partner's Tile."""
        tile = self.make(self.asked, "")
        for number, other in enumerate(self.asked.get("others", ()), 1):  # their parts are called 1:image, 2:array, …
            tile.tiles.append(self.make(other, "%d:" % number))
        return tile

    def make(self, named, place):
        frame = dict(named["frame"])
        if frame.get("bounds") is not None:
            frame["bounds"] = tuple(frame["bounds"])
        for name in ATTRIBUTES:
            frame["load_" + name] = partial(self.load, place + name)
        return Tile(named["url"], **frame)

    def load(self, name):
        """What the partner reads."""
        found = self.sent.pop(name, None)
        if found is not None:
            self.read.append(name)
            part, data = found
            if "shape" not in part:
                return bytearray(data)
            buffer = self.buffers.take(len(data))
            self.lent.append([buffer])
            memoryview(buffer)[:] = data
            return decode_part(part, buffer)
        if self.is_over:
            raise RuntimeError("%s was not read while the tile was predicted, and is not there any more" % name)
        self.read.append(name)
        self.wire.send({"op": "need", "part": name, "tile": self.index})
        reply, data = self.wire.receive()
        if reply["op"] != "part":
            raise PartGoneError(name)
        return decode_part(reply["part"], data)

    def close(self):
        """The tile was predicted: what the partner may still read of it, if it keeps it, must leave the memory."""
        self.is_over = True
        for name, (part, data) in self.sent.items():
            self.sent[name] = (part, bytearray(data))
        for box in self.lent:
            self.buffers.give(box)


class Buffers(object):
    """Memory for arrays, used again when the partner has let go of it.

    Memory that is new, or that was given back and comes again, is filled with zeros by the kernel page by page, which
    takes many times as long as what it is needed for.
    """

    def __init__(self):
        self.free = {}
        self.alone = holders([bytearray()])

    def take(self, size):
        """A bytearray of this size, with whatever is in it."""
        free = self.free.get(size)
        return free.pop() if free else bytearray(size)

    def give(self, box):
        """Take back what the list holds, if nobody else does: no array, and no view of one."""
        if self.alone and holders(box) == self.alone:
            if len(self.free) > SIZES:
                self.free.clear()
            self.free.setdefault(len(box[0]), []).append(box.pop())


def holders(box):
    """How many hold what the list holds; 0 where Python does not count them."""
    return sys.getrefcount(box[0]) if hasattr(sys, "getrefcount") else 0


def is_beyond(memory_mb):
    """Whether this process uses more memory than it may between two tiles; 0 for no limit."""
    if not memory_mb or resource is None or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < memory_mb * 1024:
        return False
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() > memory_mb * 2**20
    except OSError:
        return True


def receive_descriptor(sock):
    """The file that the server sends.

    Raises:
        OSError: it sent none.
    """
    found = array.array("i")
    _, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(found.itemsize))
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: found.itemsize])
    if not found:
        raise OSError("no descriptor came")
    return found[0]
