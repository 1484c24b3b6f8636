"""The answers of the service as types. Nothing is read or written with them: tests hold them to what is answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Position = Annotated[list[float], Meta(min_length=2, max_length=2)]
Path = Annotated[list[Position], Meta(min_length=2)]
Ring = Annotated[list[Position], Meta(min_length=4)]
Share = Annotated[float, Meta(ge=0, le=1)]
Counts = dict[str, int]


class Error(Struct):
    """The shape of every error."""

    message: Annotated[str, Meta(description="What is wrong.")]
    hint: Annotated[str, Meta(description="What can be done about it.")]
    correlationId: Annotated[str, Meta(description="The request's name, in the service's log too.")]  # noqa: N815
    timestamp: str


class _Geometry(Struct, tag_field="type"):
    pass


class Point(_Geometry, tag="Point"):
    coordinates: Position


class MultiPoint(_Geometry, tag="MultiPoint"):
    coordinates: list[Position]


class LineString(_Geometry, tag="LineString"):
    coordinates: Path


class MultiLineString(_Geometry, tag="MultiLineString"):
    coordinates: list[Path]


class Polygon(_Geometry, tag="Polygon"):
    coordinates: list[Ring]


class MultiPolygon(_Geometry, tag="MultiPolygon"):
    coordinates: list[list[Ring]]


Geometry = Point | MultiPoint | LineString | MultiLineString | Polygon | MultiPolygon


class GeometryCollection(_Geometry, tag="GeometryCollection"):
    geometries: list[Geometry]


class Properties(Struct):
    """All that the predictor said of an object, and these."""

    categories: list[str]
    confidence: Share
    score: Annotated[float, Meta(ge=0, le=1, description="The confidence by its old name.")]
    category: str | None


class Feature(Struct, tag="Feature", tag_field="type"):
    geometry: Geometry | GeometryCollection
    properties: Properties
    id: str | int | float | UnsetType = UNSET


class FeatureCollection(Struct, tag="FeatureCollection", tag_field="type"):
    """RFC 7946: lon/lat for tiles and places, pixels for images."""

    features: list[Feature]


class PixelProperties(Struct):
    """All that the predictor said of an object, and these."""

    category: list[str]
    tags: Annotated[list[str], Meta(description="The same as category.")]
    confidence: Share


class PixelFeature(Struct, tag="Feature", tag_field="type"):
    geometry: Geometry | GeometryCollection
    properties: PixelProperties
    id: str | int | float | UnsetType = UNSET


class PixelCollection(Struct, tag="FeatureCollection", tag_field="type"):
    """A FeatureCollection in pixels of the image, its padding included: (0, 0) is the top left corner, y goes down."""

    features: list[PixelFeature]


class FailedPayload(Error):  # noqa: N818 - no exception  # noqa: N818 - no exception
    """Why one payload of an array has no answer."""

    status: Annotated[int, Meta(description="The HTTP status that it would have had alone.")]


class ServiceName(Struct):
    """Who answered."""

    name: str
    predictor: str
    zoom_level: int
    padding: int
    playground: str


class Report(Struct):
    """What became of the predictor's features: features_in is features_out and what was dropped."""

    features_in: int
    features_out: int
    repairs: Counts
    dropped: Counts
    missing_neighbours: list[str] | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class Frame(Struct):
    """Where the answer lies: a tile (with z, x, y, bounds, size and resolution), or an image."""

    coordinates: Literal["lonlat", "pixels"]
    padding: int
    z: int | UnsetType = UNSET
    x: int | UnsetType = UNSET
    y: int | UnsetType = UNSET
    bounds: Annotated[list[float], Meta(min_length=4, max_length=4)] | UnsetType = UNSET
    size: int | UnsetType = UNSET
    resolution: float | UnsetType = UNSET


class Prediction(Struct):
    """A FeatureCollection and how it came about."""

    prediction: FeatureCollection
    tile: Frame
    service: ServiceName
    report: Report
    timing: Annotated[dict[str, float], Meta(description="Milliseconds by step.")]


class Area(Struct):
    """Which tiles an area took."""

    coordinates: Literal["lonlat"]
    zoom: int
    bounds: Annotated[list[float], Meta(min_length=4, max_length=4)]
    tiles: int


class AreaPrediction(Struct):
    """A FeatureCollection of all tiles that an area takes."""

    prediction: FeatureCollection
    area: Area
    service: ServiceName
    report: dict[str, Any]
    timing: Annotated[dict[str, float], Meta(description="Milliseconds.")]


class Alive(Struct):
    status: Literal["alive"]


class PredictorPhase(Struct):
    """What the predictor is doing, since when, and what went wrong last."""

    phase: str
    since: str
    elapsed: float
    restarts: int
    pid: int | None
    python: str | None
    error: str | None
    traceback: str | None
    output: list[str]


class Readiness(Struct):
    status: Literal["ready", "not ready", "draining"]
    predictor: PredictorPhase
    metadata: dict[str, Any] | UnsetType = UNSET
    predictors: dict[str, PredictorPhase] | UnsetType = UNSET
    endpoints: dict[str, Any] | UnsetType = UNSET


class FrontPage(Struct):
    """Who answers here, and where."""

    service: ServiceName
    endpoints: dict[str, str]


Anything = dict[str, Any]
