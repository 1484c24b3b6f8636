"""The Pythons of an image and what is installed in them, by their files alone."""

from __future__ import annotations

import posixpath
import re
import struct
from email.parser import HeaderParser

import msgspec

from playground.wrap.image.layers import Entry
from playground.wrap.image.tree import FileTree

AMD64 = 62
"""ELF's number of the architecture."""


class Package(msgspec.Struct, frozen=True, order=True):
    """A distribution: its name, its version, the folder that holds it."""

    name: str
    version: str
    folder: str


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python.

    Attributes:
        path: by which it is to be started (a virtual environment's own, not what that links to).
        paths: all names of the same Python.
        version: as far as the files tell: 3.11.2, or 3.11.
        kind: system, local (/usr/local), venv, conda, pyenv or other.
        prefix: what its sys.prefix is.
        real: the file that runs.
        amd64: whether the file is a program for amd64; None where that cannot be told.
        venv: whether it can make virtual environments.
        ensurepip: whether it can put pip into them.
        folders: where it looks for packages.
        search: folders that .pth files (editable installations) add.
        packages: sorted by name.
    """

    path: str
    paths: tuple[str, ...] = ()
    version: str
    kind: str
    prefix: str
    real: str
    amd64: bool | None = None
    venv: bool = False
    ensurepip: bool = False
    folders: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers; empty where it is unknown."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version)[:3])


def find_interpreters(tree: FileTree) -> list[Interpreter]:
    """Every Python of the image, one for each prefix and version, sorted by path."""
    candidates: dict[tuple[str, str], list[str]] = {}
    for entry in tree.walk():
        folder, _, name = entry.path.rpartition("/")
        # A usr-merged image has /bin as a link to /usr/bin: walking does not follow it, so a Python is met once.
        if posixpath.basename(folder) != "bin" or not re.fullmatch(r"(?:python|pypy)[0-9.]*", name):
            continue
        real = tree.resolve(entry.path)
        if real is None or _content(tree.find(real))[:2] == b"#!":  # a pyenv shim is no interpreter
            continue
        # A virtual environment is where its link is; any other Python, where its file is.
        prefix = posixpath.dirname(folder)
        if _pyvenv(tree, prefix) is None:
            prefix = posixpath.dirname(posixpath.dirname(real))
        version = _version(tree, prefix, real, name)
        if version:
            candidates.setdefault((prefix, ".".join(version.split(".")[:2])), []).append(entry.path)
    found = [_interpreter(tree, prefix, paths) for (prefix, _), paths in candidates.items()]
    return sorted(found, key=lambda each: each.path)


def _interpreter(tree: FileTree, prefix: str, paths: list[str]) -> Interpreter:
    def rank(path: str) -> tuple[bool, int, str]:  # the name that people use: python3, python, python3.11
        folder, _, name = path.rpartition("/")
        return (posixpath.dirname(folder) != prefix, {"python3": 0, "python": 1}.get(name, 2), name)

    path = min(paths, key=rank)
    real = tree.resolve(path) or path
    version = _version(tree, prefix, real, posixpath.basename(path))
    minor = ".".join(version.split(".")[:2])
    config = _pyvenv(tree, prefix)
    base = prefix
    if config is not None:
        base = posixpath.dirname(config.get("home", "").strip("/")) or posixpath.dirname(posixpath.dirname(real))
    stdlib = f"{base}/lib/python{minor}" if base else f"lib/python{minor}"
    folders = _folders(tree, prefix, minor)
    if config is not None and config.get("include-system-site-packages", "").lower() == "true":
        folders += [each for each in _folders(tree, base, minor) if each not in folders]
    return Interpreter(
        path=f"/{path}",
        paths=tuple(f"/{each}" for each in sorted(paths)),
        version=version,
        kind=_kind(tree, prefix, config),
        prefix=f"/{prefix}",
        real=f"/{real}",
        amd64=_is_amd64(tree.find(real)),
        venv=tree.exists(f"{stdlib}/venv/__init__.py"),
        ensurepip=tree.exists(f"{stdlib}/ensurepip/__init__.py"),
        folders=tuple(f"/{each}" for each in folders),
        search=tuple(_added(tree, folders)),
        packages=tuple(sorted(package for each in folders for package in packages_in(tree, each))),
    )


def _kind(tree: FileTree, prefix: str, config: dict[str, str] | None) -> str:
    if config is not None:
        return "venv"
    if tree.names(f"{prefix}/conda-meta"):
        return "conda"
    if re.search(r"(?:^|/)versions/[^/]+$", prefix):
        return "pyenv"
    return {"usr": "system", "": "system", "usr/local": "local"}.get(prefix, "other")


def _version(tree: FileTree, prefix: str, real: str, name: str) -> str:
    """What the files say, the most exact first."""
    minor = re.search(r"(\d+\.\d+)$", posixpath.basename(real)) or re.search(r"(\d+\.\d+)$", name)
    config = _pyvenv(tree, prefix)
    if config is not None and (
        told := re.match(r"\d+\.\d+(?:\.\d+)?", config.get("version", "") or config.get("version_info", ""))
    ):
        return told[0]
    if minor is None:  # bin/python3 that is a file of its own: the standard library beside it tells
        libraries = [re.fullmatch(r"python(\d+\.\d+)", each) for each in tree.names(f"{prefix}/lib")]
        minor = next((each for each in libraries if each and tree.exists(f"{prefix}/lib/{each[0]}/os.py")), None)
    if minor is None:
        return ""
    header = _content(tree.find(f"{prefix}/include/python{minor[1]}/patchlevel.h"))
    exact = re.search(rb'PY_VERSION\s+"([^"]+)"', header)
    named = re.search(rf"/versions/({re.escape(minor[1])}\.\d+)$", f"/{prefix}")
    metas = (re.match(r"python-(\d+\.\d+\.\d+)-", each) for each in tree.names(f"{prefix}/conda-meta"))
    conda = next((each[1] for each in metas if each and each[1].startswith(f"{minor[1]}.")), None)
    return exact[1].decode(errors="replace") if exact else named[1] if named else conda or minor[1]


def _pyvenv(tree: FileTree, prefix: str) -> dict[str, str] | None:
    content = tree.content(f"{prefix}/pyvenv.cfg") if prefix else None
    if content is None:
        return None
    rows = (line.partition("=") for line in content.decode(errors="replace").splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in rows}


def _folders(tree: FileTree, prefix: str, minor: str) -> list[str]:
    """Where ``site`` looks, in its order; Debian's and Fedora's ways included."""
    major = minor.partition(".")[0]
    candidates = [f"{prefix}/{lib}/python{minor}/site-packages" for lib in ("lib", "lib64")]
    if prefix in ("usr", ""):
        candidates = [
            f"usr/local/lib/python{minor}/dist-packages",
            f"usr/lib/python{major}/dist-packages",
            f"usr/lib/python{minor}/dist-packages",
            *(f"usr/local/{lib}/python{minor}/site-packages" for lib in ("lib", "lib64")),
            *candidates,
        ]
    found: list[str] = []
    for candidate in candidates:
        real = tree.resolve(candidate)
        if real is not None and real not in found:
            found.append(real)
    return found


def packages_in(tree: FileTree, folder: str) -> list[Package]:
    """The distributions in a folder of packages."""
    found = []
    for name in tree.names(folder):
        stem, _, kind = name.rpartition(".")
        if kind == "egg-link":
            found.append(Package(stem, "", f"/{folder}"))
        if kind not in ("dist-info", "egg-info"):
            continue
        path = f"{folder}/{name}"
        content = next(
            (text for each in ("METADATA", "PKG-INFO") if (text := tree.content(f"{path}/{each}")) is not None),
            tree.content(path),
        )
        headers = HeaderParser().parsestr((content or b"").decode(errors="replace").partition("\n\n")[0])
        parts = stem.split("-")
        told = (str(headers.get("Name") or parts[0]), str(headers.get("Version") or (parts[1] if parts[1:] else "")))
        found.append(Package(*told, f"/{folder}"))
    return found


def _added(tree: FileTree, folders: list[str]) -> list[str]:
    """What .pth files and egg-links put on the path."""
    found: list[str] = []
    for folder in folders:
        for name in tree.names(folder):
            if not name.endswith((".pth", ".egg-link")):
                continue
            for line in (tree.content(f"{folder}/{name}") or b"").decode(errors="replace").splitlines():
                path = posixpath.normpath(posixpath.join(f"/{folder}", line.strip()))
                if line.strip() and not line.startswith(("#", "import ", "import\t")) and path not in found:
                    found.append(path)
    return found


def _is_amd64(entry: Entry | None) -> bool | None:
    head = _content(entry)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    machine: int = struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])[0]
    return machine == AMD64


def _content(entry: Entry | None) -> bytes:
    return (entry.content or b"") if entry is not None else b""
