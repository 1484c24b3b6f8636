"""From a tile's address (or an image) to an answer: the one path that the service, the commands and areas share."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import geojson
import mercantile

from playground import answers, geo, imagery
from playground.errors import AddressError, ImageError, PayloadError, PlaygroundError, TileNotFoundError
from playground.fetching.client import open_client
from playground.fetching.policy import FetchPolicy
from playground.fetching.tile import fetch_image
from playground.fetching.urls import without_secrets
from playground.mosaic import Fill
from playground.predictor import Limits, OtherResult, ServedTile
from playground.served import let_go, tile_of_encoded, tile_of_image, valid_of
from playground.settings import RunningSettings
from playground.sources import SourceInfo, open_source
from playground.tiles import TileEngine
from playground_interfaces import PredictionResult, Tile

MAX_URL_BYTES = 32 * 1024 * 1024
"""The largest image that is fetched for a caller: what a caller may post, too."""


def format_prediction(result: Any) -> dict[str, Any]:
    """What a predictor returned, as a response.

    Args:
        result: a PredictionResult, a geojson.FeatureCollection, or anything else.

    Returns:
        ``prediction``, a FeatureCollection in pixels of the padded image (an empty one for anything else), and
        ``warnings``, a list of words.
    """
    response: dict[str, Any] = {"prediction": None, "warnings": []}
    if isinstance(result, PredictionResult):
        response["prediction"] = result.format()
    elif isinstance(result, geojson.FeatureCollection):
        response["prediction"] = result
    else:
        response["prediction"] = geojson.FeatureCollection([])
        found = result.type_name if isinstance(result, OtherResult) else type(result).__name__
        response["warnings"].append(f"the predictor returned {found}, not a PredictionResult or a FeatureCollection")
    return response


@dataclasses.dataclass(frozen=True)
class Outcome:
    """An answer and how it came about.

    Attributes:
        answer: the FeatureCollection, in lon/lat for a tile, in pixels for an image.
        tile: the tile's address and frame; for an image, its size.
        report: the audit of the answer: features in and out, repairs, what was dropped, missing neighbours, warnings.
        timing: milliseconds by step, and their total.
    """

    answer: answers.Answer
    tile: dict[str, Any]
    report: dict[str, Any]
    timing: dict[str, float]


class Pipeline:
    """Fetch, pad, predict, normalise.

    Args:
        settings: zoom, padding, and which tiles are asked for.
        predict: a tile to a response, as ``format_prediction`` gives it.
        engine: where tiles come from; None for a service that only takes images.
        admitted: a place for one request, see ``Predictor.admitted``.
    """

    def __init__(
        self,
        settings: RunningSettings,
        predict: Callable[[Tile], dict[str, Any]],
        engine: TileEngine | None,
        admitted: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.settings = settings
        self._options = answers.Options.of(settings)
        self._isolated = settings.predictor_isolation != "none"
        self._predict = predict
        self._engine = engine
        self._admitted = admitted
        policy = engine.source.policy if engine else None
        self._client = open_client((policy or FetchPolicy.of(settings)).for_requests())

    def predict_tile(
        self,
        z: int,
        x: int,
        y: int,
        abandoned: Callable[[], bool] | None = None,
        deadline: float | None = None,
        *,
        in_pixels: bool = False,
    ) -> Outcome:
        """The answer for one tile, in lon/lat.

        Args:
            z, x, y: its address.
            abandoned: tells whether nobody waits for the answer any more.
            deadline: on the clock of ``time.monotonic``, where it is nearer than this tile's own.
            in_pixels: answer in pixels of the padded tile instead, for those who put tiles together.

        Raises:
            AddressError: no such tile, or one at another zoom than the predictor's.
            PlaygroundError: whatever the source or the predictor raised.
        """
        tile = geo.check_tile(z, x, y)
        if z != self.settings.zoom_level:
            raise AddressError(
                f"this predictor works at zoom {self.settings.zoom_level}, not {z}",
                f"ask for tiles of zoom {self.settings.zoom_level}, or for a place by lon and lat",
            )
        if self._engine is None:
            raise PayloadError("this service has no tile source", "set TILES, or post an image")
        started = time.monotonic()
        until = started + self.settings.timeout if deadline is None else min(deadline, started + self.settings.timeout)
        with self._admitted():
            image = self._engine.get(tile, min(started + self.settings.fetch_seconds, until))
            served = tile_of_image(image, until, abandoned)
            served.timing["fetch"] = time.monotonic() - started
            frame = answers.Frame(None if in_pixels else tile, image.size, image.padding)
            outcome = self._answer(served, frame, started)
        if image.missing:
            outcome.report["missing_neighbours"] = list(image.missing)
        if in_pixels:
            outcome.tile["size"] = image.size
        return outcome

    def imagery(self, z: int, x: int, y: int) -> bytes:
        """One encoded tile of the source, at any zoom that it has, without padding.

        Raises:
            AddressError: no such tile.
            TileNotFoundError: there is no imagery, or no source at all.
            TileSourceError: the source failed.
        """
        if self._engine is None:
            raise TileNotFoundError("this service has no tile source", "set TILES")
        return self._engine.fetch(geo.check_tile(z, x, y), time.monotonic() + self.settings.fetch_seconds)

    def source_info(self) -> SourceInfo | None:
        """What the tile source says about itself, if it can be asked now; None where there is none."""
        try:
            return self._engine.source.info() if self._engine else None
        except PlaygroundError:
            return SourceInfo("")

    def tile_counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """Tiles needed so far, by where they came from, and requests to the source, by how they ended."""
        if self._engine is None:
            return {}, {}
        stats = self._engine.stats()
        tiles = {"fetched": stats.fetches, "cached": stats.cached, "shared": stats.shared}
        return tiles, self._engine.outcomes()

    def sample_tile(self) -> mercantile.Tile:
        """A tile in the middle of the imagery, as far as its source tells where that is."""
        zoom = self.settings.zoom_level
        try:
            bounds = self._engine.source.info().bounds if self._engine else None
        except PlaygroundError:
            bounds = None
        west, south, east, north = bounds or (0.0, 0.0, 0.0, 0.0)
        return geo.tile_of_lnglat((west + east) / 2, (south + north) / 2, zoom)

    def predict_lnglat(self, lng: float, lat: float, abandoned: Callable[[], bool] | None = None) -> Outcome:
        """The answer for the tile that holds a place."""
        tile = geo.tile_of_lnglat(lng, lat, self.settings.zoom_level)
        return self.predict_tile(tile.z, tile.x, tile.y, abandoned)

    def predict_url(self, url: str, abandoned: Callable[[], bool] | None = None) -> Outcome:
        """The answer for the encoded image at an address, in its own pixels.

        Raises:
            UrlRefusedError: the configuration does not allow to fetch from there.
            TileNotFoundError, TileSourceError: there is none; its server failed.
            ImageError, PlaygroundError: as ``predict_image``.
        """
        started = time.monotonic()
        with self._admitted():
            data = fetch_image(self._client, url, started + self.settings.fetch_seconds, MAX_URL_BYTES)
            fetch = time.monotonic() - started
            served, frame = self._image(data, started, abandoned, without_secrets(url))
            served.timing["fetch"] = fetch
            return self._answer(served, frame, started)

    def predict_image(self, data: bytes, abandoned: Callable[[], bool] | None = None) -> Outcome:
        """The answer for an encoded image, in its own pixels.

        Raises:
            ImageError: not an image, or too large a one.
            PlaygroundError: whatever the predictor raised.
        """
        started = time.monotonic()
        with self._admitted():  # before the image is looked at: who is refused shall cost little
            return self.predict_images([data], started=started, abandoned=abandoned)

    def predict_images(
        self,
        images: Sequence[bytes],
        *,
        resolution: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        mask: bytes | None = None,
        started: float | None = None,
        abandoned: Callable[[], bool] | None = None,
    ) -> Outcome:
        """The answer for encoded images of one place, in their own pixels.

        Args:
            images: one, or more for change detection, oldest first; all of one size.
            resolution: metres on the ground per pixel, where it is known.
            metadata: for the predictor, as ``tile.metadata``.
            mask: an encoded image of the same size, 0 where there is nothing to see: ``tile.valid``.
            started: when the request began, on the clock of ``time.monotonic``; None for now.
            abandoned: tells whether nobody waits for the answer any more.

        Raises:
            ImageError: not an image, too large a one, or one of another size than the first.
            PlaygroundError: whatever the predictor raised.
        """
        started = time.monotonic() if started is None else started
        (served, frame), *others = [self._image(data, started, abandoned) for data in images]
        sizes = dict.fromkeys(imagery.image_size(each.image) for each, _ in [(served, frame), *others] if others)
        if len(sizes) > 1:
            found = " and ".join(f"{width} x {height}" for width, height in sizes)
            raise ImageError(f"the tiles of one payload differ in size: {found}", "send images of one size")
        served.tiles = [served, *(each for each, _ in others)]
        load_valid = None if mask is None else valid_of(mask, imagery.image_size(served.image))
        for each in served.tiles:
            each.resolution, each.metadata = resolution, dict(metadata or {})
            if load_valid is not None:
                each._loaders["valid"] = load_valid
        return self._answer(served, frame, started)

    def _image(
        self, data: bytes, started: float, abandoned: Callable[[], bool] | None, url: str = ""
    ) -> tuple[ServedTile, answers.Frame]:
        """The partner's Tile of an encoded image, and where its answer's pixels lie."""
        until = started + self.settings.timeout
        served, size = tile_of_encoded(data, self.settings.padding, until, abandoned, url)
        return served, answers.Frame(None, size, served.padding)

    def _answer(self, served: ServedTile, frame: answers.Frame, started: float) -> Outcome:
        response = self._predict(served)
        formatting = time.monotonic()
        answer = answers.normalize(response["prediction"]["features"], frame, self._options)
        ended = time.monotonic()
        report = dict(answer.report)
        if response.get("warnings"):
            report["warnings"] = response["warnings"]
        timing = {name: _milliseconds(seconds) for name, seconds in served.timing.items()}
        timing["format"] = _milliseconds(ended - formatting)
        timing["total"] = _milliseconds(ended - started)
        if self._isolated:
            let_go(served)
        return Outcome(answer, _describe(served, frame), report, timing)


def open_engine(settings: RunningSettings) -> TileEngine | None:
    """Where the service's tiles come from; None for one that only takes images."""
    if settings.tiles is None:
        return None
    return TileEngine(
        open_source(settings.tiles, FetchPolicy.of(settings)), settings.padding, cast("Fill", settings.fill)
    )


def limits_of(settings: RunningSettings) -> Limits:
    """What one predictor process may take."""
    return Limits(
        predict_seconds=settings.predict_seconds,
        load_seconds=settings.load_timeout,
        backlog=settings.backlog,
        max_requests=settings.max_requests,
        memory_mb=settings.memory_limit_mb,
        batch_size=settings.batch_size,
        batch_seconds=settings.batch_wait_ms / 1000,
    )


def hooks_of(settings: RunningSettings) -> dict[str, str]:
    """The partner's functions around ``predict``, by what they are: those that are given."""
    names = {name: getattr(settings, name) for name in ("additional_checks", "preprocessor", "postprocessor")}
    return {name: function for name, function in names.items() if function}


def _describe(served: ServedTile, frame: answers.Frame) -> dict[str, Any]:
    if frame.tile is None:
        return {"coordinates": "pixels", "padding": served.padding}
    return {
        "coordinates": "lonlat",
        "z": served.z,
        "x": served.x,
        "y": served.y,
        "bounds": served.bounds,
        "size": served.size,
        "padding": served.padding,
        "resolution": round(served.resolution, 6),
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
