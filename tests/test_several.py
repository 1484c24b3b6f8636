"""Several predictors in one service, the steps around a prediction, and endpoints that are none."""

from __future__ import annotations

import json

import pytest
from test_service import check_error, png

from playground.errors import SettingsError
from playground.settings import load_running, load_service
from playground.wrap.render import environment, render_runtime

ECHO = {"PREDICTOR_PACKAGE": "hooked", "PREDICTOR_CLASS": "Echo"}
HOOKS = {name: f"hooked.{name}" for name in ("check", "rename", "annotate")}
SEVERAL = [
    {"name": "plain", "namespace": "tests", **ECHO, "metadata": {"trained": "2026", "scores": [0.5, {"f1": 0.75}]}},
    {
        "name": "hooked",
        "namespace": "tests",
        "version": "2.0",
        **ECHO,
        "PADDING": 4,
        "additional_checks": "hooked.check",
        "preprocessor": "hooked.rename",
        "postprocessor": "hooked:annotate",
    },
    {"name": "arrays", "PREDICTOR_PACKAGE": "readers", "PREDICTOR_CLASS": "Array", "ZOOM_LEVEL": 2},
]
ENDPOINTS = [{"class": "statistics_endpoint:Sum", "name": "numbers", "action": "sum", "unit": "m"}]


@pytest.fixture(scope="module")
def service(serve, imagery_file):
    started = serve(
        "unused:Nothing",
        TILES=str(imagery_file),
        GAE_SERVICE="many",
        METADATA='{"team": "north"}',
        PREDICTORS=json.dumps(SEVERAL),
        ENDPOINTS=json.dumps(ENDPOINTS),
    )
    started.wait_loaded()
    return started


def properties(answer):
    assert answer.status_code == 200, answer.text
    (feature,) = answer.json()["prediction"]["features"]
    return feature["properties"]


def test_each_answers_at_its_address(service):
    where = {"z": 3, "x": 5, "y": 4}
    assert properties(service.post("/tests/plain/v1/predict/", json=where))["padding"] == 0
    assert properties(service.post("/tests/hooked/2.0/predict", json=where))["padding"] == 4
    assert properties(service.post("/many/arrays/v1/predict", json={"z": 2, "x": 1, "y": 1}))["shape"] == [256, 256, 3]
    assert "zoom 2, not 3" in check_error(service.post("/many/arrays/v1/predict", json=where), 400)["message"]
    layer = service.get("/tests/hooked/2.0/predictions/3/5/4.geojson")
    assert layer.headers["Content-Type"] == "application/geo+json"
    check_error(service.post("/tests/nobody/v1/predict", json=where), 404)


def test_the_first_answers_at_predict_too(service):
    answer = service.post("/predict", json={"z": 3, "x": 5, "y": 4}).json()
    assert answer["service"]["address"] == "/tests/plain/v1"


def test_hooks_check_prepare_and_finish(service):
    told = properties(service.post("/tests/hooked/2.0/predict", json={"z": 3, "x": 5, "y": 4}))
    assert (told["url"], told["seen_as"]) == ("renamed", "renamed")
    sea = check_error(service.post("/tests/hooked/2.0/predict", json={"z": 3, "x": 6, "y": 4}), 422)
    assert sea["message"] == "column 6 is under the sea"
    secret = check_error(service.post("/tests/hooked/2.0/predict", json={"z": 3, "x": 7, "y": 4}), 422)
    assert (secret["message"], secret["hint"]) == ("column 7 is secret", "ask for another")


def test_readiness_tells_of_each(service):
    told = service.get("/-/ready").json()
    assert sorted(told["predictors"]) == ["/many/arrays/v1", "/tests/hooked/2.0", "/tests/plain/v1"]
    assert told["predictor"]["metadata"] == {"trained": "2026", "scores": [0.5, {"f1": 0.75}]}
    assert told["predictors"]["/many/arrays/v1"]["metadata"] == told["metadata"] == {"team": "north"}
    described = service.get("/tests/plain/v1/api/v1/describe").json()
    assert (described["metadata"]["trained"], described["application"]) == ("2026", {"team": "north"})
    assert told["endpoints"] == {"/many/numbers/v1/sum": {"unit": "m"}}
    assert "playground_predictor_ready 3.0" in service.get("/metrics").text


