"""The configured imagery through the service: its tokens stay here, and pages load nothing from elsewhere."""

from __future__ import annotations

import io
import threading

import msgspec
from flask import Response, request
from PIL import Image

from playground import imagery
from playground.errors import PayloadError, PredictorBusyError
from playground.served import MAX_PIXELS
from playground.serving.openapi.operation import Binary, operation
from playground.serving.openapi.samples import sample_address, sample_image
from playground.serving.pages.blueprint import blueprint
from playground.serving.state import service

AT_A_TIME = 6
"""Tiles that one worker fetches for pages; the other threads are there for predictions."""
KEEP_SECONDS = 3600
SHOWN = ("jpeg", "png", "webp", "gif")
"""Formats that browsers show."""
LARGEST_SIDE = 4096
"""Pixels of a preview."""

_places = threading.BoundedSemaphore(AT_A_TIME)


@blueprint.get("/tiles/<int:z>/<int:x>/<int:y>")
@operation(
    "Pages",
    gives={f"image/{kind}": Binary for kind in SHOWN},
    errors=(400, 404, 502, 503, 504),
    arguments=sample_address,
)
def tile(z: int, x: int, y: int) -> Response:
    """One tile of the service's imagery as it is, at any zoom that it has."""
    found = service()
    if not _places.acquire(timeout=found.settings.fetch_seconds):
        raise PredictorBusyError("enough imagery is being fetched", "try again in a moment")
    try:
        data = found.pipeline.imagery(z, x, y)
    finally:
        _places.release()
    kind = imagery.image_format(data)
    if kind not in SHOWN:
        data, kind = _shown(data), "jpeg"
    response = Response(data, content_type=f"image/{kind}")
    response.headers["Cache-Control"] = f"max-age={KEEP_SECONDS}"
    return response


class Picture(msgspec.Struct):
    """An encoded image."""

    image: bytes


@blueprint.post("/preview")
@operation(
    "Pages",
    takes={"application/json": Picture, "image/*": Binary, "application/octet-stream": Binary},
    gives={"image/jpeg": Binary},
    errors=(400, 413),
    examples=lambda found: {"an image": {"image": sample_image(found)}},
)
def preview() -> Response:
    """A picture of an image that browsers do not show, like a GeoTIFF."""
    data = request.get_data()
    if request.mimetype.endswith("json"):
        try:
            data = msgspec.json.decode(data, type=Picture).image
        except (msgspec.DecodeError, RecursionError) as error:
            raise PayloadError(f"not what this endpoint takes: {error}", "send an image") from error
    imagery.check_image(data, MAX_PIXELS)
    return Response(_shown(data), content_type="image/jpeg")


def _shown(data: bytes) -> bytes:
    pixels = imagery.decode(data, upright=True)
    if pixels.dtype != "uint8":  # 16 bits: what is there from the darkest to the lightest
        low, high = float(pixels.min()), float(pixels.max())
        pixels = ((pixels - low) * (255 / max(high - low, 1))).astype("uint8")
    colour = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]
    image = Image.fromarray(colour)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
