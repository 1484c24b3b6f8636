"""A running service, asked over HTTP: as many tiles at once as it takes."""

from __future__ import annotations

import queue
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mercantile
import numpy as np
import orjson
import requests
import shapely
from requests.adapters import HTTPAdapter

from playground import answers, geo
from playground.area.cutting import cut
from playground.area.outcome import Job, Outcome
from playground.errors import RunError

MOST = 64
"""Tiles asked for at once, unless told otherwise."""
TIMEOUT = 120.0
"""Seconds for one tile."""
TRANSIENT = frozenset((408, 423, 425, 429, 500, 502, 503, 504))
BUSY = frozenset((429, 503))
PATIENCE = 600.0
"""Seconds that a tile may wait for a busy service before it counts as failed."""
CALM = 1.0
"""Seconds in which a service is taken to be busy once, however many requests hear of it."""
SNAP = 0.05
"""Pixels: outlines that run along pixels come back to them; degrees are rounded to 0.04 pixels."""


class ServiceEngine:
    """Asks a service for tiles, more at once as long as it answers, half as many when it says that it is busy.

    Args:
        url: of the service.
        zoom: that it works at.
        most: tiles asked for at once; None for MOST.
    """

    def __init__(self, url: str, zoom: int, most: int | None = None) -> None:
        self._url = url.rstrip("/")
        self._zoom = zoom
        self._most = most or MOST
        self._limit = min(4.0, float(self._most))
        self._was_busy = 0.0
        self._under_way = 0
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="service")
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=self._most))

    def start(self) -> None:
        """The service is there: ``describe_service`` has asked."""

    def room(self) -> int:
        return max(0, int(self._limit) - self._under_way)

    def submit(self, jobs: list[Job]) -> None:
        self._under_way += len(jobs)
        for job in jobs:
            self._pool.submit(self._ask, job)

    def collect(self, seconds: float) -> list[Outcome]:
        found = []
        try:
            found.append(self._outcomes.get(timeout=max(seconds, 0.001)))
            while True:
                found.append(self._outcomes.get_nowait())
        except queue.Empty:
            pass
        self._under_way -= len(found)
        return found

    def close(self) -> None:
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def _ask(self, job: Job) -> None:
        began = time.monotonic()
        try:
            outcome = self._answer(job, began)
        except Exception as error:  # noqa: BLE001 - one odd answer must not end a run of a million
            outcome = Outcome(job, "failed", kind=type(error).__name__, error=str(error) or repr(error))
        outcome.seconds = time.monotonic() - began
        self._outcomes.put(outcome)

    def _answer(self, job: Job, began: float) -> Outcome:
        while True:
            try:
                response = self._session.post(
                    f"{self._url}/predict", json={"z": self._zoom, "x": job.x, "y": job.y}, timeout=TIMEOUT
                )
            except requests.RequestException as error:
                self._slower()
                return Outcome(job, "failed", kind="Unreachable", error=str(error), transient=True)
            status = response.status_code
            if status in BUSY and time.monotonic() - began < PATIENCE:
                # No failure: the service says when to come again.
                wait = _seconds(response.headers.get("Retry-After"))
                self._slower()
                if self._closed.wait(wait):
                    return Outcome(job, "failed", kind="Stopped", error="stopped", transient=True)
                continue
            break
        try:
            body: dict[str, Any] = response.json()
        except ValueError:
            body = {}
        if status == 200 and "prediction" in body:
            self._faster()
            return outcome_of(job, self._zoom, body)
        if status == 404:
            return Outcome(job, "missing", error=str(body.get("message", "")))
        words = str(body.get("message") or response.reason or "no JSON")
        if status == 200:
            words = "it answers, but not as a playground service"
        return Outcome(job, "failed", kind=f"HTTP {status}", error=words, transient=status in TRANSIENT)

    def _faster(self) -> None:
        with self._lock:
            # Quickly until it was once too much, then a tile more each time that all under way were answered.
            self._limit = min(float(self._most), self._limit + (1.0 / self._limit if self._was_busy else 0.5))

    def _slower(self) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._was_busy >= CALM:  # those who hear it at the same moment say one thing
                self._limit = max(1.0, self._limit / 2)
                self._was_busy = now


