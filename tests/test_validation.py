"""Answers held to the OpenAPI document before they are sent."""

from __future__ import annotations

import pytest
from flask import Blueprint
from test_service import check_error, png

from playground.serving import validation
from playground.serving.openapi import operation
from playground.serving.openapi.schemas import FeatureCollection

BOW_TIE = [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]


@pytest.fixture(scope="module")
def service(serve, imagery_file):
    started = serve("readers:Array", TILES=str(imagery_file), VALIDATE_RESPONSES="on")
    started.wait_loaded()
    return started


@pytest.mark.parametrize("path", ["/predictions/3/5/4.geojson", "/version", "/api/v1/describe", "/-/ready", "/docs/"])
def test_what_is_right_passes(service, path):
    assert service.get(path).status_code == 200


def test_predictions_pass(service):
    assert service.post(json={"z": 3, "x": 5, "y": 4}).status_code == 200
    assert service.post(data=png(), headers={"Content-Type": "image/png"}).status_code == 200
    assert service.post(json={"bbox": [1, 1, 60, 20]}).status_code == 200
    check_error(service.post(json={"z": 30}), 400)


def feature(**changes):
    properties = {"category": "a", "categories": ["a"], "confidence": 1.0, "score": 1.0}
    geometry = {"type": "Point", "coordinates": [1, 2]}
    return {"type": "Feature", "geometry": geometry, "properties": properties, **changes}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"type": "FeatureCollection", "features": [feature()]}, None),
        ({"type": "FeatureCollection"}, "missing required field `features`"),
        ({"type": "FeatureCollection", "features": [feature(properties={})]}, "`categories`"),
        (
            {"type": "FeatureCollection", "features": [feature(geometry={"type": "Polygon", "coordinates": BOW_TIE})]},
            "feature 0: Self-intersection",
        ),
    ],
)
def test_what_is_wrong_is_told(answer, said):
    from flask import Flask

    from playground.serving import correlation, errors

    app, pages = Flask("faulty"), Blueprint("pages", __name__)

    @pages.get("/answer")
    @operation("Tests", gives={"application/json": FeatureCollection})
    def view():
        """An answer."""
        return answer

    correlation.install(app)
    errors.install(app)
    app.register_blueprint(pages)
    validation.install(app)
    response = app.test_client().get("/answer")
    if said is None:
        assert response.status_code == 200
    else:
        assert response.status_code == 500
        assert said in response.json["message"]
