"""Answers as clients get them from a running service: valid, read by GDAL, cached, and as the configuration asks."""

from __future__ import annotations

import io

import mercantile
import numpy as np
import pytest
from rfc7946 import check_text
from test_metrics import scrape, scrape_until
from tileserver import TileServer

from playground import geo, imagery

NEIGHBOURS = [(x, y) for y in (3, 4) for x in (0, 1, 7)]


@pytest.fixture(scope="module")
def tiles():
    pixels = np.full((256, 256, 3), 128, np.uint8)
    picture = imagery.encode_png(pixels)
    with TileServer(lambda path: picture) as server:
        yield server


@pytest.fixture(scope="module")
def nasty(serve, tiles):
    service = serve("nasty:Nasty", TILES=tiles.template, PADDING="24", ALLOWED_HOSTS="127.0.0.1")
    service.wait_loaded()
    return service


def widest(z):
    """Degrees that a predictor can mean: its padded image, and one more on each side."""
    return 3 * 304 / 256 * 360 / 2**z


@pytest.mark.parametrize(("x", "y"), NEIGHBOURS)
def test_whatever_comes_clients_get_valid_geojson(nasty, x, y):
    response = nasty.get(f"/predictions/3/{x}/{y}.geojson")
    assert response.headers["Content-Type"] == "application/geo+json"
    alone = check_text(response.content, decimals=7, widest=widest(3))
    told = nasty.post(json={"z": 3, "x": x, "y": y}).json()
    assert told["prediction"] == alone
    report = told["report"]
    assert report["features_in"] == 40 == report["features_out"] + sum(report["dropped"].values())
    assert report["features_out"] == len(alone["features"])
    assert "unmendable" not in report["dropped"]


def test_gdal_reads_what_the_service_gives(nasty):
    url = f"{nasty.url}/predictions/3/7/4.geojson"
    expected = nasty.get("/predictions/3/7/4.geojson").json()["features"]
    for source in (url, io.BytesIO(nasty.get("/predictions/3/7/4.geojson").content)):
        import pyogrio  # brings pandas, which takes a second

        meta, _, geometries, fields = pyogrio.raw.read(source)
        assert meta["crs"] == "EPSG:4326"
        assert len(geometries) == len(expected)
        columns = dict(zip(meta["fields"], fields, strict=True))
        assert columns["confidence"].tolist() == [each["properties"]["confidence"] for each in expected]
        assert {"category", "categories", "score"} <= set(columns)


def test_a_map_that_comes_again_is_answered_from_its_cache(nasty, tiles):
    addresses = [f"/predictions/3/{x}/{y}.geojson" for x in (2, 3, 4) for y in (2, 3, 4)]
    first = {address: nasty.get(address) for address in addresses}
    asked = sum(tiles.requests.values())
    assert len(tiles.requests) == asked, "a tile was fetched twice"
    before = scrape_until(nasty, ("playground_fetches_total", ("outcome", "ok")), asked)
    for address, response in first.items():
        again = nasty.get(address, headers={"If-None-Match": response.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"].removeprefix("W/") == response.headers["ETag"].removeprefix("W/")
    assert sum(tiles.requests.values()) == asked
    assert fetched(scrape(nasty)) == fetched(before)


def fetched(numbers):
    return numbers["playground_tiles_total", ("outcome", "fetched")]


def test_a_configuration_shapes_the_answers(serve, tiles):
    service = serve(
        "nasty:Labelled",
        TILES=tiles.template,
        ALLOWED_HOSTS="127.0.0.1",
        PADDING="24",
        PIXEL_CONVENTION="index",
        PADDING_RESULTS="own",
        MIN_CONFIDENCE="0.5",
        MIN_AREA="5",
        CLASS_NAMES='{"0": "ship"}',
    )
    service.wait_loaded()
    told = service.post(json={"z": 3, "x": 5, "y": 2}).json()
    (found,) = told["prediction"]["features"]
    assert found["properties"]["category"] == "ship"
    ring = np.array(found["geometry"]["coordinates"][0])
    west, south, east, north = geo.bounds(mercantile.Tile(5, 2, 3))
    assert [*ring.min(axis=0), *ring.max(axis=0)] == pytest.approx([west, south, east, north], abs=1e-7)
    assert told["report"]["dropped"] == {"below_area": 1, "below_confidence": 1, "in_padding": 1}
    numbers = scrape(service)
    for reason in told["report"]["dropped"]:
        assert numbers["playground_dropped_total", ("kind", reason)] == 1
    assert numbers["playground_repairs_total", ("kind", "class_named")] == 1
