"""The OpenAPI document is complete, and true of the service that serves it."""

from __future__ import annotations

import base64
import copy
import json
import random

import hypothesis
import openapi_spec_validator
import pytest
import requests
import schemathesis
import yaml
from hypothesis import strategies
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup
from test_service import check_error

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def service(serve, imagery_file):
    found = serve("documented:Process", TILES=str(imagery_file), PADDING="4", URL_PREFIX="/ships")
    assert found.wait_loaded()["status"] == "ready"
    return found


@pytest.fixture(scope="module")
def document(service):
    response = service.get("/api/v1/openapi")
    assert response.headers["Content-Type"] == "application/yaml"
    return yaml.safe_load(response.content)


def operations(document):
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield path, method, told


def test_it_is_valid(document):
    assert document["openapi"].startswith("3.1.")
    openapi_spec_validator.validate(document)
    names = [told["operationId"] for _, _, told in operations(document)]
    assert len(names) == len(set(names))


def test_every_endpoint_is_in_it():
    from flask import Flask

    from playground.registry import load
    from playground.serving import BLUEPRINTS
    from playground.serving.openapi import undocumented

    app = Flask("all", static_folder=None)
    for target in BLUEPRINTS.values():
        app.register_blueprint(load(target))
    assert undocumented(app) == []
    app.get("/new")(lambda: "")
    assert undocumented(app) == ["GET /new"]


def test_it_comes_as_json_too_and_knows_its_prefix(service, document):
    as_json = service.get("/api/v1/openapi", headers={"Accept": "application/json"}).json()
    assert as_json == document
    assert document["servers"] == [{"url": "/ships"}]
    behind = service.get("/api/v1/openapi", headers={"X-Forwarded-Prefix": "/a/b/", "Accept": "application/json"})
    assert behind.json()["servers"] == [{"url": "/a/b"}]
    for claimed in ("//evil.example", "/a/../b", "javascript:x", "/a b"):
        told = service.get("/api/v1/openapi", headers={"X-Forwarded-Prefix": claimed, "Accept": "application/json"})
        assert told.json()["servers"] == [{"url": "/ships"}]


def test_every_example_works(service, document):
    assert try_every_example(service, document) > 25


def try_every_example(service, document):
    tried = 0
    for template, method, told in operations(document):
        path = template
        for parameter in told["parameters"]:
            if parameter.get("in") == "path":
                path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
        body = told.get("requestBody", {}).get("content", {}).get("application/json", {})
        examples = body.get("examples", {"none": {}})
        assert examples, path
        for example in examples.values():
            options = {"json": example["value"]} if "value" in example else {}
            response = requests.request(method, service.url + path, timeout=30, **options)
            assert response.status_code == 200, (path, response.text)
            tried += 1
    return tried


def test_each_of_several_predictors_and_the_teams_endpoints_are_in_it(serve, imagery_file):
    one = {"namespace": "tests", "PREDICTOR_PACKAGE": "readers"}
    change = {"PADDING": 2, "description": {"family": "change-detection"}}
    several = [
        one | {"name": "array", "PREDICTOR_CLASS": "Array"},
        one | {"name": "pairs", "PREDICTOR_CLASS": "Images"} | change,
    ]
    endpoints = [{"class": "statistics_endpoint:Sum", "name": "numbers", "action": "sum", "unit": "m"}]
    told = {"PREDICTORS": json.dumps(several), "ENDPOINTS": json.dumps(endpoints), "GAE_SERVICE": "service"}
    service = serve("unused:Nothing", TILES=str(imagery_file), **told)
    service.wait_loaded()
    document = yaml.safe_load(service.get("/api/v1/openapi").content)
    openapi_spec_validator.validate(document)
    names = [told["operationId"] for _, _, told in operations(document)]
    assert len(names) == len(set(names))
    paths = document["paths"]
    team = paths.pop("/service/numbers/v1/sum/")
    assert team["post"]["tags"] == ["Endpoints of the team"]
    examples = paths["/tests/pairs/v1/api/v1/process"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples["one"]["value"]["tiles"]) == 2
    assert try_every_example(service, document) > 60
    told = service.get("/tests/pairs/v1/api/v1/describe").json()
    assert (told["family"], told["requirements"]["tile_size"]["optimal"]) == ("change-detection", 260)
    assert service.get(told["_links"]["self"]["href"]).json()["family"] == "change-detection"


