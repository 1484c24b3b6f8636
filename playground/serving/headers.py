"""Headers that tell browsers what not to do with our answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from flask import Flask, Response

from playground.serving.calls import Call, call

Pairs = Sequence[tuple[str, str]]
"""Headers: names and values. ``Vary`` adds to what stands there, every other takes its place."""
TOLD = "playground.told"

_ORIGIN = re.compile(r"(https?://)([A-Za-z0-9.{}*-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(?=[/?#]|$)")

STYLES_INLINE = "'unsafe-inline'"
"""For libraries that write style attributes; scripts may never stand in a page."""


def page_policy(images: Iterable[str] = (), styles: Iterable[str] = ()) -> str:
    """The Content-Security-Policy of a page of ours: everything from ourselves, scripts in files only.

    Args:
        images: further origins of images, see ``origin_of``.
        styles: further sources of styles, like STYLES_INLINE.
    """
    rules = {
        "default-src": ("'none'",),
        "script-src": ("'self'",),
        "style-src": ("'self'", *styles),
        "img-src": ("'self'", "data:", "blob:", *images),
        "font-src": ("'self'", "data:"),
        "connect-src": ("'self'",),
        "base-uri": ("'none'",),
        "form-action": ("'none'",),
        "frame-ancestors": ("'none'",),
    }
    return "; ".join(" ".join((name, *sources)) for name, sources in rules.items())


def origin_of(address: str) -> str:
    """The origin of a URL or URL template, for ``images``; ``{s}`` in its host becomes ``*``. Empty if it has none."""
    found = _ORIGIN.match(address)
    if not found:
        return ""
    host = found[2]
    if "{" in host or "*" in host:  # a wildcard stands for whole labels, on the left only
        labels = host.split(".")
        fixed = [label for label in labels if "{" not in label and "*" not in label]
        if len(fixed) < 2 or labels[-len(fixed) :] != fixed:
            return ""
        host = ".".join(["*", *fixed])
    return f"{found[1]}{host}{found[3] or ''}"


def tell(app: Flask, pairs_of: Callable[[Call], Pairs]) -> None:
    """Have every response tell something, whether Flask answers or the lane in front of it (``lane.py``)."""
    app.extensions.setdefault(TOLD, []).insert(0, pairs_of)  # as Flask: what came last has the first word

    @app.after_request
    def put(response: Response) -> Response:
        for name, value in pairs_of(call()):
            if name == "Vary":
                response.vary.add(value)
            else:
                response.headers[name] = value
        return response


def install(app: Flask) -> None:
    """Set them on every response; a view that sets one itself keeps its own."""
    always = (("X-Content-Type-Options", "nosniff"),)
    tell(app, lambda known: always)

    @app.after_request
    def protect(response: Response) -> Response:
        if response.mimetype == "text/html":
            response.headers.setdefault("Content-Security-Policy", page_policy())
            response.headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
            response.headers.setdefault("X-Frame-Options", "DENY")
            response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        return response
