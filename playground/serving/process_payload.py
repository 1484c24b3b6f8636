"""What a platform may POST: the payloads of the Tile Geo Process API, and those of its form of 2018."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
import orjson
from msgspec import Meta

from playground.errors import ImageError, PayloadError

Form = TypeVar("Form")

MAX_TILES = 8
"""Images of one payload."""
MAX_PAYLOADS = 64
"""Payloads of one array."""
HINT = "see /docs/ for what this endpoint takes"

Image = Annotated[bytes, Meta(description="An encoded image: JPEG, PNG, WebP, GIF or TIFF.")]

Mask = Annotated[bytes, Meta(description="A grey PNG of the same size: 0 where nothing is to be seen.")]


class ProcessPayload(msgspec.Struct):
    """One image, or more of one place for change detection, oldest first. Other keys are let be."""

    resolution: Annotated[float, Meta(gt=0, description="Metres on the ground per pixel.")]
    tiles: Annotated[list[Image], Meta(min_length=1, max_length=MAX_TILES)]
    metadata: Annotated[dict[str, Any], Meta(description="For the predictor, as tile.metadata.")] = {}


class DetectionJob(msgspec.Struct):
    """One image."""

    zoom: Annotated[int, Meta(description="The service's zoom.")]
    tileFormat: Annotated[str, Meta(description="The image's media type.")]  # noqa: N815 - that API's spelling
    tile: Image
    mask: Mask | None = None


class ChangeJob(msgspec.Struct):
    """Two images of one place, the older first."""

    zoom: int
    tile1Format: str  # noqa: N815
    tile1: Image
    tile2Format: str  # noqa: N815
    tile2: Image
    mask: Mask | None = None


def read_process(body: bytes) -> ProcessPayload | list[msgspec.Raw]:
    """The payload of a body, or the payloads of an array, each to be read by ``read_one``.

    Raises:
        PayloadError: not JSON; not what the API asks for; no payloads or too many.
        ImageError: an image is not base64.
    """
    if not re.match(rb"\s*\[", body):
        return read_one(body)
    try:
        payloads = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise PayloadError(f"the body is not JSON: {error}", HINT) from error
    if not 1 <= len(payloads) <= MAX_PAYLOADS:
        raise PayloadError(f"an array of {len(payloads)} payloads", f"send 1 to {MAX_PAYLOADS} at once")
    return payloads


def read_one(body: bytes | msgspec.Raw) -> ProcessPayload:
    """One payload.

    Raises:
        PayloadError, ImageError: see ``read_process``.
    """
    payload = _decode(body, ProcessPayload, ("tiles",))
    try:
        orjson.dumps([[payload.metadata]])
    except TypeError as error:
        raise PayloadError(f"metadata cannot be handed over: {error}", "send plain texts, numbers and lists") from error
    return payload


def read_job(body: bytes) -> DetectionJob | ChangeJob:
    """A payload of the form of 2018.

    Raises:
        PayloadError, ImageError: see ``read_process``.
    """
    try:
        return _decode(body, DetectionJob, ("tile", "mask"))
    except PayloadError:
        if not (b'"tile1"' in body or b'"tile2"' in body):
            raise
    return _decode(body, ChangeJob, ("tile1", "tile2", "mask"))


def _decode(body: bytes | msgspec.Raw, form: type[Form], images: tuple[str, ...]) -> Form:
    """The typed payload; ``images`` are the keys that hold base64."""
    if not body:
        raise PayloadError("the body is empty", HINT)
    try:
        try:
            return msgspec.json.decode(body, type=form)
        except msgspec.ValidationError as error:
            if "base64" not in str(error):
                raise
            given = msgspec.json.decode(body)
            return msgspec.convert(given | _lenient(given, images), form)
    except msgspec.ValidationError as error:
        raise PayloadError(f"the payload is not what this endpoint takes: {error}", HINT) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise PayloadError(f"the body is not JSON: {error}", HINT) from error


def _lenient(given: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Those keys, their images decoded."""
    found: dict[str, Any] = {}
    for key in keys:
        value = given.get(key)
        if isinstance(value, str):
            found[key] = read_base64(value)
        elif isinstance(value, list):
            found[key] = [read_base64(each) if isinstance(each, str) else each for each in value]
    return found


def read_base64(text: str) -> bytes:
    """Base64 as it is met in the field: a data: URL, line breaks, the URL-safe alphabet, no padding.

    Raises:
        ImageError: it is none of these.
    """
    plain = "".join(text.split())
    if plain.startswith("data:"):
        plain = plain.partition(",")[2]
    plain = plain.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError as error:  # binascii's own, and that of letters beyond ASCII
        raise ImageError(f"image is not base64: {error}", "encode the image's bytes as base64") from error
