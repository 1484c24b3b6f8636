"""One worker: fetches, predicts and cuts tiles. The same for a process of ours and for a Dask worker."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWorkingError
from concurrent.futures import wait as wait_for
from typing import Any, NamedTuple

import mercantile

from playground import answers
from playground.area.cover import BAND_ROWS
from playground.area.cutting import cut_answers
from playground.area.outcome import Job, Outcome, failed
from playground.errors import PlaygroundError, PredictorNotReadyError, SettingsError
from playground.pipeline import format_prediction, limits_of, open_engine
from playground.predictor import Pool, PredictorSpec, ProcessPredictor
from playground.served import let_go, tile_of_image
from playground.settings import RunningSettings
from playground.tiles import TileImage

QUICK = 0.005
"""Seconds a tile: with a predictor that takes less, a thread of its own costs more than what it overlaps. All cores
are busy anyway, as there is a worker for each."""
AHEAD = 64
"""Requests to a tile server that are to be under way, also while a batch is decoded, predicted and cut and nobody looks
after them: those of the next batch wait for their turn then. Of a local source nothing is fetched ahead."""
BATCH = 64
"""Tiles that are decoded, handed over, normalised and cut at once: what each of these costs a call is then shared."""
SOON = 0.2
"""Seconds that an outcome may wait for others."""


@dataclasses.dataclass(frozen=True)
class WorkerSpec:
    """What a worker needs to know; it can be pickled.

    Attributes:
        settings: zoom, padding, tile source, deadlines.
        predictor: what to load.
    """

    settings: RunningSettings
    predictor: PredictorSpec


class Begun(NamedTuple):
    """Jobs of one column, and what is being fetched for them."""

    jobs: list[Job]
    fetching: list[Future[Any]]


@dataclasses.dataclass
class Predicted:
    """A tile that the predictor has seen, or why it has not."""

    job: Job
    image: TileImage | None
    features: list[Any]
    seconds: float
    error: Exception | None = None


class TileWorker:
    """Predicts tiles, with one predictor process and one tile engine.

    Args:
        spec: what it needs to know.

    Raises:
        SourceSettingsError: there is no such tile source.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.zoom = spec.settings.zoom_level
        self._settings = spec.settings
        self._options = answers.Options.of(spec.settings)
        self._pool = Pool()
        engine = open_engine(spec.settings, empty=self._pool.empty)
        if engine is None:
            raise SettingsError("there is no tile source", "set TILES")
        self._engine = engine
        self._predictor = ProcessPredictor(spec.predictor, limits_of(spec.settings), pool=self._pool)

    def start(self) -> None:
        """Load the predictor.

        Raises:
            PredictorNotReadyError: it cannot be loaded.
        """
        self._predictor.start()
        state = self._predictor.wait_ready(float("inf"))
        if state.phase == "failed":
            raise PredictorNotReadyError(f"the predictor could not be loaded: {state.error}", state.traceback or "")

    def predict(self, job: Job) -> Outcome:
        """What becomes of a tile; never raises."""
        return self._finish(self._ask([job]))[0]

    def predict_all(self, jobs: Iterable[Job]) -> Iterator[list[Outcome]]:
        """What becomes of tiles, some at a time, in any order; never raises.

        Consecutive ones share what is decoded. Of a tile server, those to come are fetched ahead.
        """
        to_come = iter(jobs)
        return self.work(lambda wait: next(to_come, None))

    def work(self, take: Callable[[bool], Job | None]) -> Iterator[list[Outcome]]:
        """What becomes of tiles that come one by one.

        Args:
            take: the next job; None if there is none at hand, or, told to wait for one, if there will be no more.
        """
        intake = _Intake(take)
        begun: deque[Begun] = deque()
        fetching: list[Future[Any]] = []
        asked: Future[list[Predicted]] | None = None
        done: list[Predicted] = []
        due = 0.0
        with ThreadPoolExecutor(1, thread_name_prefix="predict") as pool:
            while True:
                fetching = [future for future in fetching if not future.done()]
                while len(begun) * BAND_ROWS < AHEAD + 2 * self._many() and len(fetching) < 2 * AHEAD:
                    jobs = intake.column(not (begun or asked or done))
                    if not jobs:
                        break
                    begun.append(Begun(jobs, self._prefetch(jobs)))
                    fetching += begun[-1].fetching
                if not (begun or asked or done):
                    return
                due = due or time.monotonic() + SOON
                quick = self._predictor.seconds() < QUICK
                if begun and asked is None:
                    jobs = _next(begun, self._many())
                    if not jobs:
                        wait_for(begun[0].fetching, SOON)
                    elif quick:
                        done += self._ask(jobs)
                    else:
                        asked = pool.submit(self._ask, jobs)
                if asked is not None:
                    try:
                        done += asked.result(SOON)
                        asked = None
                    except StillWorkingError:
                        pass
                if done and (len(done) >= BATCH or not (begun or asked) or time.monotonic() >= due):
                    if not quick and asked is None and (jobs := _next(begun, self._many())):
                        asked = pool.submit(self._ask, jobs)
                    yield self._finish(done)
                    done, due = [], 0.0

    def close(self) -> None:
        self._predictor.close()
        self._engine.close()
        self._pool.close()

    def _prefetch(self, jobs: Sequence[Job]) -> list[Future[Any]]:
        try:
            deadline = time.monotonic() + self._settings.fetch_seconds
            return self._engine.prefetch_all([mercantile.Tile(job.x, job.y, self.zoom) for job in jobs], deadline)
        except PlaygroundError:
            return []  # whoever asks for the tiles is told

    def _many(self) -> int:
        """Tiles to be handed over at once: not so many that one waits long for the others."""
        seconds = self._predictor.seconds()
        return max(1, min(BATCH, int(SOON / seconds))) if seconds else 1

    def _ask(self, jobs: Sequence[Job]) -> list[Predicted]:
        """What the predictor says of tiles; never raises."""
        began = time.monotonic()
        found: list[Predicted] = []
        try:
            tiles = [mercantile.Tile(job.x, job.y, self.zoom) for job in jobs]
            images = self._engine.get_all(tiles, began + min(self._settings.fetch_seconds, self._settings.timeout))
            # Each has its own time to be predicted in, from its own turn on.
            served = [tile_of_image(image, None) for image in images if isinstance(image, TileImage)]
            fetched = (time.monotonic() - began) / len(jobs)
            results = zip(served, self._predictor.predict_several(served), strict=True)
            for job, image in zip(jobs, images, strict=True):
                if not isinstance(image, TileImage):
                    found.append(Predicted(job, None, [], fetched, image))
                    continue
                tile, result = next(results)
                found.append(_predicted(job, image, result, fetched + tile.timing.get("predict", 0.0)))
                let_go(tile)
        except Exception as error:  # noqa: BLE001 - tiles that trip us up must not end a run of a million
            if len(jobs) > 1:
                return [each for job in jobs for each in self._ask([job])]
            return [Predicted(jobs[0], None, [], time.monotonic() - began, error)]
        return found

    def _finish(self, predicted: Sequence[Predicted]) -> list[Outcome]:
        """The outcomes of tiles; never raises."""
        outcomes = []
        sizes: dict[int, list[Predicted]] = {}
        for each in predicted:
            if each.image is None:
                assert each.error is not None
                outcomes.append(failed(each.job, each.error, each.seconds))
            else:
                sizes.setdefault(each.image.size, []).append(each)
        for size, alike in sizes.items():
            outcomes += self._cut(size, alike)
        return outcomes

    def _cut(self, size: int, alike: Sequence[Predicted]) -> list[Outcome]:
        """The outcomes of tiles of one size: together, or one by one if that does not work."""
        padding = self._engine.padding
        missing = [each.image.missing if each.image else () for each in alike]
        try:
            tiles = [mercantile.Tile(each.job.x, each.job.y, self.zoom) for each in alike]
            given = [each.features for each in alike]
            cuts = cut_answers(given, tiles, missing, size, padding, options=self._options)
        except Exception as error:  # noqa: BLE001 - as above
            if len(alike) > 1:
                return [outcome for each in alike for outcome in self._cut(size, [each])]
            return [failed(alike[0].job, error, alike[0].seconds)]
        return [
            Outcome(
                each.job,
                "ok" if report["features_out"] else "empty",
                pieces.dumps() if report["features_out"] else None,
                report["features_out"],
                each.seconds,
                missing=tuple(without),
                repairs=repairs_of(report),
            )
            for each, without, (pieces, report) in zip(alike, missing, cuts, strict=True)
        ]


