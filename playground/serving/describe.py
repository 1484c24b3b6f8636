"""What the service says of itself, in the words of the Tile Geo Process API, and its OpenAPI document."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from flask import Blueprint, Response, current_app, request
from msgspec import UNSET, Meta, Struct, UnsetType

from playground.errors import PayloadError, PredictorNotReadyError
from playground.serving.health import is_ready
from playground.serving.json import json_response
from playground.serving.openapi import document, operation
from playground.serving.openapi.schemas import PixelCollection
from playground.serving.prefix import HEADER, url_prefix
from playground.serving.process_payload import MAX_PAYLOADS, ProcessPayload
from playground.serving.state import Service, service
from playground.settings.description import (
    Family,
    Hardware,
    ImageType,
    Requirements,
    Resolutions,
    Sizes,
    Tag,
)

blueprint = Blueprint("describe", __name__)

API = "Tile Geo Process API"
API_2018 = "Tile Geo Process API of 2018"
IMAGE_TYPES = [ImageType(bit_depth=8, bands=["R", "G", "B"], format=name) for name in ("JPG", "PNG", "TIF")]


class Link(Struct):
    """Where something is."""

    href: str
    method: str = "GET"
    type: str = "application/json"


class Requires(Requirements, frozen=True):
    """What the predictor needs of its images."""

    tile_size: Sizes


class Machine(Hardware, frozen=True, kw_only=True):
    """What the predictor needs of its machine."""

    ram: Annotated[int, Meta(ge=0, description="Bytes: as given, or of the predictors as they are now.")]


class Capabilities(Struct):
    """What the predictor finds."""

    tags: list[Tag]
    disclaimer: str | UnsetType = UNSET


class Describe(Struct):
    """The service, in the words of the Tile Geo Process API."""

    name: str
    title: str
    family: Family
    version: str
    description: str
    organization: str
    maintainer: str
    email: str
    keywords: list[str]
    requirements: Requires
    capabilities: Capabilities
    resources: Machine
    input: Annotated[dict[str, Any], Meta(description="The JSON Schema of a payload, with one that works inside it.")]
    output: Annotated[dict[str, Any], Meta(description="format, the content's schema, and a content as an example.")]
    links: Annotated[dict[str, Link], Meta(description="self, and every endpoint of that API.")] = msgspec.field(
        name="_links"
    )
    metadata: dict[str, Any] | UnsetType = UNSET
    application: dict[str, Any] | UnsetType = UNSET
    batched: bool = True
    asynchronous: bool = False


class Config(Struct, forbid_unknown_fields=True):
    """The zooms that the predictor reads, and the pixels of padding that it wants on each side."""

    zoom: Annotated[list[int], Meta(min_length=1)]
    padding: Annotated[int, Meta(ge=0, le=256)]


class Version(Struct):
    """Which service, predictor and playground this is."""

    version: str
    name: str
    predictor: str
    zoom_level: int
    padding: int
    playground: str


@blueprint.get("/api/v1/describe")
@operation(API, gives={"application/json": Describe})
def describe() -> Response:
    """What this service needs, finds and takes.

    From the description block of the service's configuration; what that leaves out is measured, or follows from the
    zoom and the padding.
    """
    response = json_response(msgspec.json.encode(describe_of(service(), url_prefix())))
    response.vary.add(HEADER)
    return response


@blueprint.get("/api/v1/openapi")
@operation(API, gives={"application/yaml": dict[str, Any], "application/json": dict[str, Any]})
def openapi() -> Response:
    """This document, true of the service that runs: YAML, or JSON for who accepts nothing else."""
    told = document(current_app, url_prefix())
    if request.accept_mimetypes.best_match(["application/yaml", "application/json"]) == "application/json":
        response = json_response(told)
    else:
        text = yaml.dump(told, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
        response = Response(text, content_type="application/yaml")
    response.vary.update(("Accept", HEADER))
    return response


@blueprint.get("/api/v1/health")
@operation(API, gives={"text/plain": str}, errors=(503,))
def health() -> Response:
    """OK, when the predictor can take a tile."""
    if not is_ready():
        phase = service().predictor.state().phase
        raise PredictorNotReadyError(f"the predictor is {phase}", "see /readiness_check")
    return Response("OK", content_type="text/plain; charset=utf-8")


@blueprint.get("/version")
@blueprint.get("/api/version")
@blueprint.get("/api/v1/version")
@operation(API, gives={"application/json": Version, "text/plain": str})
def version() -> Response:
    """Which service, predictor and playground this is; one line for who accepts only text."""
    found = service()
    if request.accept_mimetypes.best_match(["application/json", "text/plain"]) == "text/plain":
        text = f"{found.settings.name} {found.version}, playground {found.description['playground']}"
        return Response(text, content_type="text/plain; charset=utf-8")
    return json_response({"version": found.version} | found.description)


@blueprint.get("/api/config")
@operation(API_2018, gives={"application/json": Config}, deprecated=True)
def get_config() -> Response:
    """The zooms that the predictor reads, and its padding."""
    return json_response(_config())


@blueprint.put("/api/config")
@operation(
    API_2018,
    takes={"application/json": Config},
    gives={"application/json": Config},
    errors=(400, 413),
    examples=lambda found: {"as it is": _config_of(found)},
    deprecated=True,
)
def set_config() -> Response:
    """Nothing can be changed here: what is so already is answered 200, anything else 400."""
    try:
        wanted = msgspec.json.decode(request.get_data(), type=Config)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PayloadError(f"not what this endpoint takes: {error}", "send zoom and padding") from error
    if msgspec.to_builtins(wanted) != _config():
        raise PayloadError("the configuration cannot be changed here", "ZOOM_LEVEL and PADDING are set where it runs")
    return json_response(_config())


def _config() -> dict[str, Any]:
    return _config_of(service())


def _config_of(found: Service) -> dict[str, Any]:
    return {"zoom": [found.settings.zoom_level], "padding": found.settings.padding}


def describe_of(found: Service, prefix: str = "") -> Describe:
    """The description of a service: what its team said, the rest from its settings and from what is measured."""
    settings = found.settings
    told = found.told
    title = told.title or settings.name
    organization = told.organization or settings.project_name or "not given"
    tags = [Tag(title=tag) if isinstance(tag, str) else tag for tag in told.tags or []]
    return Describe(
        name=settings.name,
        title=title,
        family=told.family or ("change-detection" if found.images[0] > 1 else "object-detection"),
        version=found.version,
        description=told.description or f"{title}, by {found.description['predictor']}",
        organization=organization,
        maintainer=told.email or organization,
        email=told.email or "not given",
        keywords=told.keywords or [tag.title for tag in tags],
        requirements=_requirements(found, told.requirements),
        capabilities=Capabilities(tags, told.disclaimer),
        resources=_machine(found, told.resources),
        input=_input(found),
        output=_output(),
        links=_links(prefix + found.address),
        metadata=settings.metadata or UNSET,
        application=settings.application or UNSET,
    )


def _requirements(found: Service, told: Requirements) -> Requires:
    settings = found.settings
    side = 256 + 2 * settings.padding
    middle = found.resolution
    # From 60 degrees of latitude to the equator: there are few images beyond.
    widest = middle * 2**0.5
    derived: dict[str, Any] = {
        "tile_size": Sizes(optimal=side, min=side, max=side),
        "resolution": Resolutions(optimal=round(middle, 4), min=round(widest / 2, 4), max=round(widest, 4)),
        "overlap_size": 2 * settings.padding,
        "number_of_images": found.images[0],
        "apply_fusion": "NONE",
        "max_concurrent_requests": settings.workers,
        "duration_estimate": round(found.seconds),
        "supported_image_type": IMAGE_TYPES,
        "metadata": [],
        "regions": ["WORLD"],
    }
    return Requires(**(derived | _given(told)))


def _machine(found: Service, told: Hardware) -> Machine:
    derived = {"cpu": os.cpu_count() or 1, "ram": _memory(found), "max_batch_size": MAX_PAYLOADS}
    return Machine(**(derived | _given(told)))


def _memory(found: Service) -> int:
    """Bytes of resident memory: this worker and its predictor, times the workers; 0 where there is no /proc."""
    pages = 0
    for pid in {os.getpid(), found.predictor.state().pid or os.getpid()}:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") * found.settings.workers


def _given(told: Struct) -> dict[str, Any]:
    return {name: value for name in told.__struct_fields__ if (value := getattr(told, name)) is not UNSET}


def _input(found: Service) -> dict[str, Any]:
    """A JSON Schema. That API's text asks for one, its own schema for a payload: so it is both."""
    schema = msgspec.json.schema(ProcessPayload)
    (definition,) = schema["$defs"].values()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **definition,
        "resolution": round(found.resolution, 4),
        "tiles": ["<base64>"] * found.images[0],
    }


def _output() -> dict[str, Any]:
    """Likewise: content is a FeatureCollection; its schema stands beside it."""
    ring = [[10, 5], [10, 105], [103, 105], [103, 5], [10, 5]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"category": ["building"], "tags": ["building"], "confidence": 0.9},
    }
    return {
        "description": "GeoJSON in pixels of the image, its padding included; (0, 0) is the top left corner.",
        "format": "application/json",
        "content": {"type": "FeatureCollection", "features": [feature]},
        "schema": msgspec.json.schema(PixelCollection),
    }


def _links(prefix: str) -> dict[str, Link]:
    return {
        "self": Link(f"{prefix}/api/v1/describe"),
        "describe": Link(f"{prefix}/api/v1/describe"),
        "execution": Link(f"{prefix}/api/v1/process", "POST"),
        "healthcheck": Link(f"{prefix}/api/v1/health", type="text/plain"),
        "openapi": Link(f"{prefix}/api/v1/openapi", type="application/yaml"),
        "version": Link(f"{prefix}/version"),
        "config": Link(f"{prefix}/api/config"),
    }


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # libyaml's, where it is there
    """YAML without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
