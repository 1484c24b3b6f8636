"""This library as a wheel, made from itself: the same bytes from a checkout and from an installed wheel."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from email import message_from_string
from importlib import metadata
from pathlib import Path

import playground
from playground import resources
from playground.errors import GenerateError

DISTRIBUTION = "tile-playground"


def wheel_bytes() -> tuple[str, bytes]:
    """The wheel's file name and content.

    Raises:
        GenerateError: the library runs without being installed, so its metadata is unknown.
    """
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise GenerateError(f"{DISTRIBUTION} is not installed", "pip install -e . in the checkout") from error
    stem = f"{DISTRIBUTION.replace('-', '_')}-{distribution.version}"
    files = _library() | {
        f"{stem}.dist-info/{name}": content for name, content in _dist_info(distribution, stem).items()
    }
    record = f"{stem}.dist-info/RECORD"
    files[record] = _record(files, record)
    return f"{stem}-py3-none-any.whl", _zip(files)


def _library() -> dict[str, bytes]:
    """Everything that the wheel installs, by path; the rows of pyproject.toml's wheel target."""
    package = resources.files_below(Path(playground.__file__).resolve().parent)
    files = {f"playground/{name}": content for name, content in package.items()}
    files |= {f"playground_interfaces/{name}": content for name, content in resources.interfaces().items()}
    for folder in ("templates", "examples"):
        for name, content in resources.files_below(resources.root() / folder).items():
            files[f"playground/_files/{folder}/{name}"] = content
    for name in ("app/app.py", "app/app_utils.py", "Dockerfile.integration", "app.yaml.j2", "gunicorn.conf.py"):
        files[f"playground/_files/{name}"] = resources.read(name)
    return files


def _dist_info(distribution: metadata.Distribution, stem: str) -> dict[str, bytes]:
    headers = message_from_string(distribution.read_text("METADATA") or "")
    del headers["Description-Content-Type"]
    # The description is the README, for the package index; an editable install keeps the one of its day.
    headers.set_payload("")
    return {
        "METADATA": headers.as_string().encode(),
        "WHEEL": b"Wheel-Version: 1.0\nGenerator: playground\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": (distribution.read_text("entry_points.txt") or "").encode(),
        "licenses/LICENSE": (distribution.read_text("licenses/LICENSE") or "").encode(),
    }


def _record(files: dict[str, bytes], record: str) -> bytes:
    """RECORD: path, hash and size of every file, its own without the last two."""
    rows = []
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*rows, f"{record},,", ""]).encode()


def _zip(files: dict[str, bytes]) -> bytes:
    """A zip archive that depends on names and contents only: stored, because zlib's output differs by version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items(), key=lambda item: (".dist-info/" in item[0], item[0])):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()