def _predicted(job: Job, image: TileImage, result: Any, seconds: float) -> Predicted:
    if isinstance(result, Exception):
        return Predicted(job, None, [], seconds, result)
    try:
        return Predicted(job, image, format_prediction(result)["prediction"]["features"], seconds)
    except Exception as error:  # noqa: BLE001 - as above
        return Predicted(job, None, [], seconds, error)


class _Intake:
    """Jobs as they come, those of a column together: what they show is then looked for, fetched and decoded once.

    Args:
        take: gives the next one, see ``TileWorker.work``.
    """

    def __init__(self, take: Callable[[bool], Job | None]) -> None:
        self._take = take
        self._held: Job | None = None

    def column(self, wait: bool) -> list[Job]:
        """The next jobs of one column; none if there are none at hand, or, told to wait, if there will be no more."""
        first, self._held = self._held or self._take(wait), None
        if first is None:
            return []
        jobs = [first]
        while len(jobs) < BAND_ROWS and (job := self._take(False)) is not None:
            if job.x != first.x:
                self._held = job
                break
            jobs.append(job)
        return jobs


def _next(begun: deque[Begun], many: int) -> list[Job]:
    """The first jobs whose tiles are there, so that one slow answer holds up few; none if there are none such.

    Whole columns, unless there is no place for one: where a column is cut, tiles are decoded twice.
    """
    ready: list[Job] = []
    later: list[Begun] = []
    while begun and len(ready) < many:
        jobs, fetching = begun.popleft()
        if not all(future.done() for future in fetching):
            later.append(Begun(jobs, fetching))
            continue
        room = many - len(ready)
        if len(jobs) > room and ready:
            later.append(Begun(jobs, []))
            break
        if len(jobs) > room:
            later.append(Begun(jobs[room:], []))
        ready += jobs[:room]
    begun.extendleft(reversed(later))
    return ready


def repairs_of(report: dict[str, Any]) -> dict[str, int]:
    """Features repaired or dropped, by kind, of an answer's report."""
    return {**report["repairs"], **{f"dropped: {kind}": count for kind, count in report["dropped"].items()}}
