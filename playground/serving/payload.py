"""What a client may POST to /predict: one typed definition, read in one pass."""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec

from playground.errors import PayloadError
from playground.serving.process_payload import read_base64

FORMS = (
    'send {"z", "x", "y"}, or {"lon", "lat"}, or {"bbox"}, or {"geometry"}, or {"image": base64}, or {"url"}, '
    "or the image itself as the body"
)

GROUPS = {
    "z, x and y": ("z", "x", "y"),
    "lon and lat": ("lon", "lat"),
    "image": ("image",),
    "url": ("url",),
    "bbox": ("bbox",),
    "geometry": ("geometry",),
}
"""The forms of a payload: the name of each, and its keys."""


class _Where(msgspec.Struct, forbid_unknown_fields=True):
    z: int | None = None
    x: int | None = None
    y: int | None = None
    lon: float | None = None
    lat: float | None = None
    url: str | None = None
    bbox: list[float] | None = None
    geometry: dict[str, Any] | None = None


class PredictPayload(_Where, forbid_unknown_fields=True):
    """The JSON body. Exactly one of its forms is given.

    Attributes:
        z, x, y: an XYZ tile address.
        lon, lat: a place, degrees.
        url: where an image is.
        bbox: west, south, east, north, degrees; west is greater than east where it crosses the antimeridian.
        geometry: a GeoJSON geometry.
        image: an encoded image; in JSON, base64.
    """

    image: bytes | None = None

    @property
    def address(self) -> tuple[int, int, int]:
        """(z, x, y), in a payload that gives them."""
        return cast("tuple[int, int, int]", (self.z, self.x, self.y))

    @property
    def place(self) -> tuple[float, float] | None:
        """(lon, lat), if given."""
        return None if self.lon is None or self.lat is None else (self.lon, self.lat)


class _TextPayload(_Where, forbid_unknown_fields=True, kw_only=True):
    image: str


NOTHING = [None] * len(_Where.__struct_fields__)
"""The values of a payload that is an image and nothing else, but for the image."""
_decoder = msgspec.json.Decoder(PredictPayload)
_text_decoder = msgspec.json.Decoder(_TextPayload)


def one_form(payload: type) -> Any:
    """The type, with what its schema cannot say: that the keys of exactly one form are there."""
    forms = [{"title": name, "required": list(keys)} for name, keys in GROUPS.items()]
    return Annotated[payload, msgspec.Meta(extra_json_schema={"oneOf": forms})]


def read_payload(body: bytes) -> PredictPayload:
    """The payload of a JSON body.

    Raises:
        PayloadError: not JSON, unknown or missing keys, wrong types.
        ImageError: the image is not base64.
    """
    if not body:
        raise PayloadError("the body is empty", FORMS)
    try:
        payload = _decoder.decode(body)
    except msgspec.ValidationError as error:
        payload = _lenient(body, error)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PayloadError(f"the body is not JSON: {error}", FORMS) from error
    *others, image = msgspec.structs.astuple(payload)
    if image is not None and others == NOTHING:
        return payload
    groups = {name: [getattr(payload, key) for key in keys] for name, keys in GROUPS.items()}
    given = [name for name, values in groups.items() if any(value is not None for value in values)]
    if len(given) != 1:
        raise PayloadError(f"the body has {' and '.join(given) or 'none'} of the forms; one is needed", FORMS)
    if any(value is None for value in groups[given[0]]):
        raise PayloadError(f"the body has only a part of {given[0]}", FORMS)
    return payload


def _lenient(body: bytes, error: msgspec.ValidationError) -> PredictPayload:
    """Base64 as it is met in the field: a data: URL, line breaks, the URL-safe alphabet, no padding."""
    try:
        given = _text_decoder.decode(body)
    except msgspec.ValidationError:
        raise PayloadError(f"the body is not what /predict takes: {error}", FORMS) from error
    image = read_base64(given.image)
    return PredictPayload(given.z, given.x, given.y, given.lon, given.lat, given.url, given.bbox, given.geometry, image)
