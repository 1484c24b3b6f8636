"""What the documentation's examples send: it works with the service that shows it."""

from __future__ import annotations

import base64
import functools
import io
from typing import Any

from PIL import Image

from playground import geo
from playground.serving.state import Service


def sample_image(service: Service) -> str:
    """A padded tile in base64."""
    return _encoded(256 + 2 * service.settings.padding)


def sample_address(service: Service) -> dict[str, int]:
    """A tile where there should be imagery."""
    tile = service.pipeline.sample_tile()
    return {"z": tile.z, "x": tile.x, "y": tile.y}


def sample_payloads(service: Service) -> dict[str, Any]:
    """What /predict takes, by name."""
    payloads: dict[str, Any] = {"an image": {"image": sample_image(service)}}
    if service.settings.tiles:
        west, south, east, north = geo.bounds(service.pipeline.sample_tile())
        payloads["a tile"] = sample_address(service)
        payloads["a place"] = {"lon": round((west + east) / 2, 5), "lat": round((south + north) / 2, 5)}
    return payloads


@functools.lru_cache(maxsize=4)
def _encoded(size: int) -> str:
    """A square picture: half land, half water, in four colours, so that it stays small."""
    picture = Image.new("P", (size, size), 0)
    picture.putpalette([20, 60, 110, 90, 120, 60, 200, 190, 160, 240, 240, 240])
    picture.paste(1, (size // 2, 0, size, size))
    picture.paste(2, (size // 2, size // 3, size // 2 + size // 8, size // 2))
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
