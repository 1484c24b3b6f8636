"""Frames between the server and the predictor process, over one stream socket.

A frame is a head (JSON, UTF-8) and a blob (bytes): 4 bytes of head length, 8 bytes of blob length, both big-endian,
then head, then blob. Nothing is pickled, so neither side can make the other run code.
"""

import collections
import json
import struct

LENGTHS = struct.Struct("!IQ")
MAX_HEAD = 64 * 1024 * 1024
"""Bytes: a longer head means that something else writes to the socket."""
BUFFER = 64 * 1024
"""Bytes: most frames arrive in one read."""

MOST_PARTS = 1000
"""The kernel takes 1024 at once."""

ENCODER = json.JSONEncoder(separators=(",", ":"))
DECODER = json.JSONDecoder()


def encode_json(head):
    """A head as bytes."""
    return ENCODER.encode(head).encode("utf-8")


def decode_json(encoded):
    """The head that bytes hold."""
    return DECODER.raw_decode(encoded.decode("utf-8"))[0]


def frame(encoded, blobs=()):
    """One frame: its parts, and how many bytes they are; ``encoded`` is its head, ``blobs`` bytes-like parts of it."""
    length = len(encoded)
    size = 0
    for blob in blobs:
        size += memoryview(blob).nbytes
    parts = [LENGTHS.pack(length, size), encoded]
    parts.extend(blobs)
    return parts, LENGTHS.size + length + size


class Wire(object):
    """One end of the connection.

    Args:
        sock: a connected stream socket.
        encode, decode: a head to bytes and back; JSON, by a faster library where there is one.

    Attributes:
        aside: frames that were received before their turn.
    """

    def __init__(self, sock, encode=encode_json, decode=decode_json):
        self.socket = sock
        self.encode = encode
        self.decode = decode
        self.aside = collections.deque()
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def send(self, head, blobs=()):
        """Send one frame.

        Args:
            head: a dict, or its bytes.
            blobs: bytes-like parts that travel one after the other as one blob.
        """
        self.write(*frame(head if isinstance(head, bytes) else self.encode(head), blobs))

    def write(self, parts, size):
        """Send bytes-like parts one after the other, so many bytes: one frame, or several."""
        if size <= BUFFER or len(parts) > MOST_PARTS:
            self.socket.sendall(b"".join(parts))
            return
        sent = self.socket.sendmsg(parts)  # not copied together first
        for part in parts if sent < size else ():
            view = memoryview(part).cast("B")
            if sent < len(view):
                self.socket.sendall(view[sent:])
            sent = max(0, sent - len(view))

    def receive(self):
        """Receive one frame.

        Returns:
            (dict, bytearray): the head and the blob.

        Raises:
            EOFError: the other side is gone.
            ValueError: the bytes are no frame.
        """
        if self._start == self._end:
            self._start, self._end = 0, self._read(self._view)
        start = self._start + LENGTHS.size
        if start <= self._end:
            head_length, blob_length = LENGTHS.unpack_from(self._buffer, self._start)
            middle = start + head_length
            end = middle + blob_length
            if end <= self._end:  # most often
                self._start = end
                return self.decode(self._buffer[start:middle]), self._buffer[middle:end]
        head_length, blob_length = LENGTHS.unpack(self._take(LENGTHS.size))
        if head_length > MAX_HEAD:
            raise ValueError("not a frame: a head of %d bytes" % head_length)
        return self.decode(self._take(head_length)), self._take(blob_length)

    def has_frame(self):
        """Whether a whole frame is here, so that nobody waits for it."""
        start = self._start + LENGTHS.size
        return start <= self._end and start + sum(LENGTHS.unpack_from(self._buffer, self._start)) <= self._end

    def _take(self, count):
        """The next bytes: from the buffer first; what is still to come is read straight to where it belongs."""
        if self._start == self._end and 0 < count < BUFFER:
            self._start, self._end = 0, self._read(self._view)
        start, end = self._start, self._start + count
        if end <= self._end:
            self._start = end
            return self._buffer[start:end]
        data = bytearray(count)
        done = self._end - start
        data[:done] = self._view[start : self._end]
        self._start = self._end
        view = memoryview(data)
        while done < count:
            done += self._read(view[done:])
        return data

    def _read(self, view):
        count = self.socket.recv_into(view)
        if not count:
            raise EOFError("the other side closed the connection")
        return count
