"""Images made of nothing: layers as dictionaries, written as `docker save` or an OCI layout would."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ELF = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\x00\x3e\x00" + b"\0" * 44
"""The first bytes of a program for amd64."""
ARM = ELF[:18] + b"\xb7\x00" + ELF[20:]
DEBIAN = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'
GLIBC = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"


def layer(files: Mapping[str, bytes | str | tarfile.TarInfo | None]) -> bytes:
    """A layer: bytes are a file, a text is a symbolic link, None a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            elif isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def system(version: str = "3.11", **more: bytes | str | None) -> dict[str, Any]:
    """Debian with a Python of its own, as files."""
    return {
        "etc/os-release": DEBIAN,
        "etc/passwd": b"root:x:0:0::/root:/bin/sh\nmodeler:x:1000:1000::/home/modeler:/bin/sh\n",
        "usr/lib/x86_64-linux-gnu/libc.so.6": GLIBC,
        "usr/bin/sh": ELF,
        "bin": "usr/bin",
        f"usr/bin/python{version}": ELF,
        f"usr/bin/python{version[0]}": f"python{version}",
        f"usr/lib/python{version}/os.py": b"",
        f"usr/lib/python{version}/venv/__init__.py": b"",
        f"usr/lib/python{version}/ensurepip/__init__.py": b"",
        f"usr/lib/python{version[0]}/dist-packages/requests-2.25.1.dist-info/METADATA": metadata("requests", "2.25.1"),
        "api/ship/__init__.py": b"",
        **more,
    }


def metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nWords.".encode()


def configuration(layers: Sequence[bytes], **config: Any) -> bytes:
    """The image's configuration; ``architecture`` goes where it belongs, the rest is how it runs."""
    return json.dumps(
        {
            "architecture": config.pop("architecture", "amd64"),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in layers]},
            "history": [{"created_by": f"/bin/sh -c #(nop) COPY layer {number}"} for number in range(len(layers))],
        }
    ).encode()


def save(path: Path, layers: Sequence[bytes], configured: bytes | None = None, **config: Any) -> str:
    """Write what `docker save` writes; its path."""
    configured = configured or configuration(layers, **config)
    named = {f"{number}/layer.tar": each for number, each in enumerate(layers)}
    manifest = [{"Config": f"{digest(configured)[7:]}.json", "RepoTags": ["a:b"], "Layers": list(named)}]
    files = {**named, f"{digest(configured)[7:]}.json": configured, "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(layer(files))
    return str(path)


def blobs_of(layers: Sequence[bytes], **config: Any) -> tuple[dict[str, bytes], str]:
    """An image as a registry has it: digest -> blob, gzip layers; and the digest of its manifest."""
    configured = configuration(layers, **config)
    packed = [gzip.compress(each, mtime=0) for each in layers]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"digest": digest(configured), "size": len(configured)},
            "layers": [{"digest": digest(each), "size": len(each)} for each in packed],
        }
    ).encode()
    return {digest(each): each for each in (configured, manifest, *packed)}, digest(manifest)


def layout(folder: Path, layers: Sequence[bytes], **config: Any) -> str:
    """Write an OCI layout; its path."""
    blobs, manifest = blobs_of(layers, **config)
    (folder / "blobs" / "sha256").mkdir(parents=True)
    for name, content in blobs.items():
        (folder / "blobs" / "sha256" / name[7:]).write_bytes(content)
    unknown = {"digest": "sha256:" + "0" * 64, "platform": {"os": "unknown", "architecture": "unknown"}}
    (folder / "index.json").write_text(json.dumps({"manifests": [unknown, {"digest": manifest}]}))
    return str(folder)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
