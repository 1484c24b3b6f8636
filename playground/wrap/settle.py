"""The last step inside an image: the service's user, and the links in /api. Run by the server's own Python there.

    python -I -B -m playground.wrap.settle [--verify /api/gunicorn.conf.py]

Standard library only, and no shell: not every image has one. ``run_as`` in the environment names the user.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

OURS = "playground"
FIRST_ID = 10001


def settle(root: Path, run_as: str) -> str:
    """Make everything ours readable, the links where the partner has none of that name, and the user.

    Args:
        root: of the file system.
        run_as: a user of the image by name or number, with a group after a colon or without; ``playground`` is made.

    Returns:
        What is wrong; empty if nothing is.
    """
    app = root / "opt/playground/app"
    for path in (app, *app.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    api = root / "api"
    api.mkdir(exist_ok=True)
    for path in sorted(app.iterdir()):
        link = api / path.name
        if not os.path.lexists(link):
            link.symlink_to(f"/opt/playground/app/{path.name}")
    name = run_as.partition(":")[0]
    passwd, group = root / "etc/passwd", root / "etc/group"
    if name == OURS and OURS not in _names(passwd):
        number = _free_number(passwd, group)
        if OURS not in _names(group):
            _append(group, f"{OURS}:x:{number}:")
        _append(passwd, f"{OURS}:x:{number}:{number}::/home/{OURS}:/bin/sh")
        home = root / "home" / OURS
        home.mkdir(parents=True, exist_ok=True)
        os.chown(home, number, number)
    if not name.isdigit() and name not in _names(passwd):
        return f"the image has no user {name}; name one of its own with --build-arg run_as=USER"
    return ""


def _rows(path: Path) -> list[list[str]]:
    try:
        return [line.split(":") for line in path.read_text(errors="surrogateescape").splitlines()]
    except FileNotFoundError:
        return []


def _names(path: Path) -> set[str]:
    return {row[0] for row in _rows(path)}


def _free_number(*paths: Path) -> int:
    taken = {row[2] for path in paths for row in _rows(path) if len(row) > 2}
    number = FIRST_ID
    while str(number) in taken:
        number += 1
    return number


def _append(path: Path, line: str) -> None:
    """A line more; the file may lack the end of its last one."""
    text = path.read_bytes() if path.exists() else b""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write((b"\n" if text and not text.endswith(b"\n") else b"") + line.encode() + b"\n")


def verify(conf: Path) -> str:
    """What is wrong with a configuration that should be there; empty if nothing is."""
    words = "the image declares /api, or a folder above, a VOLUME, so what is put there while building is lost"
    return "" if conf.exists() else f"{conf} is gone: {words}; generate with --inspect, or take the VOLUME away"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--verify"]:
        problem = verify(Path(sys.argv[2]))
    else:
        problem = settle(Path("/"), os.environ.get("run_as", OURS))  # noqa: SIM112 - the name of the Dockerfile's ARG
    if problem:
        sys.exit(f"playground: {problem}")
