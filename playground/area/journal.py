"""The journal of a run: what became of each tile, and what it gave, on disk and safe from crashes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from playground.area.outcome import Outcome
from playground.errors import RunError

FORMAT = 2
"""Of journals; those of others cannot be gone on with."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tiles (
    seq INTEGER PRIMARY KEY, z INTEGER, x INTEGER, y INTEGER, fate TEXT, attempts INTEGER, features INTEGER,
    seconds REAL, kind TEXT, error TEXT, missing TEXT, repairs TEXT
);
CREATE TABLE IF NOT EXISTS pieces (seq INTEGER PRIMARY KEY, pieces BLOB);
"""
"""What is counted and told of tiles is apart from what they gave, which is a hundred times as much."""
PAGE = 16_384
"""Bytes: what a tile gave lies on one page or two, and is written with as many calls."""
CHECKPOINT = 1024
"""Pages written before they are moved from the log into the file: 16 MiB."""
INSERT = "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_PIECES = "INSERT OR REPLACE INTO pieces VALUES (?, ?)"
COLUMNS = ("z", "x", "y", "fate", "attempts", "features", "seconds", "kind", "error", "missing")
"""Of the table of tiles, as it is written for people."""


class Journal:
    """Outcomes by the place of their tile in the order of the area.

    Args:
        path: an SQLite file; made if it is not there.
        about: what the run is: another run's journal is refused.
        resume: keep what is there but failed tiles; else it is begun anew.

    Raises:
        RunError: the file is no journal, or one of another run.
    """

    def __init__(self, path: Path, about: dict[str, Any], resume: bool) -> None:
        self.path = path
        self._zoom = int(about["zoom"])
        _check_ours(path)
        if not resume:
            remove(path)
        try:
            # The main thread writes; isolation_level None: transactions begin where we say.
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute(f"PRAGMA page_size = {PAGE}")
            # After a power cut the last moments may be gone; after a crash of ours nothing is.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")
            self._db.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            self._check(about)
            self._db.execute("DELETE FROM tiles WHERE fate = 'failed'")
        except sqlite3.DatabaseError as error:
            raise RunError(f"{path} cannot be used as a journal: {error}", "name another --out") from error

    def _check(self, about: dict[str, Any]) -> None:
        told = dict(self._db.execute("SELECT key, value FROM about").fetchall())
        wanted = {key: json.dumps(value) for key, value in {"format": FORMAT, **about}.items()}
        if told and told.get("format") != wanted["format"]:
            raise RunError(
                f"{self.path} was written by another version of playground, which keeps tiles otherwise",
                "run without --resume to begin anew, or go on with the version that began it",
            )
        different = [key for key in wanted if key in told and told[key] != wanted[key]]
        if different:
            key = different[0]
            raise RunError(
                f"{self.path} is of another run: its {key} is {told[key]}, not {wanted[key]}",
                "run without --resume to begin anew, or with the same area, predictor and tiles",
            )
        with self.transaction():
            self._db.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", wanted.items())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written inside."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes down; when this returns they outlive the process.

        Raises:
            sqlite3.Error: the disk is full, or gone.
        """
        rows = [
            (
                outcome.job.seq,
                self._zoom,
                outcome.job.x,
                outcome.job.y,
                outcome.fate,
                outcome.job.attempt,
                outcome.features,
                outcome.seconds,
                outcome.kind,
                outcome.error,
                " ".join(outcome.missing) if outcome.missing else "",
                json.dumps(outcome.repairs) if outcome.repairs else "",
            )
            for outcome in outcomes
        ]
        pieces = [(outcome.job.seq, outcome.pieces) for outcome in outcomes if outcome.pieces is not None]
        with self.transaction():
            self._db.executemany(INSERT, rows)
            self._db.executemany(INSERT_PIECES, pieces)

    def done(self) -> list[int]:
        """Places of the tiles that need not be asked for again, in order."""
        return [seq for (seq,) in self._db.execute("SELECT seq FROM tiles ORDER BY seq")]

    def pieces(self, start: int, stop: int) -> list[tuple[int, int, bytes | None]]:
        """(x, y, pieces) of tiles that are done, from one place to before another."""
        return self._db.execute(
            "SELECT x, y, pieces FROM tiles LEFT JOIN pieces USING (seq) WHERE tiles.seq >= ? AND tiles.seq < ?"
            " ORDER BY tiles.seq",
            (start, stop),
        ).fetchall()

    def counts(self) -> dict[str, int]:
        """Tiles by fate."""
        return dict(self._db.execute("SELECT fate, count(*) FROM tiles GROUP BY fate").fetchall())

    def totals(self) -> dict[str, Any]:
        """Sums over all tiles: features, seconds, tries beyond the first, tiles with missing neighbours."""
        row = self._db.execute(
            "SELECT coalesce(sum(features), 0), round(coalesce(sum(seconds), 0), 4), coalesce(sum(attempts - 1), 0),"
            " coalesce(sum(missing != ''), 0) FROM tiles"
        ).fetchone()
        return dict(
            zip(("features_seen", "tile_seconds", "retries", "tiles_with_missing_neighbours"), row, strict=True)
        )

    def repairs(self) -> dict[str, int]:
        """Features repaired or dropped, by kind, over all tiles."""
        total: dict[str, int] = {}
        for (text,) in self._db.execute("SELECT repairs FROM tiles WHERE repairs != ''"):
            for kind, count in json.loads(text).items():
                total[kind] = total.get(kind, 0) + count
        return dict(sorted(total.items()))

    def failures(self, limit: int) -> list[dict[str, Any]]:
        """The first failed tiles, and why."""
        found = self._db.execute(
            "SELECT z, x, y, attempts, kind, error FROM tiles WHERE fate = 'failed' ORDER BY seq LIMIT ?", (limit,)
        )
        return [
            {"tile": f"{z}/{x}/{y}", "attempts": attempts, "kind": kind, "error": error}
            for z, x, y, attempts, kind, error in found
        ]

    def holes(self) -> Iterator[tuple[int, int, str]]:
        """(x, y, fate) of tiles that are missing or failed."""
        yield from self._db.execute("SELECT x, y, fate FROM tiles WHERE fate IN ('missing', 'failed')")

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """COLUMNS of every tile, in order."""
        columns = ", ".join(COLUMNS).replace("seconds", "round(seconds, 4)")
        yield from self._db.execute(f"SELECT {columns} FROM tiles ORDER BY seq")  # noqa: S608 - constants

    def close(self) -> None:
        self._db.close()


def _check_ours(path: Path) -> None:
    """See to it that no file is overwritten, or deleted in the end, that is no journal.

    Raises:
        RunError: it is something else.
    """
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        tables = {"none of ours"}
    if tables and not tables >= {"about", "tiles"}:
        raise RunError(f"{path} cannot be used as a journal: it holds something else", "name another with --journal")


def remove(path: Path) -> None:
    """Delete a journal and what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
