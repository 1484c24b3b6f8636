"""JSON responses."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response


def json_response(body: Any, status: int = 200, media_type: str = "application/json") -> Response:
    """A response of anything orjson writes, or of JSON that is written already (bytes)."""
    data = body if isinstance(body, bytes) else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(data, status, content_type=media_type)
