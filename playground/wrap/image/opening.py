"""Where an image comes from: an engine on this machine, an archive, an OCI layout, a registry. It is only read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import posixpath
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import zstandard

from playground.errors import ImageReadError
from playground.wrap.image.layers import CHUNK, Entry, Forward, Gunzipped, Hashing, Limits, list_layer, normal_path

ENGINES = ("docker", "podman")
ZSTD = b"\x28\xb5\x2f\xfd"
LONGEST_DOCUMENT = 8 << 20
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
Progress = Callable[[int], None]
"""Told how many bytes more were read."""


@dataclasses.dataclass(frozen=True)
class RawLayer:
    """One layer: the digest of its tar, the bytes of its tar, and what it holds."""

    digest: str
    size: int
    entries: list[Entry]


@dataclasses.dataclass(frozen=True)
class RawImage:
    """An image as it is stored.

    Attributes:
        reference: as it was asked for.
        digest: of the manifest, by which a registry knows it; empty where there is none.
        image_id: of the configuration.
        config: the image's configuration, as OCI says it.
        layers: from the lowest.
    """

    reference: str
    digest: str
    image_id: str
    config: Mapping[str, Any]
    layers: list[RawLayer]


def read_image(reference: str, hash_files: bool = False, progress: Progress | None = None) -> RawImage:
    """Read an image, wherever it is.

    Args:
        reference: a file (`docker save`, an OCI archive), a folder (an OCI layout), or a reference: of an image in
            this machine's engine, else in a registry.
        hash_files: whether to digest the content of every file.
        progress: told of bytes.

    Raises:
        ImageReadError: there is none, or it is broken.
    """
    limits = Limits()
    path = Path(reference)
    try:
        if path.is_dir():
            return _read_layout(path, limits, hash_files, progress)
        if path.is_file():
            with path.open("rb") as file:
                return read_archive(file, reference, limits, hash_files, progress)
    except OSError as error:
        raise ImageReadError(
            f"{reference}: {error.strerror or error}", "name a file or folder that you may read"
        ) from error
    for engine in ENGINES:
        if (found := engine_digest(engine, reference)) is not None:
            with _saved(engine, reference) as stream:
                image = read_archive(stream, reference, limits, hash_files, progress)
            return dataclasses.replace(image, digest=found)
    from playground.wrap.image.registry import read_registry  # noqa: PLC0415 - only where it is needed

    return read_registry(reference, limits, hash_files, progress)


def engine_digest(engine: str, reference: str) -> str | None:
    """The digest by which registries know an image of the engine, '' where none does; None: no such image."""
    if shutil.which(engine) is None:
        return None
    command = [engine, "image", "inspect", "--format", "{{json .RepoDigests}}", "--", reference]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    name = repository_of(reference)
    digests = [each.partition("@") for each in json.loads(done.stdout.strip() or "null") or ()]
    return next((digest for repository, _, digest in digests if _same_repository(repository, name)), "")


def repository_of(reference: str) -> str:
    """A reference without its tag and digest."""
    name = reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    return posixpath.join(head, last.partition(":")[0])


def _same_repository(one: str, other: str) -> bool:
    def full(name: str) -> str:
        return re.sub(r"^(?:docker\.io/)?(?:library/)?", "", name)

    return full(one) == full(other)


@contextlib.contextmanager
def _saved(engine: str, reference: str) -> Iterator[IO[bytes]]:
    process = subprocess.Popen([engine, "save", "--", reference], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process.stdout
        while process.stdout.read(CHUNK):
            pass
    except ImageReadError:
        process.kill()
        words = process.stderr.read(4096).decode(errors="replace").strip()
        if words:
            raise ImageReadError(f"{engine} save {reference}: {words}", "see what the engine says") from None
        raise
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


class _Watched:
    """A stream that tells of its progress, and starts with what was read of it already."""

    def __init__(self, stream: Any, progress: Progress | None, head: bytes = b"") -> None:
        self._stream, self._progress, self._head = stream, progress, head

    def read(self, size: int) -> bytes:
        if self._head:
            found, self._head = self._head[:size], self._head[size:]
            return found
        found = self._stream.read(size)
        if self._progress:
            self._progress(len(found))
        return bytes(found)


def read_layer(stream: Any, limits: Limits, hash_files: bool, progress: Progress | None = None) -> RawLayer:
    """List a layer, compressed or not, to its end.

    Raises:
        ImageReadError: it cannot be read.
    """
    head = stream.read(512)
    whole: Any = _Watched(stream, progress, head)
    if head[:2] == b"\x1f\x8b":
        whole = Gunzipped(whole)
    elif head[:4] == ZSTD:
        whole = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(whole, read_across_frames=True)
    hashing = Hashing(whole)
    try:
        entries = list_layer(hashing, limits, hash_files)
        return RawLayer(hashing.digest(), hashing.size, entries)
    except zstandard.ZstdError as error:
        raise ImageReadError(f"a layer cannot be decompressed: {error}", "pull the image anew") from error


def read_archive(
    stream: IO[bytes],
    reference: str,
    limits: Limits,
    hash_files: bool = False,
    progress: Progress | None = None,
) -> RawImage:
    """What `docker save` writes, or an OCI layout in a tar; in any order of its members.

    Raises:
        ImageReadError: neither.
    """
    documents: dict[str, bytes] = {}
    layers: dict[str, RawLayer] = {}
    links: dict[str, str] = {}
    reader: Any = Forward(stream, Limits())
    archive: Any
    try:
        with tarfile.open(fileobj=reader, mode="r:", errorlevel=2) as archive:
            while (info := archive.next()) is not None:
                archive.members = []
                limits.spend("names", 1)
                name = normal_path(info.name)
                if name is None:
                    continue
                if info.issym() or info.islnk():
                    folder = posixpath.dirname(name) if info.issym() else ""
                    links[name] = posixpath.normpath(posixpath.join(folder, info.linkname))
                if not info.isreg() or info.sparse is not None:
                    continue
                file: Any = archive.extractfile(info)
                head = file.read(512)
                file.seek(0)
                if head[:1] in (b"{", b"[") and info.size <= LONGEST_DOCUMENT:
                    documents[name] = file.read()
                    limits.spend("bytes of metadata", info.size)
                elif (
                    head[257:262] == b"ustar"
                    or head[:2] == b"\x1f\x8b"
                    or head[:4] == ZSTD
                    or (not any(head) and info.size >= 512)
                ):
                    layers[name] = read_layer(file, limits, hash_files, progress)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise ImageReadError(f"{reference} is no archive of an image, or is cut: {error}", "save it anew") from error
    for name, target in links.items():
        if target in layers:
            layers.setdefault(name, layers[target])
    if "manifest.json" in documents:
        return _of_docker(reference, documents, layers)
    if "index.json" in documents:
        blobs = {posixpath.join("blobs", *digest.split(":")): digest for digest in _digests(documents)}
        of_digest = {digest: documents[name] for name, digest in blobs.items() if name in documents}
        chosen, manifest = choose_manifest(documents["index.json"], lambda digest: of_digest[digest])
        config = parse(of_digest[manifest["config"]["digest"]])
        listed = [layers[f"blobs/{each['digest'].replace(':', '/')}"] for each in manifest["layers"]]
        return checked(RawImage(reference, chosen, manifest["config"]["digest"], config, listed))
    raise ImageReadError(f"{reference} is no archive of an image", "save it with `docker save` or skopeo")


def _digests(documents: Mapping[str, bytes]) -> list[str]:
    names = (re.fullmatch(r"blobs/sha256/([0-9a-f]{64})", name) for name in documents)
    return [f"sha256:{match[1]}" for match in names if match]


def _of_docker(reference: str, documents: Mapping[str, bytes], layers: Mapping[str, RawLayer]) -> RawImage:
    try:
        images = parse(documents["manifest.json"])
        if len(images) != 1:
            raise ImageReadError(f"{reference} holds {len(images)} images", "save just one")
        config = documents[images[0]["Config"]]
        listed = [layers[name] for name in images[0]["Layers"]]
        name = posixpath.basename(images[0]["Config"]).removesuffix(".json")
        image = RawImage(reference, "", f"sha256:{name}", parse(config), listed)
    except (KeyError, TypeError, IndexError) as error:
        raise ImageReadError(
            f"{reference}: its manifest names what it does not hold: {error}", "save it anew"
        ) from error
    return checked(image)


def _read_layout(folder: Path, limits: Limits, hash_files: bool, progress: Progress | None) -> RawImage:
    def blob(digest: str) -> Path:
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            raise ImageReadError(f"{folder}: {digest!r} is no digest", "save it anew")
        return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def document(digest: str) -> bytes:
        with blob(digest).open("rb") as file:
            return file.read(LONGEST_DOCUMENT)

    if not (folder / "index.json").is_file():
        raise ImageReadError(
            f"{folder} is no OCI layout: it has no index.json", "name a layout, an archive or an image"
        )
    chosen, manifest = choose_manifest((folder / "index.json").read_bytes()[:LONGEST_DOCUMENT], document)
    layers = []
    for each in manifest["layers"]:
        with blob(each["digest"]).open("rb") as file:
            layers.append(read_layer(file, limits, hash_files, progress))
    config = manifest["config"]["digest"]
    return checked(RawImage(str(folder), chosen, config, parse(document(config)), layers))


def choose_manifest(index: bytes, document: Callable[[str], bytes], digest: str = "") -> tuple[str, dict[str, Any]]:
    """The digest and the manifest of the image for linux/amd64, or of the only one.

    Args:
        index: an index, or a manifest itself.
        document: gives the bytes of a digest.
        digest: of ``index``.

    Raises:
        ImageReadError: there is none, or it is not of a kind that is read here.
    """
    for _ in range(4):  # an index of indices is allowed, a ring is not
        found = parse(index)
        if not isinstance(found, dict):
            break
        if isinstance(found.get("layers"), list) and isinstance(found.get("config"), dict):
            return digest, found
        images = [each for each in found.get("manifests") or () if isinstance(each, dict)]
        # BuildKit's attestations stand beside the images, for the platform unknown/unknown.
        images = [each for each in images if (each.get("platform") or {}).get("os") != "unknown"]
        amd64 = [each for each in images if (each.get("platform") or {}).get("architecture") == "amd64"]
        if not images:
            break
        digest = str((amd64 or images)[0].get("digest"))
        if not DIGEST.fullmatch(digest):
            break
        try:
            index = document(digest)
        except KeyError as error:
            raise ImageReadError(f"the image's index names what is not there: {digest}", "save it anew") from error
    raise ImageReadError("the image has no manifest that is read here", "Docker's schema 2 and OCI manifests are")


def parse(document: bytes) -> Any:
    """JSON.

    Raises:
        ImageReadError: it is not.
    """
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ImageReadError(f"the image's description is no JSON: {error}", "save or push it anew") from error


def checked(image: RawImage) -> RawImage:
    """The image, when its layers are those that its configuration names.

    Raises:
        ImageReadError: they are not.
    """
    rootfs = image.config.get("rootfs") if isinstance(image.config, dict) else None
    named = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    found = [layer.digest for layer in image.layers]
    if named != found:
        raise ImageReadError(f"{image.reference}: its layers are not those that it names", "pull or save it anew")
    return image
