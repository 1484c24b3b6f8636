"""Scratch folders: gone with their process, or after it was killed, and never one that is used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from playground import scratch
from playground.serving import metrics_folder

HOLD = (
    "import sys; from playground.scratch import make; made = make(*sys.argv[1:]); print(made[0], flush=True); input()"
)


@pytest.fixture
def holder() -> Iterator[Callable[..., tuple[subprocess.Popen[str], Path]]]:
    """Start a process that makes a folder and holds it."""
    started: list[subprocess.Popen[str]] = []

    def start(prefix: str, parent: Path) -> tuple[subprocess.Popen[str], Path]:
        command = [sys.executable, "-c", HOLD, prefix, str(parent)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_a_killed_process_left_goes_and_what_is_held_stays(holder: Callable, tmp_path: Path) -> None:
    killed, left = holder("run-", tmp_path)
    _, held = holder("run-", tmp_path)
    (left / "journal").write_text("ten kilobytes a tile")
    (tmp_path / "run-of-somebody-else").mkdir()
    assert scratch.sweep("run-", str(tmp_path)) == []
    killed.kill()
    killed.wait()
    assert scratch.sweep("other-", str(tmp_path)) == []
    assert scratch.sweep("run-", str(tmp_path)) == [left]
    assert sorted(tmp_path.iterdir()) == sorted([held, tmp_path / "run-of-somebody-else"])


def test_a_folder_goes_with_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch.folder("run-") as made:
        (made / "journal").touch()
        assert scratch.sweep("run-") == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_takes_away_what_killed_ones_left(
    holder: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv(metrics_folder.VARIABLE, "")
    server = SimpleNamespace()
    metrics_folder.on_starting(server)  # in memory, or wherever this machine has it
    own = metrics_folder.folder()
    assert own is not None
    killed, left = holder(f"{metrics_folder.PREFIX}1-", own.parent)
    answers = metrics_folder.answers_folder(str(left))
    answers.mkdir()
    killed.kill()
    killed.wait()
    try:
        metrics_folder.on_starting(SimpleNamespace())
        newer = metrics_folder.folder()
        assert newer is not None
        assert (own.exists(), left.exists(), answers.exists()) == (True, False, False)
        metrics_folder.on_exit(server)
        assert not newer.exists()
    finally:
        shutil.rmtree(own)
