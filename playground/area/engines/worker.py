"""One worker: fetches, predicts and cuts tiles. The same for a process of ours and for a Dask worker."""

from __future__ import annotations

import dataclasses
import time

import mercantile

from playground.area.outcome import Job, Outcome, failed
from playground.area.parts import cut
from playground.errors import PlaygroundError, PredictorNotReadyError
from playground.pipeline import Pipeline, format_prediction, limits_of, open_engine
from playground.predictor import PredictorSpec, ProcessPredictor
from playground.settings import RunningSettings

LOCAL_THREADS = 2
"""Tiles in work at once where imagery is at hand: one is predicted while the next is decoded."""
REMOTE_THREADS = 32
"""Tiles in work at once where each waits for a tile server."""


@dataclasses.dataclass(frozen=True)
class WorkerSpec:
    """What a worker needs to know; it can be pickled.

    Attributes:
        settings: zoom, padding, tile source, deadlines.
        predictor: what to load.
        threads: tiles in work at once; 0 for what the source asks for.
    """

    settings: RunningSettings
    predictor: PredictorSpec
    threads: int = 0


class TileWorker:
    """Predicts tiles, with one predictor process and one tile engine.

    Args:
        spec: what it needs to know.

    Raises:
        SourceSettingsError: there is no such tile source.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        self.zoom = spec.settings.zoom_level
        self._engine = open_engine(spec.settings)
        local = self._engine is not None and self._engine.source.local
        self.threads = spec.threads or (LOCAL_THREADS if local else REMOTE_THREADS)
        limits = dataclasses.replace(limits_of(spec.settings), backlog=self.threads)
        self._predictor = ProcessPredictor(spec.predictor, limits)
        self._pipeline = Pipeline(
            spec.settings, lambda tile: format_prediction(self._predictor.predict(tile)), self._engine
        )

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
        began = time.monotonic()
        tile = mercantile.Tile(job.x, job.y, self.zoom)
        try:
            outcome = self._pipeline.predict_tile(tile.z, tile.x, tile.y, in_pixels=True)
            report = outcome.report
            pieces = None
            if report["features_out"]:
                frame = outcome.tile
                missing = report.get("missing_neighbours", ())
                pieces = cut(outcome.answer.features(), tile, frame["size"], frame["padding"], missing).dumps()
        except PlaygroundError as error:
            return failed(job, error, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - one tile that trips us up must not end a run of a million
            return failed(job, error, time.monotonic() - began)
        return Outcome(
            job,
            "ok" if report["features_out"] else "empty",
            pieces,
            report["features_out"],
            time.monotonic() - began,
            missing=tuple(report.get("missing_neighbours", ())),
            repairs={**report["repairs"], **{f"dropped: {kind}": n for kind, n in report["dropped"].items()}},
        )

    def close(self) -> None:
        self._predictor.close()
        if self._engine is not None:
            self._engine.close()
