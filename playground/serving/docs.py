"""The page that shows the OpenAPI document and tries it out: Swagger UI, all of it served from here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, redirect, request, send_from_directory
from werkzeug.exceptions import NotFound

from playground.serving.headers import STYLES_INLINE, page_policy
from playground.serving.openapi import Binary, operation

blueprint = Blueprint("docs", __name__)

PAGES = Path(__file__).with_name("pages")
OURS = ("start.js",)
BUNDLED = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
"""Of the package flask-swagger-ui; nothing else of it is served."""


@blueprint.get("/docs/")
@operation("About", gives={200: {"text/html": str}, 308: {"text/html": str}})
def docs() -> Response:
    """This page.

    All its addresses are relative, so that it works behind a proxy that takes a prefix off.
    """
    if not request.path.endswith("/"):
        return redirect("docs/", 308)  # type: ignore[return-value]  # relative: right below any prefix
    response = send_from_directory(PAGES, "docs.html", max_age=300)
    response.headers["Content-Security-Policy"] = page_policy(styles=(STYLES_INLINE,))  # Swagger UI sets some
    return response


@blueprint.get("/docs/<name>")
@operation(
    "About",
    gives={"text/javascript": str, "text/css": str, "image/png": Binary},
    errors=(404,),
    arguments=lambda service: {"name": "start.js"},
)
def docs_file(name: str) -> Response:
    """The scripts, styles and pictures of this page."""
    if name in OURS:
        folder = PAGES
    elif name in BUNDLED:
        folder = bundle()
    else:
        raise NotFound
    return send_from_directory(folder, name, max_age=300)


def bundle() -> Path:
    """Where Swagger UI's files are."""
    found = find_spec("flask_swagger_ui")
    if found is None or not found.submodule_search_locations:
        raise NotFound("Swagger UI is not installed here: pip install flask-swagger-ui")
    return Path(found.submodule_search_locations[0]) / "dist"
