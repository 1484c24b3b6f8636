"""Endpoints that are no prediction: classes of the team's own, named in ENDPOINTS, in the server's Python."""

from __future__ import annotations

import abc
from typing import Any

import msgspec
from flask import Flask, Response, current_app, request

from playground.errors import SettingsError
from playground.registry import load
from playground.serving.json import json_response
from playground.serving.openapi.operation import document_as, operation
from playground.settings import RunningSettings
from playground.settings.kinds import is_path_part


class Endpoint(abc.ABC):
    """One endpoint at /namespace/name/version/action/.

    Args:
        settings: the running service's.
        options: what else its entry in ENDPOINTS says.
    """

    methods: tuple[str, ...] = ("GET",)

    def __init__(self, settings: RunningSettings, options: dict[str, Any]) -> None:
        self.settings = settings
        self.options = options

    @abc.abstractmethod
    def respond(self, body: Any) -> Any:
        """What is answered, as JSON; or a Flask Response.

        Args:
            body: the request's JSON; None where it has no body. ``flask.request`` has the rest.
        """

    def state(self) -> dict[str, Any]:
        """What the readiness answer shows of it."""
        return {}


class _Entry(msgspec.Struct, forbid_unknown_fields=False, rename={"target": "class"}):
    target: str
    action: str
    name: str
    namespace: str = ""
    version: str = "v1"


def install(app: Flask, settings: RunningSettings) -> None:
    """Add those of ENDPOINTS.

    Raises:
        SettingsError: an entry that cannot be used.
    """
    found: dict[str, Endpoint] = {}
    for number, block in enumerate(settings.endpoints or [], 1):
        try:
            entry = msgspec.convert(block, _Entry)
            options = {key: value for key, value in block.items() if key not in (*_Entry.__struct_fields__, "class")}
            parts = (entry.namespace or settings.name, entry.name, entry.version, entry.action)
            if not all(map(is_path_part, parts)):
                raise ValueError(f"an address has letters, digits, points, hyphens and underscores: {parts}")
            endpoint = load(entry.target)(settings, options)
        except Exception as error:  # whatever the class raises
            words = f"ENDPOINTS, {number}. endpoint: {type(error).__name__}: {error}"
            raise SettingsError(words, problems=(words,)) from error
        path = "/".join(("", *parts))
        found[path] = endpoint
        name = f"{entry.action}-{number}".replace(".", "-")
        app.add_url_rule(f"{path}/", name, _view(endpoint), methods=list(endpoint.methods))
    app.extensions["playground.endpoints"] = found


def states() -> dict[str, Any]:
    """What the endpoints of this application say of themselves."""
    found: dict[str, Endpoint] = current_app.extensions["playground.endpoints"]
    return {path: state for path, endpoint in found.items() if (state := endpoint.state())}


def _view(endpoint: Endpoint) -> Any:
    @operation(
        "Endpoints of the team",
        takes={"application/json": {}} if {"POST", "PUT"} & set(endpoint.methods) else None,
        gives={"application/json": {}},
        errors=(400, 413, 415, 500),
    )
    def view() -> Response:
        answer = endpoint.respond(request.get_json() if request.get_data() else None)
        return answer if isinstance(answer, Response) else json_response(answer)

    return document_as(view, type(endpoint).__doc__ or type(endpoint).__name__)
