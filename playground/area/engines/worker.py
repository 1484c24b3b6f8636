"""One worker: fetches, predicts and cuts tiles. The same for a process of ours and for a Dask worker."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWorkingError
from typing import Any

import mercantile

from playground import answers
from playground.area.cover import BAND_ROWS
from playground.area.cutting import cut_answers
from playground.area.engines.ahead import Ahead
from playground.area.outcome import Job, Outcome, failed
from playground.errors import PlaygroundError, PredictorNotReadyError, SettingsError
from playground.pipeline import format_prediction, limits_of, open_engine
from playground.predictor import PredictorSpec, ProcessPredictor
from playground.predictor.state import LOADED
from playground.served import let_go, tile_of_image
from playground.settings import RunningSettings
from playground.tiles import TileImage

QUICK = 0.005
"""Seconds a tile: with a predictor that takes less, a thread of its own costs more than what it overlaps. All cores
are busy anyway, as there is a worker for each."""
BATCH = 64
"""Tiles that are normalised and cut at once: what that costs a call is then shared."""
PORTION = BAND_ROWS
"""Tiles that are decoded and handed over at once: a column, so that there are the pixels of few at a time."""
SOON = 0.2
"""Seconds that an outcome may wait for others."""
GLANCE = 0.02
"""Seconds between two looks for jobs, while the predictor is being loaded."""


@dataclasses.dataclass(frozen=True)
class WorkerSpec:
    """What a worker needs to know; it can be pickled.

    Attributes:
        settings: zoom, padding, tile source, deadlines.
        predictor: what to load.
    """

    settings: RunningSettings
    predictor: PredictorSpec


@dataclasses.dataclass
class Predicted:
    """A tile that the predictor has seen, or why it has not. Its pixels are not needed any more.

    Attributes:
        size: pixels along its side.
        missing: neighbours without imagery.
    """

    job: Job
    features: list[Any]
    seconds: float
    size: int = 0
    missing: tuple[str, ...] = ()
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
        engine = open_engine(spec.settings)
        if engine is None:
            raise SettingsError("there is no tile source", "set TILES")
        self._engine = engine
        self._predictor = ProcessPredictor(spec.predictor, limits_of(spec.settings))

    def ahead(self, take: Callable[[bool], Job | None]) -> Ahead:
        """Jobs that come one by one, see ``Ahead``; of a tile server, those to come are fetched."""
        return Ahead(take, self._prefetch)

    def start(self, ahead: Ahead | None = None) -> None:
        """Load the predictor.

        Args:
            ahead: jobs that come meanwhile.

        Raises:
            PredictorNotReadyError: it cannot be loaded.
        """
        self._predictor.start()
        while (state := self._predictor.wait_ready(float("inf") if ahead is None else GLANCE)).phase not in LOADED:
            if ahead is not None:
                ahead.fill(BATCH)
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
        return self.work(self.ahead(lambda wait: next(to_come, None)))

    def work(self, ahead: Ahead) -> Iterator[list[Outcome]]:
        """What becomes of tiles that come one by one, until there are no more."""
        asked: Future[list[Predicted]] | None = None
        done: list[Predicted] = []
        due = 0.0
        with ThreadPoolExecutor(1, thread_name_prefix="predict") as pool:
            while True:
                ahead.fill(self._many(), wait=not (asked or done))
                if not (ahead or asked or done):
                    return
                due = due or time.monotonic() + SOON
                quick = self._predictor.seconds() < QUICK
                if ahead and asked is None:
                    jobs = ahead.next(self._many())
                    if not jobs:
                        ahead.wait(SOON)
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
                if done and (len(done) + BAND_ROWS > BATCH or not (ahead or asked) or time.monotonic() >= due):
                    if not quick and asked is None and (jobs := ahead.next(self._many())):
                        asked = pool.submit(self._ask, jobs)
                    yield self._finish(done)
                    done, due = [], 0.0

    def close(self) -> None:
        self._predictor.close()
        self._engine.close()

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
        return [predicted for portion in _portions(jobs) for predicted in self._ask_at_once(portion)]

    def _ask_at_once(self, jobs: Sequence[Job]) -> list[Predicted]:
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
                    found.append(Predicted(job, [], fetched, error=image))
                    continue
                tile, result = next(results)
                found.append(_predicted(job, image, result, fetched + tile.timing.get("predict", 0.0)))
                let_go(tile)
        except Exception as error:  # noqa: BLE001 - tiles that trip us up must not end a run of a million
            if len(jobs) > 1:
                return [each for job in jobs for each in self._ask([job])]
            return [Predicted(jobs[0], [], time.monotonic() - began, error=error)]
        return found

    def _finish(self, predicted: Sequence[Predicted]) -> list[Outcome]:
        """The outcomes of tiles; never raises."""
        outcomes = []
        sizes: dict[int, list[Predicted]] = {}
        for each in predicted:
            if each.error is not None:
                outcomes.append(failed(each.job, each.error, each.seconds))
            else:
                sizes.setdefault(each.size, []).append(each)
        for size, alike in sizes.items():
            outcomes += self._cut(size, alike)
        return outcomes

    def _cut(self, size: int, alike: Sequence[Predicted]) -> list[Outcome]:
        """The outcomes of tiles of one size: together, or one by one if that does not work."""
        padding = self._engine.padding
        missing = [each.missing for each in alike]
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
        return Predicted(job, [], seconds, error=result)
    try:
        features = format_prediction(result)["prediction"]["features"]
    except Exception as error:  # noqa: BLE001 - as above
        return Predicted(job, [], seconds, error=error)
    return Predicted(job, features, seconds, image.size, image.missing)


def _portions(jobs: Sequence[Job]) -> Iterator[Sequence[Job]]:
    """Jobs in parts of one column, or of several short ones."""
    start = 0
    for at in range(1, len(jobs) + 1):
        if at == len(jobs) or at - start == PORTION or (jobs[at].x != jobs[at - 1].x and at - start > PORTION // 2):
            yield jobs[start:at]
            start = at


def repairs_of(report: dict[str, Any]) -> dict[str, int]:
    """Features repaired or dropped, by kind, of an answer's report."""
    return {**report["repairs"], **{f"dropped: {kind}": count for kind, count in report["dropped"].items()}}
