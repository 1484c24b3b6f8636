"""What the servers are asked: a JSON body with a JPEG of 20 KB in base64."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from PIL import Image


def jpeg(size: int = 20_000) -> bytes:
    """A 256 x 256 JPEG of about ``size`` bytes."""
    noise = np.random.default_rng(1).normal(128, 40, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
    encodings = []
    for quality in range(30, 100):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        encodings.append(buffer.getvalue())
    return min(encodings, key=lambda data: abs(len(data) - size))


def png() -> bytes:
    """A small image."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


def post(path: str, body: bytes, media_type: str = "application/json", close: bool = False) -> bytes:
    """A request as it goes over the wire, on a connection that is kept, or closed after it."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
    return (head + "Connection: close\r\n" * close + "\r\n").encode() + body


def json_body() -> bytes:
    return json.dumps({"image": base64.b64encode(jpeg()).decode()}).encode()
