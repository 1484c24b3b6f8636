"""Ask a service for many tiles over HTTP, and account for every one of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, Literal

import mercantile
import requests
import shapely
import shapely.geometry
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from playground import geo

TIMEOUT = 90
"""Seconds for one tile; the service's own deadline is 60."""

Feature = dict[str, Any]
Fate = Literal["ok", "empty", "missing", "failed"]


@dataclass(frozen=True)
class Answer:
    """What became of one tile.

    Attributes:
        features: clipped to the tile's own core.
        timing: milliseconds by stage; ``http`` is what the client waited beyond the service's total.
        report: the service's audit.
        error: what failed.
    """

    tile: mercantile.Tile
    fate: Fate
    features: list[Feature] = field(default_factory=list)
    timing: Mapping[str, float] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def collect(url: str, tiles: Sequence[mercantile.Tile], threads: int) -> Iterator[Answer]:
    """POST each tile to ``url``/predict, ``threads`` at a time; the answers as they come."""
    local = threading.local()

    def ask(tile: mercantile.Tile) -> Answer:
        if not hasattr(local, "session"):
            local.session = _session()
        return _ask(local.session, url, tile)

    pool = ThreadPoolExecutor(threads)
    try:
        for future in as_completed([pool.submit(ask, tile) for tile in tiles]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy between us and ourselves
    # Busy is no failure: wait as long as Retry-After says.
    retry = Retry(
        total=6,
        connect=0,
        read=0,
        status_forcelist=[503],
        allowed_methods=None,
        backoff_factor=0.2,
        raise_on_status=False,
    )
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


def _ask(session: requests.Session, url: str, tile: mercantile.Tile) -> Answer:
    try:
        response = session.post(f"{url}/predict", json={"z": tile.z, "x": tile.x, "y": tile.y}, timeout=TIMEOUT)
        body = response.json()
    except (requests.RequestException, ValueError) as error:
        return Answer(tile, "failed", error=str(error))
    if response.status_code != 200:
        fate: Fate = "missing" if response.status_code == 404 else "failed"
        return Answer(tile, fate, error=f"{response.status_code} {body.get('message', '')}")
    features = clip_to_core(body["prediction"]["features"], tile)
    timing = dict(body["timing"])
    timing["http"] = max(1000 * response.elapsed.total_seconds() - timing.get("total", 0.0), 0.0)
    return Answer(tile, "ok" if features else "empty", features, timing, body["report"])


def clip_to_core(features: Iterable[Feature], tile: mercantile.Tile) -> list[Feature]:
    """The parts of polygons that lie in the tile itself, not in its padding, so that neighbours share no water.

    Args:
        features: GeoJSON features in degrees, with the service's decimals for the tile's zoom.
    """
    decimals = geo.coordinate_decimals(tile.z)
    # Rounded as the service rounds, so that a shared edge is one edge and leaves no sliver.
    west, south, east, north = (round(degrees, decimals) for degrees in geo.bounds(tile))
    core = shapely.box(west, south, east, north)
    clipped = []
    for feature in features:
        part = shapely.intersection(shapely.geometry.shape(feature["geometry"]), core, grid_size=10.0**-decimals)
        polygons = [p for p in shapely.get_parts(part) if p.geom_type == "Polygon" and not p.is_empty]
        if not polygons:
            continue
        whole = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
        geometry = shapely.geometry.mapping(shapely.orient_polygons(whole))
        properties = {**feature["properties"], "tile": f"{tile.z}/{tile.x}/{tile.y}"}
        geometry = {"type": geometry["type"], "coordinates": _rounded(geometry["coordinates"], decimals)}
        clipped.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return clipped


def _rounded(coordinates: Any, decimals: int) -> Any:
    if isinstance(coordinates, (list, tuple)):
        return [_rounded(part, decimals) for part in coordinates]
    return round(coordinates, decimals)


def feature_collection(features: list[Feature]) -> dict[str, Any]:
    """A FeatureCollection with its bounding box."""
    collection: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if features:
        shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
        collection["bbox"] = [float(edge) for edge in shapely.total_bounds(shapes)]
    return collection
