"""The layers of an image, listed from the front to the end: nothing is extracted, nothing of it is run.

A layer is a tar from a stranger. Names are never used as paths of this machine; sizes are counted while reading.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import zlib
from typing import IO, Any, NamedTuple

from playground.errors import ImageReadError

CHUNK = 1 << 20
LONGEST_READ = 8 << 20
"""Bytes that tarfile may ask for at once: a header that says more is no header."""
MOST_BYTES = 200 << 30
MOST_ENTRIES = 3_000_000
MOST_KEPT = 512 << 20

KEPT: tuple[tuple[re.Pattern[str], int], ...] = tuple(
    (re.compile(pattern), limit)
    for pattern, limit in (
        (r"(?:etc|usr/lib)/os-release", 1 << 16),
        (r"etc/passwd", 1 << 20),
        (r"(?:.*/)?pyvenv\.cfg", 1 << 16),
        (r".*\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)", 1 << 16),
        (r".*-packages/[^/]+\.(?:pth|egg-link)", 1 << 16),
        (r".*/include/python[^/]*/patchlevel\.h", 1 << 14),
        (r"(?:.*/)?s?bin/(?:python|pypy)[0-9.]*", 64),
        (r"(?:usr/)?lib(?:64)?/(?:[^/]*-linux-gnu/)?libc(?:-[0-9.]+\.so|\.so\.6)", 8 << 20),
    )
)
"""The files whose first bytes are kept, and how many bytes."""


class Entry(NamedTuple):
    """One name in a layer.

    Attributes:
        path: from the root, without a slash in front.
        kind: file, dir, link (symbolic), hard or other.
        size: bytes of a file.
        mode, uid, gid: as Unix has them.
        target: of a link.
        digest: SHA-256 of a file's content, where asked for.
        content: the first bytes of a file in KEPT.
    """

    path: str
    kind: str
    size: int = 0
    mode: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    digest: str = ""
    content: bytes | None = None


class Limits:
    """What one image may cost: bytes, names and kept content, over all its layers."""

    def __init__(self, size: int = MOST_BYTES, entries: int = MOST_ENTRIES, kept: int = MOST_KEPT) -> None:
        self.left = {"bytes": size, "names": entries, "bytes of metadata": kept}

    def spend(self, what: str, amount: int) -> None:
        """Count.

        Raises:
            ImageReadError: more than any honest image has.
        """
        self.left[what] -= amount
        if self.left[what] < 0:
            raise ImageReadError(f"the image has too many {what} to be an honest one", "look at it before you go on")


class Forward:
    """A stream as tarfile wants a file: seeking forward reads, backward only within the last bytes."""

    TAIL = 1024

    def __init__(self, stream: IO[bytes] | Any, limits: Limits) -> None:
        self._stream, self._limits = stream, limits
        self._position = 0
        self._tail = b""  # the last bytes that were read
        self._back = 0  # how many of them are to be read again

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position - self._back

    def seek(self, position: int, whence: int = 0) -> int:
        ahead = position - self.tell()
        if whence or ahead < -(len(self._tail) - self._back):
            raise ImageReadError("a layer is no tar that can be read from the front to the end", "pull the image anew")
        if ahead < 0:
            self._back -= ahead
        while ahead > 0:
            got = self.read(min(ahead, CHUNK))
            if not got:
                break
            ahead -= len(got)
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > LONGEST_READ:
            raise ImageReadError("a layer holds a header that is no header", "pull the image anew")
        again = self._tail[len(self._tail) - self._back :][:size] if self._back else b""
        self._back -= len(again)
        parts = [again] if again else []
        missing = size - len(again)
        while missing > 0:
            got = self._stream.read(missing)
            if not got:
                break
            self._limits.spend("bytes", len(got))
            self._position += len(got)
            missing -= len(got)
            parts.append(got)
        found = b"".join(parts)
        if len(found) > len(again):
            self._tail = (self._tail + found[len(again) :])[-self.TAIL :]
        return found


class Gunzipped:
    """A gzip stream, decompressed piece by piece: a bomb costs no more memory than a piece."""

    def __init__(self, stream: IO[bytes] | Any) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(31)
        self._more = b""

    def read(self, size: int) -> bytes:
        while True:
            if self._inflate.eof:  # a gzip file may have several members
                rest = self._inflate.unused_data or self._stream.read(CHUNK)
                if not rest.strip(b"\0"):
                    return b""
                self._inflate, self._more = zlib.decompressobj(31), rest
            source = self._more or self._stream.read(1 << 16)
            try:
                found = self._inflate.decompress(source, size) if source else self._inflate.flush()
            except zlib.error as error:
                raise ImageReadError(f"a layer cannot be decompressed: {error}", "pull the image anew") from error
            self._more = self._inflate.unconsumed_tail
            if found or not source:
                return found


class Hashing:
    """A stream that knows the digest of what was read of it."""

    def __init__(self, stream: IO[bytes] | Any) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        found: bytes = self._stream.read(size)
        self._hash.update(found)
        self.size += len(found)
        return found

    def digest(self) -> str:
        """Of the whole stream: what is left is read first."""
        while self.read(CHUNK):
            pass
        return f"sha256:{self._hash.hexdigest()}"


def list_layer(stream: IO[bytes] | Any, limits: Limits, hash_files: bool = False) -> list[Entry]:
    """What a layer holds, in its order.

    Args:
        stream: an uncompressed tar; read to its end.
        limits: counted down.
        hash_files: whether to read every file for its digest.

    Raises:
        ImageReadError: no tar, a cut one, or a bomb.
    """
    entries: list[Entry] = []
    reader: Any = Forward(stream, limits)
    archive: Any
    try:
        with tarfile.open(fileobj=reader, mode="r:", errorlevel=2) as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # tarfile keeps all of them otherwise
                limits.spend("names", 1)
                if (path := normal_path(info.name)) is not None:
                    entries.append(_entry(archive, info, path, limits, hash_files))
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise ImageReadError(f"a layer is no tar, or is cut: {error}", "pull or save the image anew") from error
    return entries


def normal_path(name: str) -> str | None:
    """A name in a tar as a path from the root; None for the root, and for a name that leads out of it."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts else "/".join(parts)


def _entry(archive: tarfile.TarFile, info: tarfile.TarInfo, path: str, limits: Limits, hash_files: bool) -> Entry:
    about: dict[str, Any] = {"mode": info.mode & 0o7777, "uid": info.uid, "gid": info.gid}
    if info.isdir():
        return Entry(path, "dir", **about)
    if info.issym():
        return Entry(path, "link", target=info.linkname, **about)
    if info.islnk():
        return Entry(path, "hard", target=normal_path(info.linkname) or "", **about)
    if not info.isreg() or info.sparse is not None:
        return Entry(path, "other", **about)
    keep = next((limit for pattern, limit in KEPT if pattern.fullmatch(path)), 0)
    content, digest = b"", ""
    if keep or hash_files:
        file: Any = archive.extractfile(info)
        content = file.read(min(keep, info.size)) if keep else b""
        limits.spend("bytes of metadata", len(content))
        if hash_files:
            hashed = hashlib.sha256(content)
            while piece := file.read(CHUNK):
                hashed.update(piece)
            digest = hashed.hexdigest()
    return Entry(path, "file", info.size, digest=digest, content=content if keep else None, **about)
