"""Servers to compare: how each is started, when it is ready, and what processor time and memory it takes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORKERS = 2
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Server:
    """One server as it is compared.

    Attributes:
        name: in the table.
        command: how it is started; ``{port}`` stands for where it listens, ``{other}`` and ``{third}`` for free ports.
        cwd: where.
        environ: besides this process's own; the same words stand for the same ports.
        path: what the request is posted to.
    """

    name: str
    command: tuple[str, ...]
    cwd: Path = HERE
    environ: Mapping[str, str] = dataclasses.field(default_factory=dict)
    path: str = "/predict"


def gunicorn(name: str, *arguments: str, cwd: Path = HERE, python: str = sys.executable, **environ: str) -> Server:
    """A server that gunicorn runs."""
    command = (python, "-I", "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--log-level", "info", *arguments)
    return Server(name, command, cwd, environ)


def playground(name: str, cwd: Path = HERE, **environ: str) -> Server:
    """Our service, as an image runs it."""
    own = {"ZOOM_LEVEL": "16", "WORKERS": str(WORKERS), "LOG_FORMAT": "json", "AUTH": "none"}
    return gunicorn(name, "--config", str(ROOT / "gunicorn.conf.py"), "app:APP", cwd=cwd, **(own | environ))


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far, user and system."""
        return sum(seconds for _, seconds in self.processes())

    def processes(self) -> list[tuple[str, float]]:
        """The command line and the processor time of each process."""
        found = []
        for process in family(self.pid):
            with contextlib.suppress(OSError):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                found.append((words, (int(fields[11]) + int(fields[12])) * TICK))
        return found

    def pss_mb(self) -> float:
        """Memory of all its processes; what they share counts once."""
        total = 0
        for process in family(self.pid):
            with contextlib.suppress(OSError):
                for line in (process / "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024


def family(pid: int) -> list[Path]:
    """A process and all that come from it, below /proc."""
    found, pending = [], [str(pid)]
    while pending:
        process = Path("/proc") / pending.pop()
        found.append(process)
        with contextlib.suppress(OSError):
            for thread in (process / "task").iterdir():
                pending += (thread / "children").read_text().split()
    return found


@contextlib.contextmanager
def running(server: Server, request: bytes, patience: float = 60.0) -> Iterator[Running]:
    """Start a server, wait until each of its workers answers, and stop it in the end.

    Raises:
        RuntimeError: it does not answer; with the end of what it said.
    """
    ports = dict(zip(("port", "other", "third"), free_ports(3), strict=True))
    port = ports["port"]
    command = [word.format_map(ports) for word in server.command]
    environ = {name: value.format_map(ports) for name, value in server.environ.items()}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            cwd=server.cwd,
            env={**os.environ, "DRAIN_LINGER": "0", **environ},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            _wait(process, port, request, said, time.monotonic() + patience)
            yield Running(port, process.pid)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, request: bytes, said: IO[bytes], deadline: float) -> None:
    """Wait for thirty good answers in a row, each on a connection of its own: so all workers have loaded."""
    good = 0
    status = "nothing"
    while good < 30:
        if process.poll() is not None or time.monotonic() > deadline:
            said.seek(0)
            raise RuntimeError(f"no good answer, last {status}:\n{said.read()[-1500:].decode('utf-8', 'replace')}")
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as sock:
                sock.sendall(request)
                status = sock.recv(65536).partition(b"\r\n")[0].decode("latin-1")
        except OSError as error:
            status = str(error)
        if " 200 " in status:
            good += 1
        else:
            good = 0
            time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