def test_an_endpoint_that_is_no_prediction(service):
    assert service.post("/many/numbers/v1/sum/", json=[1, 2, 3]).json() == {"sum": 6, "unit": "m"}
    check_error(service.get("/many/numbers/v1/sum/"), 405)
    check_error(service.post("/many/numbers/v1/sum/", json=["a"]), 500)


def test_hooks_without_a_process_of_its_own(serve):
    environ = {"ADDITIONAL_CHECKS": "hooked.check", "POSTPROCESSOR": "hooked.annotate", "PREDICTOR_ISOLATION": "none"}
    service = serve("hooked:Echo", **environ)
    service.wait_loaded()
    answer = service.post(data=png(), headers={"Content-Type": "image/png"})
    assert properties(answer)["seen_as"] == ""


def test_a_hook_that_is_not_there(serve):
    told = serve("hooked:Echo", PREPROCESSOR="hooked.nothing").wait_loaded()["predictor"]
    assert (told["phase"], told["error"]) == ("failed", "AttributeError: module hooked has no function nothing")


def test_service_yaml_travels_into_the_image(tmp_path):
    path = tmp_path / "service.yaml"
    path.write_text(
        "image: example.com/many:1\nZOOM_LEVEL: 3\nmetadata: {team: north}\nPREDICTORS:\n"
        "- {name: a, PREDICTOR_PACKAGE: p.a, PREDICTOR_CLASS: A, metadata: {f1: 0.5}}\n"
        "- {name: b, PREDICTOR_PACKAGE: p.b, PREDICTOR_CLASS: B, ZOOM_LEVEL: 4}\n"
    )
    settings = load_service(path)
    config = tmp_path / "app.yaml"
    config.write_bytes(render_runtime(settings)["app.yaml"])
    running = load_running(config, {})
    assert [(each.predictor_package, each.zoom_level, each.metadata) for each in running.several] == [
        ("p.a", 3, {"f1": 0.5}),
        ("p.b", 4, {"team": "north"}),
    ]
    assert running.predictor_class == "A"
    assert {each.namespace for each in running.several} == {"many"}
    assert json.loads(environment(settings)["PREDICTORS"])[1]["name"] == "b"


def test_every_problem_of_every_predictor(tmp_path):
    path = tmp_path / "service.yaml"
    path.write_text(
        "PREDICTOR_CLASS: A\nPREDICTORS:\n- {name: a b, ZOOM_LEVEL: 99, workers: 2}\n"
        "- {nmae: b, PREDICTOR_PACKAGE: p, ZOOM_LEVEL: 1}\n- {name: c, namespace: n, PREDICTOR_PACKAGE: p}\n"
        "- {name: c, namespace: n, PREDICTOR_PACKAGE: p, ZOOM_LEVEL: 1}\n"
    )
    with pytest.raises(SettingsError) as caught:
        load_service(path)
    problems = [problem.partition("service.yaml: ")[2] for problem in caught.value.problems]
    assert problems[0].startswith("PREDICTORS, 1. predictor: name: found a b, allowed: letters, digits")
    assert problems[1].startswith("PREDICTORS, 1. predictor: ZOOM_LEVEL: found 99, allowed: a whole")
    assert problems[2] == "PREDICTORS, 1. predictor: workers: belongs to the whole service"
    assert problems[3].startswith("PREDICTORS, 2. predictor: nmae: unknown key, allowed: namespace, name, version")
    assert problems[4].startswith("PREDICTORS, 2. predictor: name: missing")
    assert problems[5] == "PREDICTORS, 4. predictor: has the same namespace, name and version as another"
    assert [problem.partition(": missing")[0] for problem in problems[6:]] == [
        "PREDICTORS, 1. predictor: PREDICTOR_PACKAGE",
        "PREDICTORS, 3. predictor: ZOOM_LEVEL",
    ]


def test_a_bomb_of_anchors_is_refused(tmp_path):
    path = tmp_path / "service.yaml"
    lines = ["metadata:", "  a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path.write_text("\n".join(["PREDICTOR_PACKAGE: p", "PREDICTOR_CLASS: P", "ZOOM_LEVEL: 1", *lines]))
    with pytest.raises(SettingsError, match="1 problem") as caught:
        load_service(path)
    assert "metadata: found a mapping, allowed: a mapping" in caught.value.problems[0]
