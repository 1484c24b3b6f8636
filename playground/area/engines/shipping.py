"""The partner's folder on its way to other machines."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from playground.errors import RunError

MOST_BYTES = 256 * 2**20
"""A folder that holds more is not shipped, but installed."""
LEFT_OUT = frozenset(("__pycache__", "node_modules", "venv"))
VIRTUALENV = "pyvenv.cfg"
EPOCH = (1980, 1, 1, 0, 0, 0)


class Shipment(NamedTuple):
    """A folder, packed.

    Attributes:
        name: a hash of what is in it.
        data: a ZIP archive.
    """

    name: str
    data: bytes


def pack(folder: Path, without: Iterable[Path] = ()) -> Shipment:
    """Pack a folder: the same files give the same bytes.

    Hidden files, virtual environments and caches stay behind.

    Args:
        folder: the partner's project.
        without: files and folders that stay behind, too.

    Raises:
        RunError: it holds too much, or cannot be read.
    """
    behind = {path.resolve() for path in without} - {folder.resolve(), *folder.resolve().parents}
    total = 0
    buffer = io.BytesIO()
    try:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path in _files(folder, behind):
                total += path.stat().st_size
                if total > MOST_BYTES:
                    raise RunError(
                        f"{folder} holds more than {MOST_BYTES // 2**20} MB, too much to send to the workers",
                        "run from a folder with the predictor alone, or install it on the workers: --preinstalled",
                    )
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
                entry.external_attr = (0o755 if os.access(path, os.X_OK) else 0o644) << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 1)
    except OSError as error:
        raise RunError(f"{folder} cannot be sent to the workers: {error}") from error
    data = buffer.getvalue()
    return Shipment(hashlib.blake2b(data, digest_size=16).hexdigest(), data)


def unpack(shipment: Shipment, parent: Path) -> Path:
    """The folder of a shipment, unpacked below ``parent`` unless it is there already; whole, or not at all."""
    folder = parent / f"project-{shipment.name}"
    if not folder.is_dir():
        parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=parent))
        with zipfile.ZipFile(io.BytesIO(shipment.data)) as archive:
            for entry in archive.infolist():
                archive.extract(entry, scratch)
                (scratch / entry.filename).chmod(entry.external_attr >> 16)
        try:
            scratch.rename(folder)
        except OSError:  # somebody was faster
            shutil.rmtree(scratch)
    return folder


def _files(folder: Path, behind: set[Path]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in LEFT_OUT
            and (here / name).resolve() not in behind
            and not (here / name / VIRTUALENV).exists()
        )
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and path.is_file() and path.resolve() not in behind:
                yield path