def test_who_may_ask_is_in_it(serve, imagery_file):
    key = {"X-API-Key": "k" * 20}
    given = {"AUTH": "api-key", "API_KEYS": key["X-API-Key"], "RATE_LIMIT": "1000/second", "TILES": str(imagery_file)}
    service = serve("documented:Process", **given)
    service.wait_loaded()
    check_error(service.get("/api/v1/openapi"), 401)
    document = yaml.safe_load(service.get("/api/v1/openapi", headers=key).content)
    openapi_spec_validator.validate(document)
    assert sorted(document["components"]["securitySchemes"]) == ["bearer", "key"]
    is_open = set()
    for path, method, told in operations(document):
        if not told["security"]:
            is_open.add(path)
        status = requests.request(method, service.url + path.replace("{", "").replace("}", ""), timeout=30).status_code
        assert (status == 401) == bool(told["security"]) == ("401" in told["responses"]), path
        assert ("429" in told["responses"]) == bool(told["security"])
    health = {"/-/alive", "/-/ready", "/liveness_check", "/ping", "/readiness_check", "/api/v1/health"}
    assert is_open == health | {"/developer", "/static/{version}/{name}"}  # pages ask for the rest with a key


def test_what_it_asks_for_is_what_is_checked(document):
    schemas = document["components"]["schemas"]
    assert sorted(schemas["ProcessPayload"]["required"]) == ["resolution", "tiles"]
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert {"title": "z, x and y", "required": ["z", "x", "y"]} in content["application/json"]["schema"]["oneOf"]
    assert {"image/*", "application/octet-stream"} < content.keys()


@pytest.mark.parametrize("examples", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_answer_is_undocumented_and_none_is_a_500(service, imagery_file, examples):
    schema = schemathesis.openapi.from_url(service.url + "/api/v1/openapi")
    found = [result.ok() for result in schema.get_all_operations()]
    # Where something is read there is more to find out; elsewhere nothing can be wrong.
    readers = [each for each in found if each.method != "get" or "{z}" in each.path]
    asked = sum(ask(each, GenerationMode.POSITIVE, 3, service.url) for each in found)
    seed = 0
    while asked < examples:
        share = min(-(-(examples - asked) // (2 * len(readers))), 100)
        for each in readers:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                asked += ask(each, mode, share, service.url, seed)
        seed += 1


def test_what_is_not_said_would_be_noticed(service, document):
    for status, words in (("400", "Undocumented status code"), ("200", "Response violates schema")):
        told = copy.deepcopy(document)
        responses = told["paths"]["/api/v1/process"]["post"]["responses"]
        if status == "400":
            del responses["400"]
        else:
            told["components"]["schemas"]["PixelProperties"]["required"].append("colour")
        (process,) = [
            result.ok()
            for result in schemathesis.openapi.from_dict(told).get_all_operations()
            if result.ok().path == "/api/v1/process"
        ]
        with pytest.raises(FailureGroup, match=words):
            ask(process, GenerationMode.POSITIVE, 60, service.url)


def ask(operation, mode, count, url, seed=0):
    """Ask up to ``count`` generated requests; how many they were."""
    asked = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), steer=strategies.randoms(use_true_random=False))
    def answers(case, steer):
        nonlocal asked
        asked += 1
        steered(case, steer)
        case.call_and_validate(base_url=url, checks=CHECKS, timeout=30)

    answers()
    return asked


def steered(case, steer: random.Random):
    """Now and then put something good in the place of what is nearly always wrong, so that predictions happen too."""
    good = {"z": 3, "x": steer.randrange(8), "y": steer.randrange(8), "zoom": 3, "lon": 10.5, "lat": 3.25}
    image = base64.b64encode(steer.choice(IMAGES)).decode()
    good |= dict.fromkeys(("image", "tile", "tile1", "tile2", "mask"), image) | {"tiles": [image], "url": "http://a/b"}
    for place in (case.path_parameters, case.body, *(case.body if isinstance(case.body, list) else ())):
        if isinstance(place, dict):
            for key in place.keys() & good.keys():
                if steer.random() < 0.5:
                    place[key] = good[key]
    if isinstance(case.body, bytes) and steer.random() < 0.5:
        case.body = steer.choice(IMAGES)


def picture(size, kind):
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", size, (9, 8, 7)).save(buffer, kind)
    return buffer.getvalue()


IMAGES = [picture((264, 264), "PNG"), picture((8, 5), "JPEG"), picture((8, 5), "PNG")[:50], b"GIF89a"]
