"""Many tiles at a time: the same answers as one by one, for fewer decodes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import mercantile
import numpy as np
import pytest
import shapely
from conftest import PREDICTORS
from fields import outlines, smooth, write_world

from playground import answers
from playground.area.cutting import Seen, cut, cut_all
from playground.area.engines.worker import TileWorker, WorkerSpec
from playground.area.local import worker_spec
from playground.area.outcome import Job
from playground.predictor import ServedTile
from playground.settings import load_running

SIZE, PADDING, SIDE = 64, 8, 8
CORNER = mercantile.Tile(100, 100, 8)
BROKEN = [
    {"type": "Polygon", "coordinates": [[[0, 0], [40, 40], [40, 0], [0, 40], [0, 0]]]},  # crosses itself
    {"type": "Polygon", "coordinates": [[[0, 0], [0, 0], [0, 0]]]},
    {"type": "Polygon", "coordinates": [[[float("nan"), 0], [9, 9], [9, 0]]]},
    {"type": "MultiPolygon", "coordinates": [[[[1, 1], [9, 1], [9, 9]]], [[[60, 1], [75, 1], [75, 9]]]]},
    {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 1]}]},
    {"type": "LineString", "coordinates": [[5, 5], [70, 70]]},
    None,
]


def images() -> list[list[dict]]:
    """Features of several images: many, none, broken ones."""
    window = SIZE + 2 * PADDING
    plain = [outlines(smooth(seed, window, 4.0, 0.5)) for seed in range(3)]
    broken = [{"type": "Feature", "geometry": geometry, "properties": {}} for geometry in BROKEN]
    numbered = [{**feature, "id": number} for number, feature in enumerate(plain[0])]
    return [plain[0], [], broken, plain[1], broken[:1] + plain[2], numbered]


@pytest.mark.parametrize("options", [answers.Options(), answers.Options(least_area=30.0, least_confidence=0.5)])
def test_images_together_have_the_answers_that_each_has_alone(options: answers.Options) -> None:
    frame = answers.Frame(None, SIZE, PADDING)
    together = answers.normalize_all(images(), frame, options)
    assert together == [answers.normalize(features, frame, options) for features in images()]
    assert sum(len(answer.report["repairs"]) for answer in together) > 1
    assert sum(len(answer.report["dropped"]) for answer in together) > 1


def test_tiles_are_cut_together_as_alone() -> None:
    made = answers.normalize_all(images(), answers.Frame(None, SIZE, PADDING))
    missing = [(), ("N",), (), ("E", "SE"), (), ()]
    seen = [
        Seen(mercantile.Tile(number, 3 * number, 4), answer.features(), blind)
        for number, (answer, blind) in enumerate(zip(made, missing, strict=True))
    ]
    together = cut_all(seen, SIZE, PADDING)
    assert together == [cut(each.features, each.tile, SIZE, PADDING, each.missing) for each in seen]
    assert {type(shapely.from_wkb(part.own)) for pieces in together for part in pieces.parts} > {shapely.Polygon}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speed") / "field.mbtiles"
    write_world(path, smooth(3, (SIDE + 2) * SIZE, 6.0, 0.3), SIZE, CORNER)
    return path


def spec(source: Path, class_name: str) -> WorkerSpec:
    named = {"PREDICTOR_PACKAGE": "blobs", "PREDICTOR_CLASS": class_name, "PREDICTOR_PYTHON": sys.executable}
    settings = load_running(None, {**named, "TILES": str(source), "ZOOM_LEVEL": "8", "PADDING": str(PADDING)})
    return worker_spec(settings, PREDICTORS)


def jobs(side: int = SIDE) -> Iterator[Job]:
    """Column by column; the last one has no imagery."""
    for seq, (column, row) in enumerate(np.ndindex(side, side)):
        yield Job(seq, CORNER.x + 1 + column, CORNER.y + 1 + row)
    yield Job(side * side, 3, 3)


@pytest.mark.parametrize("class_name", ["Clouds", "Slow"])
def test_a_worker_tells_of_many_tiles_what_it_tells_of_one(source: Path, class_name: str) -> None:
    """In its own thread for a quick predictor, by several for a slow one; of some a predictor will not speak."""
    side = SIDE if class_name == "Clouds" else 5
    worker = TileWorker(spec(source, class_name))
    try:
        worker.start()
        found = [outcome for some in worker.predict_all(jobs(side)) for outcome in some]
        decodes = worker._engine.stats().decodes
        alone = [worker.predict(job) for job in jobs(side)]
    finally:
        worker.close()
    found.sort(key=lambda outcome: outcome.job.seq)
    for outcome in [*found, *alone]:
        outcome.seconds = 0.0
    assert found == alone
    # Where a column is cut, some are decoded twice: after the first tile, which goes alone to see how long it takes,
    # and when that was long. Each for itself, the tiles would be decoded nine times.
    assert decodes < 2 * (side + 2) ** 2
    fates = [outcome.fate for outcome in found]
    assert fates[-1] == "missing"
    assert fates.count("ok") > len(fates) / 2
    if class_name == "Clouds":
        assert {outcome.kind for outcome in found if outcome.fate == "failed"} == {"TileRejectedError"}


def test_a_worker_keeps_no_pixels_for_the_garbage_collector(source: Path) -> None:
    """It seldom comes by, and until then thousands of tiles would be in memory."""
    worker = TileWorker(spec(source, "Clouds"))
    try:
        worker.start()
        gc.collect()
        gc.disable()
        assert sum(len(some) for some in worker.predict_all(jobs())) == SIDE**2 + 1
        kept = [each for each in gc.get_objects() if isinstance(each, ServedTile)]
    finally:
        gc.enable()
        worker.close()
    assert not kept
