"""Frames between the server and the predictor process, over one stream socket.

A frame is a head (JSON, UTF-8) and a blob (bytes): 4 bytes of head length, 8 bytes of blob length, both big-endian,
then head, then blob. Nothing is pickled, so neither side can make the other run code.
"""

import json
import struct

LENGTHS = struct.Struct("!IQ")
MAX_HEAD = 64 * 1024 * 1024
"""Bytes: a longer head means that something else writes to the socket."""


def send(sock, head, blobs=()):
    """Send one frame: ``head`` a dict, ``blobs`` bytes-like parts that travel one after the other as one blob."""
    encoded = json.dumps(head, separators=(",", ":")).encode("utf-8")
    views = [memoryview(blob).cast("B") for blob in blobs]
    lengths = LENGTHS.pack(len(encoded), sum(len(view) for view in views))
    sock.sendall(b"".join([lengths, encoded, *views]))


def receive(sock):
    """Receive one frame.

    Returns:
        (dict, bytearray): the head and the blob.

    Raises:
        EOFError: the other side is gone.
        ValueError: the bytes are no frame.
    """
    head_length, blob_length = LENGTHS.unpack(bytes(_read(sock, LENGTHS.size)))
    if head_length > MAX_HEAD:
        raise ValueError("not a frame: a head of %d bytes" % head_length)
    head = json.loads(_read(sock, head_length).decode("utf-8"))
    return head, _read(sock, blob_length)


def _read(sock, count):
    data = bytearray(count)
    view = memoryview(data)
    done = 0
    while done < count:
        received = sock.recv_into(view[done:])
        if not received:
            raise EOFError("the other side closed the connection")
        done += received
    return data
