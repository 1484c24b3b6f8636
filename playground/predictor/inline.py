"""The partner's class inside the server, for debuggers."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from playground.errors import PlaygroundError, TileRejectedError
from playground.predictor.process import PredictorSpec
from playground.predictor.results import collection_of, failed
from playground.predictor.several import attempt
from playground.predictor.state import OtherResult, Stateful
from playground_interfaces import PredictError, Tile, loop, telling
from playground_interfaces.hooks import with_hooks

logger = logging.getLogger(__name__)


class InlinePredictor(Stateful):
    """The partner's class in this very process. A crash takes the server down, and there are no deadlines."""

    def __init__(self, spec: PredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        self._turn = threading.Lock()
        self._predictor: Any = None
        self._seconds = 0.0

    def start(self) -> None:
        # The server's own modules are imported by now: the partner's files can come first without hiding them.
        sys.path.insert(0, str(self.spec.workdir))
        self._set(phase="importing", pid=os.getpid(), python=sys.version.split()[0])
        try:
            module = importlib.import_module(self.spec.package)
            self._set(phase="constructing")
            self._predictor = with_hooks(loop.find_class(module, self.spec.class_name)(), self.spec.hooks)
        except Exception as error:  # the partner's code may raise anything
            told = telling.describe(error)
            logger.exception("the predictor could not be loaded")
            self._set(phase="failed", error=told["message"], traceback=told["traceback"])
        else:
            self._set(phase="ready")

    def close(self) -> None:
        self._set(phase="stopped")

    def admitted(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def waiting(self) -> int:
        return 0

    def seconds(self) -> float:
        return self._seconds

    def predict(self, tile: Tile) -> Any:
        if self._predictor is None:
            raise self._refuse()
        asked = time.monotonic()
        with self._turn:
            began = time.monotonic()
            for each in tile.tiles:
                _own_array(each)
            try:
                kind, features = telling.features_of(result := self._predictor.predict(tile))
            except PlaygroundError:
                raise
            except PredictError as error:
                raise TileRejectedError(error.message, error.hint) from error
            except Exception as error:
                raise failed(telling.describe(error)) from error
        timing = getattr(tile, "timing", {})
        timing["queue"] = began - asked
        timing["predict"] = self._seconds = time.monotonic() - began
        return OtherResult(type(result).__name__) if kind == "other" else collection_of(features)

    def predict_several(self, tiles: Sequence[Tile]) -> list[Any]:
        return [attempt(self.predict, tile) for tile in tiles]


def _own_array(tile: Tile) -> None:
    """Give the predictor an array that it may write to: the tile engine's are shared."""
    load = tile._loaders["array"]
    if load is not None:
        tile._loaders["array"] = lambda: np.array(load())