def describe_service(url: str, zoom: int | None) -> tuple[int, dict[str, Any]]:
    """The zoom of a service, and what its answers depend on.

    Raises:
        RunError: nobody answers there, or it does not tell its zoom.
    """
    hint = "is it running? its root is the URL, like https://ships.example.com"
    try:
        response = requests.get(f"{url.rstrip('/')}/version", timeout=30)
        told = response.json() if response.ok else {}
    except requests.JSONDecodeError as error:
        raise RunError(f"what answers at {url} is no playground service", hint) from error
    except requests.Timeout as error:
        raise RunError(f"the service {url} does not answer within 30 seconds", hint) from error
    except requests.ConnectionError as error:
        why = re.search(r"\[Errno \d+\] ([^'\")]+)", str(error))
        words = why[1] if why else "it cannot be reached"
        raise RunError(f"the service {url} does not answer: {words}", hint) from error
    except (requests.RequestException, ValueError) as error:
        raise RunError(f"the service {url} cannot be asked: {error}", hint) from error
    told = told if isinstance(told, dict) else {}
    found = told.get("zoom_level", zoom)
    if found is None:
        said = "" if response.ok else f": it answers {response.status_code}"
        raise RunError(f"the service {url} does not tell its zoom{said}", hint if said else "give --zoom")
    return int(found), {
        "service": url.rstrip("/"),
        "predictor": told.get("predictor", ""),
        "padding": told.get("padding"),
    }


def outcome_of(job: Job, zoom: int, body: dict[str, Any]) -> Outcome:
    """The outcome of a service's answer: its degrees become pixels again, where seams are found exactly."""
    tile = mercantile.Tile(job.x, job.y, zoom)
    size, padding = int(body["tile"]["size"]), int(body["tile"]["padding"])
    report = body.get("report", {})
    given = body["prediction"]["features"]
    if not given:
        return Outcome(job, "empty", missing=tuple(report.get("missing_neighbours", ())))
    texts = [orjson.dumps(feature["geometry"]) for feature in given]
    shapes = np.asarray(shapely.from_geojson(texts), dtype=object)

    def to_pixels(lnglat: geo.FloatArray) -> geo.FloatArray:
        px, py = geo.pixel_of_lnglat(tile, lnglat[:, 0], lnglat[:, 1], size, padding)
        world = size * 2**zoom
        px -= np.round((px - padding - size / 2) / world) * world  # the turn of the globe that is nearest
        pixels = np.column_stack((px, py))
        halves = np.round(pixels * 2) / 2
        return np.where(np.abs(pixels - halves) <= SNAP, halves, pixels)

    pixels = np.asarray(shapely.transform(shapes, to_pixels), dtype=object)
    many = shapely.get_type_id(pixels) == shapely.GeometryType.MULTIPOLYGON
    pixels[many] = shapely.union_all(np.expand_dims(shapely.make_valid(pixels[many]), 1), axis=1)  # cut at 180 degrees
    features = [
        {**feature, "geometry": orjson.loads(shapely.to_geojson(shape))}
        for feature, shape in zip(given, pixels, strict=True)
    ]
    answer = answers.normalize(features, answers.Frame(None, size + 2 * padding, padding))
    pieces = cut(answer.features(), tile, size, padding, report.get("missing_neighbours", ()))
    return Outcome(
        job,
        "ok",
        pieces.dumps(),
        len(given),
        missing=tuple(report.get("missing_neighbours", ())),
        repairs={
            **report.get("repairs", {}),
            **{f"dropped: {kind}": count for kind, count in report.get("dropped", {}).items()},
        },
    )


def _seconds(text: str | None) -> float:
    """Seconds of a Retry-After header; 1 if it says nothing readable."""
    try:
        return min(max(float(text or ""), 0.1), 60.0)
    except ValueError:
        return 1.0
