"""How much an answer costs: polygons of 8 vertices in pixels, to the JSON of a FeatureCollection in lon/lat.

The original way is what predictors and services did with them before: one ``geojson.Polygon`` each, its coordinates
rounded by numpy, every vertex converted by mercantile, the whole written by ``json``; it checks nothing. Ours also
closes, validates, mends, winds, cuts and counts. The floor is orjson writing the bare table of coordinates, already in
lon/lat and rounded: no way of writing GeoJSON is below it.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from typing import Any

import geojson
import mercantile
import numpy as np
import orjson
import shapely
from rich.console import Console
from rich.table import Table

from playground.answers import Frame, normalize

TILE = mercantile.Tile(140818, 85953, 18)
TILE_SIZE, PADDING, VERTICES = 256, 24, 8
FRAME = Frame(TILE, TILE_SIZE, PADDING)
Ring = list[list[float]]


def rings(count: int) -> list[Ring]:
    """Closed rings as a predictor makes them; about one in a hundred crosses itself."""
    rng = np.random.default_rng(count)
    angles = np.sort(rng.uniform(0, 2 * np.pi, (count, VERTICES)), axis=1)
    reach = rng.uniform(5, 20, (count, VERTICES))
    centres = rng.uniform(20, 280, (count, 1, 2))
    found = np.round(centres + np.stack([reach * np.cos(angles), reach * np.sin(angles)], axis=2), 2)
    return np.concatenate([found, found[:, :1]], axis=1).tolist()


def features_of(found: list[Ring]) -> list[dict[str, Any]]:
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"category": "ship", "score": 0.9},
        }
        for ring in found
    ]


def original(found: list[Ring]) -> str:
    """The documented ``PredictionResult.format``, then mercantile for each vertex."""
    features = []
    for ring in found:
        polygon = geojson.Polygon([np.round(np.array(ring), 2).tolist()])
        features.append(geojson.Feature(geometry=polygon, properties={"category": "ship", "score": round(0.9, 2)}))
    collection = geojson.FeatureCollection(features)
    left, bottom, right, top = mercantile.xy_bounds(TILE)
    for feature in collection["features"]:
        for ring in feature["geometry"]["coordinates"]:
            for index, (px, py) in enumerate(ring):
                x = left + (right - left) * (px - PADDING) / TILE_SIZE
                y = top - (top - bottom) * (py - PADDING) / TILE_SIZE
                ring[index] = list(mercantile.lnglat(x, y))
    return json.dumps(collection)


def ours(features: list[dict[str, Any]]) -> bytes:
    return normalize(features, FRAME).dumps()


def milliseconds(run: Callable[[], Any], repeats: int) -> float:
    """The best of several runs."""
    best = float("inf")
    for _ in range(repeats):
        gc.collect()
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[10, 1_000, 100_000], help="polygons")
    counts = parser.parse_args().counts
    table = Table("polygons", "", "original, ms", "ours, ms", "original / ours", "floor, ms", "ours / floor", "mended")
    for count in counts:
        drawn = rings(count)
        valid = shapely.is_valid(shapely.polygons(np.array(drawn)))
        table.add_row(f"{count:,}", "one in a hundred broken", *row(drawn))
        table.add_row("", "nothing to mend", *row([ring for ring, well in zip(drawn, valid, strict=True) if well]))
    Console(width=120).print(table)


def row(found: list[Ring]) -> list[str]:
    """The measured cells of one kind of input."""
    features = features_of(found)
    repeats = max(3, min(200, 20_000 // len(found)))
    bare = np.round(FRAME.place(np.array(found).reshape(-1, 2)), FRAME.decimals).reshape(len(found), -1, 2)
    before = milliseconds(lambda: original(found), max(2, repeats // 2))
    after = milliseconds(lambda: ours(features), repeats)
    floor = milliseconds(lambda: orjson.dumps(bare, option=orjson.OPT_SERIALIZE_NUMPY), repeats)
    mended = normalize(features, FRAME).report["repairs"].get("made_valid", 0)
    ratios = (f"{before / after:.1f}", f"{floor:,.2f}", f"{after / floor:.1f}")
    return [f"{before:,.2f}", f"{after:,.2f}", *ratios, f"{mended:,}"]


if __name__ == "__main__":
    main()
