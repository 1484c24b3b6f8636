"""What gunicorn.conf.py does before anything of ours is imported by name."""

from __future__ import annotations

import importlib.util
import os
import pwd
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from playground.errors import SettingsError
from playground.serving import guard
from playground.settings import load_running, read_number, read_setting


class _Pinned:
    """Finds a few top-level modules in the files they were pinned to, whatever sys.path says."""

    def __init__(self, names: Mapping[str, Path]) -> None:
        self.names = dict(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.names:
            return None
        return importlib.util.spec_from_file_location(fullname, self.names[fullname])


def pin(names: Mapping[str, Path]) -> None:
    """Make ``import NAME`` mean that file: a partner's package ``app`` in the same folder cannot hide our app.py.

    Args:
        names: top-level module name -> its file; what an earlier call pinned is forgotten.
    """
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != _Pinned.__name__]
    sys.meta_path.insert(0, _Pinned(names))


def number(key: str, default: int) -> int:
    """``workers``, ``backlog`` or ``timeout``: the environment's, else ``default``, which app.py then sees too.

    Raises:
        SystemExit: the environment holds no such number; the server stops with one clear line.
    """
    try:
        value = read_number(key, os.environ, default)
    except SettingsError as error:
        raise SystemExit(f"gunicorn.conf.py: {error.message}") from None
    os.environ[key.upper()] = str(value)
    return value


def word(key: str, default: str) -> str:
    """Another setting that the server needs before the application reads the rest.

    Raises:
        SystemExit: as ``number``.
    """
    try:
        return str(read_setting(key, os.environ, default))
    except SettingsError as error:
        raise SystemExit(f"gunicorn.conf.py: {error.message}") from None


def find_config(folder: Path) -> Path | None:
    """The service's app.yaml: PLAYGROUND_CONFIG, else beside app.py in ``folder``, else (a build context) one above."""
    named = os.environ.get("PLAYGROUND_CONFIG")
    if named:
        return Path(named)
    return next((path for path in (folder / "app.yaml", folder.parent / "app.yaml") if path.exists()), None)


def check_settings(folder: Path) -> None:
    """Stop here, in words, if the settings cannot be used: the workers would each say so with a traceback.

    Raises:
        SystemExit: with every problem, a line each.
    """
    try:
        guard.check(load_running(find_config(folder), os.environ))
    except SettingsError as error:
        raise SystemExit("\n  ".join([f"the service cannot start: {error.message}", *error.problems])) from None


def settle_home() -> None:
    """Point HOME at a folder that can be written: libraries of partners cache there, and images run as any user."""
    try:
        own = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        own = ""
    for home in (os.environ.get("HOME", ""), own):
        if home and Path(home).is_dir() and os.access(home, os.W_OK | os.X_OK):
            break
    else:
        home = tempfile.mkdtemp(prefix="home-")
    os.environ["HOME"] = home
