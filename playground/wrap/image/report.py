"""What an image is, as its files and its configuration tell it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from playground.wrap.image.opening import RawImage
from playground.wrap.image.pythons import Interpreter, find_interpreters
from playground.wrap.image.tree import FileTree

LEAKING = re.compile(
    r"(?:PYTHON|PIP_|UV_|VIRTUAL_ENV$|CONDA_|LD_|GUNICORN_CMD_ARGS$|FLASK_|WERKZEUG_|OPENSSL_CONF$|SSL_CERT_)"
    r".*|PORT|WORKERS|BACKLOG|TIMEOUT"
)
"""Environment variables that were meant for the partner's own server or tools, and that another one would read."""
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|AUTH", re.IGNORECASE)
IN_URL = re.compile(r"://[^/@\s]+@")
MODULE = ("/__init__.py", ".py", "/__init__.pyc", ".pyc")


class ImageLayer(msgspec.Struct, frozen=True):
    """A layer: its digest, its bytes, the command that made it (no secrets that ARG gave are known)."""

    digest: str
    size: int
    command: str


class ImageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an image is.

    Attributes:
        reference: as it was asked for.
        digest: by which a registry knows it; empty where none does.
        image_id: of its configuration.
        system: "Debian GNU/Linux 12 (bookworm)", or empty.
        family: debian, redhat, alpine, other.
        libc: "glibc 2.36", "musl", or empty.
        architecture: as the configuration says, like linux/amd64.
        interpreters: its Pythons.
        entrypoint, command, user, workdir, healthcheck, volumes, onbuild, exposed, stop_signal, shell: as configured.
        environment: of what leaks: name -> value, that of a secret or an address with a password hidden.
        secrets: names of variables that look like secrets.
        path: PATH.
        python_path: PYTHONPATH.
        size: bytes of all layers, uncompressed.
        layers: from the lowest.
        package, found: PREDICTOR_PACKAGE, if asked for, and the paths where it is.
        has_shell: whether there is /bin/sh.
        users: names in /etc/passwd.
        api: the names in /api.
        wrapped: whether it is wrapped already.
    """

    reference: str
    digest: str
    image_id: str
    system: str
    family: str
    libc: str
    architecture: str
    interpreters: tuple[Interpreter, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    workdir: str
    healthcheck: str
    volumes: tuple[str, ...]
    onbuild: tuple[str, ...]
    exposed: tuple[str, ...]
    stop_signal: str
    shell: tuple[str, ...]
    environment: dict[str, str]
    secrets: tuple[str, ...]
    path: str
    python_path: tuple[str, ...]
    size: int
    layers: tuple[ImageLayer, ...]
    has_shell: bool
    users: tuple[str, ...]
    api: tuple[str, ...]
    wrapped: bool
    virtual_env: str = ""
    package: str = ""
    found: tuple[str, ...] = ()

    @property
    def packages(self) -> int:
        """How many packages all its Pythons have; one folder that two of them read counts once."""
        return len({package for each in self.interpreters for package in each.packages})


def tree_of(image: RawImage) -> FileTree:
    """The files as a container sees them."""
    tree = FileTree()
    for layer in image.layers:
        tree.apply(layer.entries)
    return tree


def report_on(image: RawImage, package: str | None = None) -> ImageReport:
    """Look into an image.

    Args:
        image: as it was read.
        package: PREDICTOR_PACKAGE, to be looked for.
    """
    tree = tree_of(image)
    config = _mapping(image.config.get("config"))
    environment = dict(_variable(each) for each in _texts(config.get("Env")))
    interpreters = find_interpreters(tree)
    workdir = str(config.get("WorkingDir") or "/")
    python_path = [posixpath.join(workdir, each) for each in environment.get("PYTHONPATH", "").split(":") if each]
    system, family = _system(tree)
    health = _texts(_mapping(config.get("Healthcheck")).get("Test"))
    passwd = (tree.content("etc/passwd") or b"").decode(errors="replace")
    return ImageReport(
        reference=image.reference,
        digest=image.digest,
        image_id=image.image_id,
        system=system,
        family=family,
        libc=_libc(tree),
        architecture=f"{image.config.get('os') or 'linux'}/{image.config.get('architecture') or 'unknown'}",
        interpreters=tuple(interpreters),
        entrypoint=_texts(config.get("Entrypoint")),
        command=_texts(config.get("Cmd")),
        user=str(config.get("User") or ""),
        workdir=workdir,
        healthcheck=" ".join(health),
        volumes=tuple(sorted(_mapping(config.get("Volumes")))),
        onbuild=_texts(config.get("OnBuild")),
        exposed=tuple(sorted(_mapping(config.get("ExposedPorts")))),
        stop_signal=str(config.get("StopSignal") or ""),
        shell=_texts(config.get("Shell")),
        environment={
            name: _shown(name, value) for name, value in sorted(environment.items()) if LEAKING.fullmatch(name)
        },
        secrets=tuple(sorted(name for name, value in environment.items() if _is_secret(name, value))),
        path=environment.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        python_path=tuple(python_path),
        size=sum(layer.size for layer in image.layers),
        layers=_layers(image),
        has_shell=tree.exists("bin/sh"),
        users=tuple(line.partition(":")[0] for line in passwd.splitlines() if ":" in line),
        api=tuple(tree.names("api")),
        wrapped=tree.exists("opt/playground"),
        virtual_env=environment.get("VIRTUAL_ENV") or environment.get("CONDA_PREFIX") or "",
        package=package or "",
        found=_find_package(tree, interpreters, [*python_path, workdir], package) if package else (),
    )


def _find_package(
    tree: FileTree, interpreters: Sequence[Interpreter], folders: Sequence[str], package: str
) -> tuple[str, ...]:
    """Every place of the package, those where the predictor process looks first in front."""
    places = ["/api", *folders[:-1]]
    for interpreter in interpreters:
        places += [*interpreter.folders, *interpreter.search]
    places.append(folders[-1])  # the image's own WORKDIR: it is not the service's
    name = package.replace(".", "/")
    found = [path for place in dict.fromkeys(places) if (path := _module(tree, posixpath.join(place, name)))]
    if found:
        return tuple(dict.fromkeys(found))
    top = name.partition("/")[0]
    for entry in tree.walk():  # somewhere else, for the hint
        if posixpath.basename(entry.path) in (top, f"{top}.py") and entry.kind in ("dir", "file"):
            path = _module(tree, posixpath.join("/", posixpath.dirname(entry.path), name))
            if path:
                found.append(path)
    return tuple(found[:5])


def _module(tree: FileTree, stem: str) -> str:
    for suffix in MODULE:
        if tree.exists(stem + suffix):
            return stem + suffix
    folder, _, name = stem.rpartition("/")
    for each in tree.names(folder):
        if each.startswith(f"{name}.") and each.endswith(".so"):
            return f"{folder}/{each}"
    # A folder without __init__.py is a package, too, when there are modules in it.
    if any(each.endswith((".py", ".so")) for each in tree.names(stem)):
        return stem
    return ""


def _system(tree: FileTree) -> tuple[str, str]:
    text = (tree.content("etc/os-release") or tree.content("usr/lib/os-release") or b"").decode(errors="replace")
    rows = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    kinds = f"{rows.get('ID', '')} {rows.get('ID_LIKE', '')}".split()
    families = {"debian": {"debian", "ubuntu"}, "redhat": {"rhel", "fedora", "centos"}, "alpine": {"alpine"}}
    family = next((name for name, ids in families.items() if ids & set(kinds)), "other")
    return rows.get("PRETTY_NAME") or " ".join(kinds), family


def _libc(tree: FileTree) -> str:
    folders = ["lib", "lib64", "usr/lib", "usr/lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]
    for folder in folders:
        for name in tree.names(folder):
            if name.startswith("ld-musl-"):
                return "musl"
            if re.fullmatch(r"libc(?:-[0-9.]+\.so|\.so\.6)", name):
                version = re.search(rb"release version (\d+\.\d+)", tree.content(f"{folder}/{name}") or b"")
                return f"glibc {version[1].decode()}" if version else "glibc"
    return ""


def _layers(image: RawImage) -> tuple[ImageLayer, ...]:
    history = [each for each in image.config.get("history") or () if isinstance(each, dict)]
    commands = [
        str(each.get("created_by") or each.get("comment") or "") for each in history if not each.get("empty_layer")
    ]
    commands = commands if len(commands) == len(image.layers) else [""] * len(image.layers)
    clean = [re.sub(r"^/bin/sh -c (?:#\(nop\)\s*)?", "", " ".join(each.split())) for each in commands]
    pairs = zip(image.layers, clean, strict=True)
    return tuple(ImageLayer(layer.digest, layer.size, IN_URL.sub("://***@", command)) for layer, command in pairs)


def _variable(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _is_secret(name: str, value: str) -> bool:
    return bool(value and (SECRET.search(name) or IN_URL.search(value)))


def _shown(name: str, value: str) -> str:
    return "***" if SECRET.search(name) else IN_URL.sub("://***@", value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(each) for each in value) if isinstance(value, list) else ()
