"""From the application's routes to an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from flask import Flask
from werkzeug.routing import IntegerConverter, Rule

from playground.serving.correlation import HEADER
from playground.serving.openapi import access
from playground.serving.openapi.operation import AnyOf, Binary, Operation, operation_of
from playground.serving.openapi.schemas import Error
from playground.serving.state import Service, service_of

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
"""HEAD and OPTIONS are answered everywhere, and said nowhere."""
KEY = "Idempotency-Key"
REFERENCES = "#/components/schemas/{name}"
TAGS = {
    "Predictions": "Tiles, places and images to GeoJSON.",
    "Tile Geo Process API": "For platforms that speak it: images in, GeoJSON in pixels out.",
    "Tile Geo Process API of 2018": "The older form of it.",
    "Health": "Whether the service lives, and whether it can predict.",
    "Endpoints of the team": "Those that are no prediction.",
    "About": "What this service is, and its documentation.",
    "Pages": "What the map and the developer page ask for.",
}
STATUSES = {
    400: "The request cannot be used; sending it again does not help.",
    401: "No credentials, or not the right ones.",
    403: "These credentials may not do this.",
    404: "There is nothing here: no imagery, or no such page.",
    406: "Nothing of what the client accepts can be given.",
    409: "A request with this Idempotency-Key is on its way.",
    413: "Too large.",
    415: "Neither JSON nor an image.",
    422: "This cannot be predicted, says the predictor; or the Idempotency-Key was another request's.",
    429: "Too many requests; try again later.",
    500: "The predictor failed or crashed on this request.",
    502: "The tile server failed; try again later.",
    503: "The predictor is loading, or enough requests wait already; try again later.",
    504: "The deadline passed; try again later.",
}


def undocumented(app: Flask) -> list[str]:
    """The endpoints without ``@operation``, as ``METHOD /path``."""
    return [f"{method} {rule.rule}" for rule, method, told in _endpoints(app) if told is None]


def document(app: Flask, prefix: str = "") -> dict[str, Any]:
    """The OpenAPI document of an application.

    Args:
        app: every route is looked at.
        prefix: the path that a proxy in front takes off.
    """
    found = [(rule, method, told) for rule, method, told in _endpoints(app) if told is not None]
    schemas, components = _schemas(told for _, _, told in found)
    paths: dict[str, dict[str, Any]] = {}
    first: dict[str, dict[str, str]] = {}
    tags = dict(TAGS)
    service = service_of(app, "")
    settings = service.settings
    needed = access.schemes(settings)
    for rule, method, told in sorted(found, key=_own_name_first):
        name, path = _name(rule), _path(rule)
        blueprint = rule.endpoint.rpartition(".")[0]
        refused = access.refusals(settings, rule.endpoint)
        made = _operation(rule, told, schemas, service_of(app, blueprint), method=method, refused=refused)
        if needed:
            made["security"] = access.security(settings, rule.endpoint)
        if "." in blueprint:
            tags |= {(tag := f"Predictor {blueprint.partition('.')[0]}"): "One of several."}
            made["tags"] = [tag]
        if name in first:
            if known := first[name].get(blueprint):
                made["description"] = f"The same as `{known}`."
            name = f"{name}_at_{re.sub('[^a-z0-9]+', '_', path.lower()).strip('_') or 'root'}"
        first.setdefault(_name(rule), {}).setdefault(blueprint, path)
        paths.setdefault(path, {})[method.lower()] = {"operationId": name} | made
    said = service.told
    text = f"""{said.description or ""}

Predictions by `{settings.predictor_package}:{settings.predictor_class}`, at zoom {settings.zoom_level} with \
{settings.padding} pixels of padding."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": said.title or settings.name,
            "description": text.strip(),
            "version": service.version,
        },
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": words} for name, words in tags.items()],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components,
            "securitySchemes": needed,
            "headers": {
                HEADER: {"description": "The request's name: the client's, or one made here.", "schema": STRING},
                "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
            },
            "parameters": {
                HEADER: {
                    "name": HEADER,
                    "in": "header",
                    "description": "A name for this request, echoed and logged; one is made if none is given.",
                    "schema": STRING,
                },
                KEY: {
                    "name": KEY,
                    "in": "header",
                    "description": "Of your making, one for each request: sent again with it, it is answered the same.",
                    "schema": STRING,
                },
            },
        },
    }


STRING = {"type": "string"}


def _endpoints(app: Flask) -> Iterator[tuple[Rule, str, Operation | None]]:
    for rule in app.url_map.iter_rules():
        for method in METHODS:
            if method in (rule.methods or ()):
                yield rule, method, operation_of(app.view_functions[rule.endpoint])


