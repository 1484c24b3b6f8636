"""What app.py needs: its configuration, the predictor, the application."""

from __future__ import annotations

import atexit
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from playground.pipeline import Pipeline, format_prediction, limits_of, open_engine, warmup_of
from playground.predictor import InlinePredictor, Poison, Predictor, PredictorSpec, ProcessPredictor
from playground.serving import create_app, lifecycle, metrics_folder
from playground.serving.boot import find_config
from playground.serving.metrics import Metrics
from playground.settings import RunningSettings, load_running

__all__ = ["format_prediction", "load_config", "load_process", "make_app"]


def load_config() -> RunningSettings:
    """The settings of app.yaml, beside this file or (in a build context) its folder; environment variables win."""
    return load_running(find_config(Path(__file__).resolve().parent), os.environ)


def load_process(config: RunningSettings) -> Predictor:
    """The predictor of PREDICTOR_PACKAGE and PREDICTOR_CLASS, loading in the background, stopped with this process."""
    environ = {name: value for name, value in os.environ.items() if name != metrics_folder.VARIABLE}
    shared = metrics_folder.folder()
    spec = PredictorSpec(
        config.predictor_package,
        config.predictor_class,
        Path.cwd(),
        config.predictor_python or "",
        environ,
        shared / f"nursery-{lifecycle.generation()}" if shared and config.share_model else None,
    )
    process: Predictor = (
        InlinePredictor(spec)
        if config.predictor_isolation == "none"
        else ProcessPredictor(
            spec,
            limits_of(config),
            warmup_of(config),
            _metrics().restarted,
            batched=_metrics().batched,
            poison=Poison(shared / f"poison-{lifecycle.generation()}") if shared else None,
        )
    )
    process.start()
    lifecycle.accompany(process)
    atexit.register(process.close)
    return process


def make_app(config: RunningSettings, process: Predictor, predict: Callable[[Any], dict[str, Any]]) -> Flask:
    """The WSGI application: tiles from TILES, predicted by ``predict``."""
    pipeline = Pipeline(config, predict, open_engine(config), process.admitted)
    _metrics().follow(config, process, pipeline)
    return create_app(config, pipeline, process, _metrics())


@functools.cache
def _metrics() -> Metrics:
    """This process's: the predictor's restarts and the requests are counted in one place."""
    return Metrics()
