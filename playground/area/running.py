"""A run over an area: every tile asked, every tile accounted for, objects as soon as they are whole."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import shutil
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playground.area.aoi import Area, Bands
from playground.area.engines import Engine
from playground.area.journal import Journal, remove
from playground.area.outcome import Job, Outcome
from playground.area.report import Report, write_table
from playground.area.schedule import Schedule
from playground.area.seams import Merge, Seams
from playground.area.suppression import Suppression
from playground.area.sweep import Done, Sweep
from playground.errors import AreaError, PlaygroundError, RunError
from playground.formats.features import Feature, Features

TRIES = 4
"""Times that a tile is asked for while it fails for reasons that may pass."""
PAUSE = 0.5
"""Seconds before the second try; twice as long before each further one."""
WRITE_EVERY = 0.5
"""Seconds between writes to the journal: what a crash may cost."""
WRITE_ROWS = 128
LAST_ROWS = 32
"""Tiles written at once, while there are others to hand out and when there are none."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        area: where.
        zoom: of the tiles.
        about: what else the answers depend on (predictor, source, padding); a journal of another one is refused.
        merge: how parts become one object.
        provenance: write source tiles into each object.
        suppression: which objects are the same though no seam joins them; None for none.
        tries: at a tile that fails for reasons that may pass.
        pause: seconds before the second try.
    """

    area: Area
    zoom: int
    about: dict[str, Any] = dataclasses.field(default_factory=dict)
    merge: Merge = "union"
    provenance: bool = False
    suppression: Suppression | None = None
    tries: int = TRIES
    pause: float = PAUSE


class AreaRun:
    """One run. Iterate over it for the objects, in an order that depends on the area alone; then read its ``report``.

    Args:
        plan: what to do.
        make_engine: makes who predicts, told how many tiles are to come.
        journal: where the journal is kept.
        resume: go on with the journal that is there, trying failed tiles again.
        scratch: remove the journal's folder with the run.
        observe: called now and then, with this run.

    Raises:
        AreaError: the area holds no tile.
        RunError: the journal is another run's.
    """

    def __init__(
        self,
        plan: Plan,
        make_engine: Callable[[int], Engine],
        journal: Path,
        *,
        resume: bool = False,
        scratch: bool = False,
        observe: Callable[[AreaRun], None] = lambda run: None,
    ) -> None:
        if scratch:  # at once, as what follows may raise
            weakref.finalize(self, shutil.rmtree, journal.parent, True)
        self.plan = plan
        self._bands = Bands(plan.area, plan.zoom)
        asked = self._bands.tiles
        if not asked:
            raise AreaError("the area holds no tile", "does it lie beyond 85 degrees north or south?")
        about = {**plan.about, "zoom": plan.zoom, "tiles": asked, "fingerprint": self._bands.fingerprint}
        self._journal = Journal(journal, about, resume)
        self._seams = Seams(plan.zoom, plan.merge, plan.provenance, plan.suppression)
        self._done = Done(self._journal.done())
        self._make_engine = make_engine
        self._observe = observe
        self._buffer: list[Outcome] = []
        self._written = time.monotonic()
        self._stopping = False
        self._began = 0.0
        self.report = Report(asked, left=asked)
        self.report.count(self._journal)
        self.resumed = asked - self.report.left
        """Tiles done by earlier runs."""

    def stop(self) -> None:
        """End soon, resumable; from any thread or signal handler."""
        self._stopping = True

    def rate(self) -> float:
        """Tiles a second, so far."""
        seconds = time.monotonic() - self._began
        return self.report.predicted / seconds if self._began and seconds else 0.0

    def expected_seconds(self) -> float:
        """Seconds of work that are left, by what the tiles of earlier runs took; 0 if there are none."""
        done = self.report.asked - self.report.left
        return self.report.left * float(self.report.details["tile_seconds"]) / done if done else 0.0

    def to_geopandas(self) -> Any:
        """All objects as a GeoDataFrame (EPSG:4326).

        Raises:
            PlaygroundError: geopandas is not installed.
        """
        try:
            import geopandas  # noqa: PLC0415
        except ImportError as error:
            raise PlaygroundError("geopandas is not installed", "pip install geopandas") from error
        return geopandas.GeoDataFrame.from_features(list(self), crs="EPSG:4326")

    def __iter__(self) -> Iterator[Feature]:
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[Features]:
        """Objects, as many at a time as became whole; they are read only when they are asked for.

        Raises:
            PlaygroundError: the predictor cannot be loaded; the disk is full.
        """
        self._began = time.monotonic()
        sweep = Sweep(iter(self._bands), self._journal, self._seams)
        try:
            with _old_objects_frozen():
                if self.report.left:
                    yield from self._predict(sweep)
                complete = self._done.next >= self.report.asked
                for batch in sweep.up_to(self._done.next, last=complete):
                    yield self._counted(batch)
        except sqlite3.Error as error:
            raise RunError(f"the journal {self._journal.path} cannot be written: {error}", _RESUME) from error
        finally:
            self.report.seconds = round(time.monotonic() - self._began, 3)
            with contextlib.suppress(sqlite3.Error):
                self.report.count(self._journal)
            self.report.joined = self._seams.counts["joined"]
            for kind in ("beyond", "rims", "suppressed"):
                self.report.details[kind] = self._seams.counts[kind]
            self._observe(self)

    def write_table(self, path: Path) -> None:
        """A line of CSV for each tile."""
        write_table(self._journal, path)

    def holes(self) -> Iterator[tuple[int, int, str]]:
        """(x, y, fate) of tiles that are missing or failed."""
        return self._journal.holes()

    def close(self, keep: bool = True) -> None:
        """Let go of the journal; remove it unless it is kept."""
        if not keep:  # first: of what is not there any more, SQLite puts nothing in order when it closes
            remove(self._journal.path)
        self._journal.close()

    def _predict(self, sweep: Sweep) -> Iterator[Features]:
        engine = self._make_engine(self.report.left)
        schedule = Schedule(self._jobs(), self.plan.tries, self.plan.pause)
        try:
            engine.launch()
            self._give(engine, schedule)
            engine.start()
            while not self._stopping and not schedule.over:
                self._give(engine, schedule)  # first: what follows takes its time
                # Soon nobody predicts beside it any more: what can be done by then is done.
                ending = schedule.exhausted and schedule.under_way < 2 * WRITE_ROWS
                many = len(self._buffer) >= (LAST_ROWS if ending else WRITE_ROWS)
                if many or time.monotonic() - self._written >= WRITE_EVERY:
                    yield from self._swept(sweep, ending)
                    self._observe(self)
                for outcome in self._collect(engine, schedule):
                    self._note(outcome)
            yield from self._swept(sweep, False)
        finally:
            engine.close()
            self._write(sweep)

    def _swept(self, sweep: Sweep, soon: bool) -> Iterator[Features]:
        """Write down what came, and give the objects that are whole by now; ``soon``: even if they are few."""
        self._write(sweep)
        for batch in sweep.up_to(self._done.next, last=False, soon=soon):
            yield self._counted(batch)

    @staticmethod
    def _give(engine: Engine, schedule: Schedule) -> None:
        """Give the engine as many jobs as it takes."""
        while (room := engine.room()) > 0 and (jobs := schedule.take(room)):
            engine.submit(jobs)

    @staticmethod
    def _collect(engine: Engine, schedule: Schedule) -> list[Outcome]:
        """The outcomes that came and are final."""
        wait = schedule.patience(WRITE_EVERY)
        if not schedule.under_way:
            time.sleep(wait)
            return []
        return [outcome for outcome in engine.collect(wait) if schedule.settle(outcome)]

    def _jobs(self) -> Iterator[Job]:
        seq = 0
        for band in self._bands:
            for x, y in band.tolist():
                if seq not in self._done:
                    yield Job(seq, x, y)
                seq += 1

    def _note(self, outcome: Outcome) -> None:
        self._buffer.append(outcome)
        report = self.report
        report.predicted += 1
        report.left -= 1
        setattr(report, outcome.fate, getattr(report, outcome.fate) + 1)

    def _write(self, sweep: Sweep) -> None:
        if self._buffer:
            self._journal.add(self._buffer)
            sweep.hold(self._buffer)
            self._done.advance([outcome.job.seq for outcome in self._buffer])
            self._buffer = []
        self._written = time.monotonic()

    def _counted(self, batch: Features) -> Features:
        self.report.features += len(batch)
        return batch


@contextlib.contextmanager
def _old_objects_frozen() -> Iterator[None]:
    """Spare the garbage collector what is there already: going through all modules takes as long as 200 tiles."""
    if gc.get_freeze_count():  # somebody else's, who knows until when
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


_RESUME = "make room, then run the same command with --resume: what is done is kept"
