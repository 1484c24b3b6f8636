"""Runs on this machine, and how a run is named from Python."""

from __future__ import annotations

import dataclasses
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import shapely

from playground import registry, scratch
from playground.area.aoi import Area, read_area
from playground.area.engines import ENGINES, Engine
from playground.area.engines.local import LocalEngine
from playground.area.engines.worker import WorkerSpec
from playground.area.running import AreaRun, Plan
from playground.area.seams import merge_named
from playground.area.suppression import suppression_named
from playground.errors import AreaError, RunError, SettingsError
from playground.fetching.policy import FetchPolicy
from playground.fetching.urls import without_secrets
from playground.pipeline import hooks_of
from playground.predictor import PredictorSpec
from playground.settings import RunningSettings, load_arguments
from playground.settings.kinds import Whole, is_dotted_name, is_python_name
from playground.sources import SourceInfo, open_source

MOST_WORKERS = Whole(1, 1024)
"""Predictor processes of one run, or tiles that a service is asked for at once."""


def worker_spec(settings: RunningSettings, project: Path) -> WorkerSpec:
    """What each worker of a run needs to know.

    Args:
        settings: of the running service.
        project: the partner's folder.
    """
    predictor = PredictorSpec(
        settings.predictor_package,
        settings.predictor_class,
        project,
        settings.predictor_python or sys.executable,
        hooks=hooks_of(settings),
    )
    # Seams need what lies in the padding, whatever the service's own answers do with it.
    return WorkerSpec(dataclasses.replace(settings, padding_results="keep"), predictor)


def about_of(settings: RunningSettings) -> dict[str, Any]:
    """What a local run's answers depend on, beside its tiles."""
    return {
        "predictor": f"{settings.predictor_package}:{settings.predictor_class}",
        "source": without_secrets(settings.tiles or ""),
        "padding": settings.padding,
        "fill": settings.fill,
    }


def source_info(settings: RunningSettings) -> SourceInfo:
    """What the tile source says about itself.

    Raises:
        AreaError: there is none.
    """
    if settings.tiles is None:
        raise AreaError("there is no tile source", "give --tiles, or TILES in service.yaml")
    source = open_source(settings.tiles, FetchPolicy.of(settings))
    try:
        return source.info()
    finally:
        source.close()


def local_engine(spec: WorkerSpec, workers: int | None = None) -> Callable[[int], Engine]:
    """What makes the engine of a run: worker processes, one a core if not told otherwise."""
    count = workers or len(os.sched_getaffinity(0))
    return lambda total: LocalEngine(spec, min(count, total), total)


def dask_engine(
    settings: RunningSettings, project: Path, scheduler: str | None = None, workers: int | None = None, **options: Any
) -> Callable[[int], Engine]:
    """What makes the engine of a run on a Dask cluster.

    Args:
        settings: of the running service; without ``predictor_python`` the workers' own interpreter is the partner's.
        project: the partner's folder.
        scheduler: its address; None for a cluster of this machine.
        workers: of that cluster of this machine.
        options: others of DaskEngine.

    Raises:
        RunError: Dask is not installed.
    """
    try:
        engine = registry.load(ENGINES["dask"])
    except ModuleNotFoundError as error:
        raise RunError(f"Dask is not installed: {error}", "pip install 'tile-playground[dask]'") from error
    spec = worker_spec(settings, project)
    spec = dataclasses.replace(
        spec, predictor=dataclasses.replace(spec.predictor, python=settings.predictor_python or "")
    )
    return lambda total: engine(spec, total, scheduler=scheduler, workers=workers, **options)


def run(
    area: str | Area | shapely.Geometry | Sequence[float],
    *,
    predictor: str,
    tiles: str,
    zoom: int,
    padding: int = 0,
    merge: str = "union",
    suppress: str = "none",
    workers: int | None = None,
    python: str | None = None,
    project: Path | str = ".",
    journal: Path | str | None = None,
    resume: bool = False,
    provenance: bool = False,
    engine: str = "local",
    scheduler: str | None = None,
    preinstalled: bool = False,
    **settings: Any,
) -> AreaRun:
    """A run over an area; iterate over it for GeoJSON features, then read its ``report``.

    Args:
        area: a bbox (west, south, east, north), a geometry in degrees, or a string as the command takes it.
        predictor: ``package.module:Class``.
        tiles: the tile source.
        zoom, padding: as the predictor was trained.
        merge: one of ``MERGES``.
        suppress: when of two objects the less sure one goes: ``iou:0.5``, ``ios:0.7``, ``none``.
        workers: processes; one a core if not given.
        python: the partner's interpreter; this one if not given.
        project: the partner's folder.
        journal: where to keep what is done, so that ``resume`` can go on; a scratch file if not given.
        resume: go on with that journal.
        provenance: write source tiles into each object.
        engine: local or dask.
        scheduler: the address of a Dask cluster's; without it ``dask`` is a cluster of this machine.
        preinstalled: the workers of the cluster have the partner's code; else ``project`` is sent to them.
        settings: others of the running service, by their names.

    Raises:
        PlaygroundError: something of it cannot be used.
    """
    package, _, class_name = predictor.partition(":")
    _check_arguments(predictor, engine, workers)
    named = {
        "predictor_package": package,
        "predictor_class": class_name,
        "tiles": tiles,
        "zoom_level": zoom,
        "padding": padding,
        "predictor_python": python,
        **settings,
    }
    running = load_arguments(named, {"zoom_level": "zoom", "predictor_python": "python"})
    plan = Plan(
        _area_of(area, running),
        running.zoom_level,
        about_of(running),
        merge_named(merge),
        provenance,
        suppression_named(suppress),
    )
    folder = Path(project).resolve()
    if engine == "dask":
        make = dask_engine(running, folder, scheduler, workers, preinstalled=preinstalled)
    else:
        make = local_engine(worker_spec(running, folder), workers)
    if journal is not None:
        return AreaRun(plan, make, Path(journal), resume=resume)
    if resume:
        raise RunError("there is no journal to resume", "give journal=, both times")
    scratch.sweep(scratch.RUN)
    made, lock = scratch.make(scratch.RUN)
    done = AreaRun(plan, make, made / "journal", scratch=True)
    weakref.finalize(done, lock.close)
    return done


def _check_arguments(predictor: str, engine: str, workers: int | None) -> None:
    """What no setting of the service says.

    Raises:
        SettingsError: with every problem.
    """
    package, _, class_name = predictor.partition(":")
    problems = []
    if not (is_dotted_name(package) and is_python_name(class_name)):
        problems.append(f"argument predictor: found {predictor}, allowed: package.module:Class")
    if engine not in ("local", "dask"):
        problems.append(f"argument engine: found {engine}, allowed: local, dask")
    try:
        MOST_WORKERS.check(1 if workers is None else workers)
    except ValueError:
        problems.append(f"argument workers: found {workers}, allowed: {MOST_WORKERS.allowed}")
    if problems:
        raise SettingsError("the arguments cannot be used", problems=tuple(problems))


def _area_of(area: str | Area | shapely.Geometry | Sequence[float], settings: RunningSettings) -> Area:
    if isinstance(area, Area):
        return area
    if isinstance(area, shapely.Geometry):
        return Area(area)
    if not isinstance(area, str):
        area = ",".join(str(float(edge)) for edge in area)
    return read_area(area, source_info(settings) if area == "source" else None)
