"""What app.py needs: its configuration, the predictor, the application."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from playground.pipeline import Pipeline, format_prediction, hooks_of, limits_of, open_engine
from playground.predictor import InlinePredictor, Poison, Predictor, PredictorSpec, ProcessPredictor
from playground.served import warmup_of
from playground.serving import create_app, lifecycle, metrics_folder
from playground.serving.boot import find_config
from playground.serving.metrics import Metrics
from playground.serving.state import Service
from playground.settings import RunningSettings, load_running

__all__ = ["format_prediction", "load_config", "load_process", "make_app"]


def load_config() -> RunningSettings:
    """The settings of app.yaml, beside this file or (in a build context) its folder; environment variables win."""
    return load_running(find_config(Path(__file__).resolve().parent), os.environ)


def load_process(config: RunningSettings) -> Predictor:
    """The predictor of PREDICTOR_PACKAGE and PREDICTOR_CLASS, loading in the background, stopped with this process."""
    ours = {metrics_folder.VARIABLE} | ({"API_KEYS"} if config.auth == "api-key" else set())
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    shared = metrics_folder.folder()
    which = f"{lifecycle.generation()}-{_digest(config)}"
    spec = PredictorSpec(
        config.predictor_package,
        config.predictor_class,
        Path.cwd(),
        config.predictor_python or "",
        environ,
        hooks_of(config),
        shared / f"nursery-{which}" if shared and config.share_model else None,
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
            poison=Poison(shared / f"poison-{which}") if shared else None,
        )
    )
    process.start()
    atexit.register(process.close)
    return process


def make_app(config: RunningSettings, process: Predictor, predict: Callable[[Any], dict[str, Any]]) -> Flask:
    """The WSGI application: tiles from TILES, predicted by ``predict``; the others of PREDICTORS beside it."""
    services = [_service(config, process, predict)]
    for other in config.several[1:]:
        beside = load_process(other)
        services.append(_service(other, beside, functools.partial(_predict, beside)))
    lifecycle.accompany([each.predictor for each in services])
    _metrics().follow(config.name, services)
    return create_app(services)


def _service(config: RunningSettings, process: Predictor, predict: Callable[[Any], dict[str, Any]]) -> Service:
    return Service(config, Pipeline(config, predict, open_engine(config), process.admitted), process, _metrics())


def _predict(process: Predictor, tile: Any) -> dict[str, Any]:
    return format_prediction(process.predict(tile))


def _digest(config: RunningSettings) -> str:
    """Which predictor of the service this is, for names of files."""
    names = (config.namespace, config.predictor_name, config.predictor_version)
    return hashlib.blake2b(repr(names).encode(), digest_size=6).hexdigest()


@functools.cache
def _metrics() -> Metrics:
    """This process's: the predictor's restarts and the requests are counted in one place."""
    return Metrics()
