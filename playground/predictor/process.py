"""The partner's interpreter, started."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import playground_interfaces
from playground import blas
from playground.errors import SettingsError

START = """\
import sys
if sys.version_info < (3, 6):
    sys.exit("the predictor needs Python 3.6 or later; " + sys.executable + " is " + sys.version.split()[0])
import importlib.util
spec = importlib.util.spec_from_file_location(
    "playground_interfaces", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]])
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
importlib.import_module("playground_interfaces." + sys.argv[2]).main(int(sys.argv[3]))
"""
"""The contract is loaded from its own folder: that folder's parent, and so the server, never lands on sys.path."""


@dataclasses.dataclass(frozen=True)
class PredictorSpec:
    """Which class to load, with which interpreter, in which folder.

    Attributes:
        package: dotted name of the module, as the partner would import it from ``workdir``.
        class_name: the class in it.
        workdir: the partner's project: the process's current directory, and first on its ``sys.path``.
        python: the partner's interpreter; empty for the first of python3 and python on PATH.
        environ: its environment; None for the server's own.
        hooks: additional_checks, preprocessor, postprocessor -> the dotted name of a function of the partner's.
        nursery: the socket of the process that loads the model once for all workers of a server; None to load it here.
    """

    package: str
    class_name: str
    workdir: Path
    python: str = ""
    environ: Mapping[str, str] | None = None
    hooks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    nursery: Path | None = None


def find_python(python: str = "") -> str:
    """The path of the partner's interpreter.

    Raises:
        SettingsError: there is none.
    """
    for name in [python] if python else ["python3", "python"]:
        found = shutil.which(os.path.expanduser(name))
        if found:
            return found
    raise SettingsError(
        f"no Python at {python}" if python else "no python3 and no python on PATH",
        "set PREDICTOR_PYTHON (or --python) to the interpreter that has the predictor's packages",
    )


class Process(Protocol):
    """What the server needs of a predictor process, whoever is its parent: as far as it goes, subprocess.Popen."""

    @property
    def pid(self) -> int | None:
        """None as long as there is no process."""

    def poll(self) -> int | None:
        """How it ended, as subprocess.Popen tells; None while it lives."""

    def has_ended(self) -> bool:
        """Whether it is known to have ended; the kernel is not asked."""

    def wait(self, timeout: float | None = None) -> int:
        """How it ended.

        Raises:
            subprocess.TimeoutExpired: it lives on.
        """

    def kill_group(self) -> None:
        """End it, and what it forked, at once."""

    def close(self) -> None:
        """Give back what was needed to follow it."""


class StartedProcess:
    """The partner's interpreter, running a module of the contract.

    Args:
        spec: which interpreter, where.
        module: of ``playground_interfaces``; its ``main`` gets the number of ``descriptor``.
        descriptor: an open file that the process inherits.
        stdout, stderr: open files.

    Raises:
        SettingsError: no such interpreter.
        OSError: it cannot be started.
    """

    def __init__(self, spec: PredictorSpec, module: str, descriptor: int, stdout: int, stderr: int) -> None:
        contract = str(Path(playground_interfaces.__file__).parent)
        self._process = subprocess.Popen(
            [find_python(spec.python), "-u", "-c", START, contract, module, str(descriptor)],
            cwd=spec.workdir,
            env=blas.environment(spec.environ),
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            # A group of its own: a terminal's Ctrl-C is for the server, and what the predictor forks ends with it.
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def has_ended(self) -> bool:
        return self._process.returncode is not None

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Nothing to give back."""
