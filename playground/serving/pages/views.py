"""The pages and the files that they are made of, all from here: nothing is loaded from elsewhere.

A page is the same for everybody and knows nothing of the service; what it shows it asks for, with the credentials that
are typed into it where the service wants some. All its addresses are relative, so that it works below any path.
"""

from __future__ import annotations

import functools
import hashlib
import mimetypes
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Response, redirect, request
from werkzeug.exceptions import NotFound

from playground.serving.json import json_response
from playground.serving.negotiation import JSON, wants_html
from playground.serving.openapi.operation import operation
from playground.serving.openapi.schemas import FrontPage
from playground.serving.pages.blueprint import blueprint
from playground.serving.state import service

STATIC = Path(__file__).with_name("static")
LEAFLET = ("leaflet.js", "leaflet.css")
"""Of the package XStatic-Leaflet; nothing else of it is served."""
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FRONT_PAGE: dict[int, dict[str, Any]] = {
    200: {"application/json": FrontPage, "text/html": str},
    308: {"text/html": str},
}
FOR_EVER = "public, max-age=31536000, immutable"


@functools.lru_cache(maxsize=1)
def files() -> dict[str, bytes]:
    """The pages' files and Leaflet's, by name."""
    found = {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in (*KINDS, ".html")}
    leaflet = find_spec("xstatic.pkg.leaflet")
    for folder in (leaflet.submodule_search_locations or []) if leaflet else []:
        found |= {name: Path(folder, "data", name).read_bytes() for name in LEAFLET}
    return found


@functools.lru_cache(maxsize=1)
def version_of_files() -> str:
    """A word that changes when any of the files does."""
    digest = hashlib.sha256()
    for name, content in sorted(files().items()):
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:12]


@blueprint.get("/")
@operation("About", gives=FRONT_PAGE)
def front_page() -> Response:
    """The map for browsers; for other clients who answers here, and where."""
    if wants_html():
        if not request.path.endswith("/"):
            return _add_slash()
        return _page("map.html")
    endpoints = {
        "predict": "POST /predict",
        "layer": "GET /predictions/{z}/{x}/{y}.geojson",
        "ready": "GET /-/ready",
        "alive": "GET /-/alive",
        "process": "POST /api/v1/process",
        "describe": "GET /api/v1/describe",
        "documentation": "GET /docs/",
        "version": "GET /version",
    }
    response = json_response({"service": service().description, "endpoints": endpoints}, media_type=JSON)
    response.vary.add("Accept")
    return response


@blueprint.get("/developer")
@operation("Pages", gives={200: {"text/html": str}, 308: {"text/html": str}})
def developer_page() -> Response:
    """What the predictor does, and what was asked lately, for those who look after the service."""
    if request.path.endswith("/"):
        return redirect("../developer", 308)  # type: ignore[return-value]
    return _page("developer.html")


@blueprint.get("/static/<version>/<name>")
@operation(
    "Pages",
    gives={"text/javascript": str, "text/css": str, "image/svg+xml": str, "text/html": str},
    errors=(404,),
    arguments=lambda _: {"version": version_of_files(), "name": "style.css"},
)
def static_file(version: str, name: str) -> Response:
    """A script or style of the pages. The address changes with the files, so browsers keep them for ever."""
    content = files().get(name)
    if content is None:
        raise NotFound
    response = Response(content, content_type=KINDS.get(Path(name).suffix) or mimetypes.guess_type(name)[0])
    response.headers["Cache-Control"] = FOR_EVER if version == version_of_files() else "no-cache"
    return response


def _page(name: str) -> Response:
    html = files()[name].replace(b"{{static}}", f"static/{version_of_files()}".encode())
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.vary.add("Accept")
    return response


def _add_slash() -> Response:
    last = request.path.rpartition("/")[2]
    return redirect(f"{last}/", 308)  # type: ignore[return-value]  # relative: right below any prefix