def _name(rule: Rule) -> str:
    return str(rule.endpoint).rpartition(".")[2]


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:[^<>]*:)?([A-Za-z_]+)>", r"{\1}", rule.rule)


def _own_name_first(endpoint: tuple[Rule, str, Operation]) -> tuple[bool, int, str]:
    """Of the addresses of one handler, the one that ends in its name stands for all."""
    rule, method, _ = endpoint
    return not rule.rule.endswith(_name(rule)), len(rule.rule), rule.rule + method


def _headers(method: str) -> list[dict[str, str]]:
    """The headers that every request of a method may have."""
    names = (HEADER, KEY) if method == "POST" else (HEADER,)
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _schemas(told: Iterable[Operation]) -> tuple[dict[int, Any], dict[str, Any]]:
    """Schemas by the identity of the type they are for, and the components that they refer to."""
    kinds: dict[int, Any] = {id(Error): Error}
    for each in told:
        bodies = [each.takes, *each.gives.values()]
        queries = [kind for kind, _ in each.queries.values()]
        for kind in [*(kind for body in bodies for kind in body.values()), *queries]:
            kinds |= {id(inner): inner for inner in _flat(kind)}
    typed = {name: kind for name, kind in kinds.items() if not (kind is Binary or isinstance(kind, Mapping))}
    schemas, components = msgspec.json.schema_components(list(typed.values()), ref_template=REFERENCES)
    return dict(zip(typed, schemas, strict=True)), components


def _flat(kind: Any) -> Iterator[Any]:
    if isinstance(kind, AnyOf):
        for inner in kind.kinds:
            yield from _flat(inner)
    else:
        yield kind


def _schema(kind: Any, schemas: Mapping[int, Any]) -> Any:
    if kind is Binary:
        return {"type": "string", "format": "binary"}
    if isinstance(kind, AnyOf):
        one = {"anyOf": [_schema(each, schemas) for each in kind.kinds]}
        return {"type": "array", "items": one} if kind.as_list else one
    return kind if isinstance(kind, Mapping) else schemas[id(kind)]


def _operation(
    rule: Rule, told: Operation, schemas: Mapping[int, Any], service: Service, *, method: str, refused: Sequence[int]
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "tags": [told.tag],
        "summary": told.summary,
        "parameters": [*_parameters(rule, told, schemas, service), *_headers(method)],
        "responses": {},
    }
    if told.text:
        made["description"] = told.text
    if told.deprecated:
        made["deprecated"] = True
    if told.takes:
        content = {media: {"schema": _schema(kind, schemas)} for media, kind in told.takes.items()}
        examples = {key: {"value": value} for key, value in told.examples(service).items()}
        if examples and "application/json" in content:
            content["application/json"]["examples"] = examples
        made["requestBody"] = {"required": True, "content": content}
    named = {HEADER: {"$ref": f"#/components/headers/{HEADER}"}}
    for status, bodies in told.gives.items():
        content = {media: {"schema": _schema(kind, schemas)} for media, kind in bodies.items()}
        words = {200: "The answer.", 302: "Look there.", 304: "Still the same."}.get(status, STATUSES.get(status, ""))
        made["responses"][str(status)] = {"description": words, "headers": named} | (
            {"content": content} if content else {}
        )
    if method == "GET":
        made["responses"]["304"] = {"description": "Still what If-None-Match names.", "headers": named}
    repeats = (400, 409, 422) if method == "POST" else ()
    for status in sorted({*told.errors, *refused, *repeats}):
        headers = named | (
            {"Retry-After": {"$ref": "#/components/headers/Retry-After"}} if status in (409, 429, 503) else {}
        )
        content = {"application/json": {"schema": schemas[id(Error)]}}
        made["responses"][str(status)] = {"description": STATUSES[status], "headers": headers, "content": content}
    return made


def _parameters(rule: Rule, told: Operation, schemas: Mapping[int, Any], service: Service) -> Iterator[dict[str, Any]]:
    examples = told.arguments(service)
    for name, converter in rule._converters.items():
        schema = {"type": "integer"} if isinstance(converter, IntegerConverter) else STRING
        example = {"example": examples[name]} if name in examples else {}
        yield {"name": name, "in": "path", "required": True, "schema": schema} | example
    for name, (kind, words) in told.queries.items():
        example = {"example": examples[name]} if name in examples else {}
        yield {"name": name, "in": "query", "description": words, "schema": _schema(kind, schemas)} | example
