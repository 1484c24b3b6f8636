"""Every output format gives back what was written."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re

import mercantile
import orjson
import pyarrow.parquet as pq
import pytest
import shapely
from rfc7946 import check_text

from playground.answers import Frame, normalize
from playground.formats import FORMATS, writer_class
from playground.formats.features import Features

READERS = {
    "geojson": lambda text: json.loads(text)["features"],
    "geojsonseq": lambda text: [json.loads(record) for record in text.split(b"\x1e")[1:]],
}
COLUMNS = ["flatgeobuf", "geoparquet", "csv"]
"""Read by others' libraries below."""
RING = [[10, 10], [10, 60], [60, 60], [60, 10]]


def answer(count):
    features = [
        {"geometry": {"type": "Polygon", "coordinates": [RING]}, "properties": {"category": "ship", "number": number}}
        for number in range(count)
    ]
    return normalize(features, Frame(mercantile.Tile(17, 11, 5), 256, 24))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("counts", [(), (0,), (1,), (3, 0, 2)])
def test_features_come_back_in_order(name, counts):
    stream, expected = io.BytesIO(), []
    with writer_class(name)(stream) as writer:
        for count in counts:
            written = answer(count)
            writer.write(written.features())
            expected += written.features()
    assert READERS[name](stream.getvalue()) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_plain_features_and_numpy_views_are_written_alike(name):
    texts = []
    for features in (answer(2).features(), map(orjson.loads, answer(2).texts), Features(answer(2).texts)):
        stream = io.BytesIO()
        with writer_class(name)(stream) as writer:
            writer.write(features)
        texts.append(stream.getvalue())
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("name", FORMATS)
def test_features_are_written_as_they_are_read_whatever_the_order_of_their_members(name):
    texts = [
        b'{"type":"Feature","geometry":null,"properties":{"a":1}}',
        b'{"id":7,"properties":{"a":null},"geometry":{"type":"Point","coordinates":[1.0,2.0]},"type":"Feature"}',
        b'{"type":"Feature","geometry":{"coordinates":[1.0,2.0],"type":"Point"},"properties":null,"id":8}',
        b'{"type":"Feature","geometry":{"type":"Point","coordinates":[3.0,4.0]},"properties":{"b":",\\n"},"id":"x"}',
    ]
    written = []
    for features in (Features(texts), list(Features(texts))):
        stream = io.BytesIO()
        with writer_class(name)(stream) as writer:
            writer.write(features)
        written.append(stream.getvalue())
    assert written[0] == written[1]


def test_features_are_a_list_that_is_read_when_asked():
    features = Features([*answer(3).texts, b"not yet"])
    assert len(features) == 4
    assert list(features[:3]) == [features[0], features[1], features[2]] == answer(3).features()
    with pytest.raises(orjson.JSONDecodeError):
        list(features)


@pytest.mark.parametrize("name", FORMATS)
def test_formats_say_what_they_are(name):
    writer = writer_class(name)
    assert re.fullmatch(r"(application|text)/[a-z+.-]+", writer.media_type)
    assert writer.extension.startswith(".")


@pytest.mark.parametrize("count", [0, 1, 5])
def test_geojson_is_valid(count):
    stream = io.BytesIO()
    with writer_class("geojson")(stream) as writer:
        writer.write(iter(answer(count).features()))
    assert len(check_text(stream.getvalue())["features"]) == count


def test_a_collection_cut_short_does_not_parse():
    stream = io.BytesIO()
    writer = writer_class("geojson")(stream)
    with contextlib.suppress(KeyboardInterrupt), writer:
        writer.write(answer(1).features())
        raise KeyboardInterrupt
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


def test_every_format_is_read_back_by_a_test():
    assert {*READERS, *COLUMNS} == set(FORMATS)


FEATURES = [
    {"type": "Feature", "id": "a", "geometry": {"type": "Point", "coordinates": [1.5, -2.25]}, "properties": given}
    for given in (
        {"category": "=ship", "score": 1, "tags": ["a", "b"], "mixed": 1, "ok": True, "id": 7, "big": 2**63},
        {"category": "boat, small\n", "score": 0.5, "tags": [], "mixed": "x", "ok": None, "nested": {"a": [1]}},
    )
] + [
    {"type": "Feature", "geometry": None, "properties": {}},
    {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]]},
        "properties": None,
    },
]


def written(name, features=FEATURES):
    stream = io.BytesIO()
    with writer_class(name)(stream) as writer:
        writer.write(features[:1])
        writer.write(features[1:])
    return stream.getvalue()


def test_flatgeobuf_is_what_gdal_reads(tmp_path):
    import pyogrio  # brings pandas, which takes a second

    path = tmp_path / "features.fgb"
    path.write_bytes(written("flatgeobuf"))
    information = pyogrio.read_info(path)
    assert (information["driver"], information["crs"], information["features"]) == ("FlatGeobuf", "EPSG:4326", 4)
    told, _, _, fields = pyogrio.raw.read(path)
    rows = {row[1]: dict(zip(told["fields"], row, strict=True)) for row in zip(*fields, strict=True)}
    ship = rows["=ship"]
    assert (ship["id"], ship["id_"], ship["score"], ship["ok"]) == ("a", 7, 1.0, 1)
    assert (json.loads(ship["tags"]), ship["mixed"], rows["boat, small\n"]["mixed"]) == (["a", "b"], "1", "x")
    assert json.loads(rows["boat, small\n"]["nested"]) == {"a": [1]}
    path.write_bytes(written("flatgeobuf", [each for each in FEATURES if each["geometry"]]))
    assert pyogrio.read_info(path)["capabilities"]["fast_spatial_filter"]
    _, within = pyogrio.read_arrow(path, bbox=(3, 1, 3.5, 1.5))
    assert len(within) == 1


def test_geoparquet_says_where_it_is():
    table = pq.read_table(io.BytesIO(written("geoparquet")))
    geo = json.loads(table.schema.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert column == {"encoding": "WKB", "geometry_types": ["Point", "Polygon"], "bbox": [0, -2.25, 4, 2]}
    assert table["tags"].to_pylist() == [["a", "b"], [], None, None]
    assert table["big"].to_pylist()[0] == str(2**63)
    shapes = shapely.from_wkb(table["geometry"].to_pylist())
    assert (shapes[0].wkt, shapes[2], shapes[3].area) == ("POINT (1.5 -2.25)", None, 8.0)


def test_csv_of_points_is_safe_in_a_spreadsheet():
    rows = list(csv.DictReader(io.StringIO(written("csv").decode(), newline="")))
    assert [(row["lon"], row["lat"]) for row in rows] == [("1.5", "-2.25")] * 2 + [("", ""), ("2.0", "1.0")]
    assert (rows[0]["category"], rows[0]["ok"], rows[0]["tags"]) == ("'=ship", "true", '["a","b"]')
    assert rows[1]["category"] == "boat, small\n"


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_features_give_the_same_bytes(name):
    assert written(name) == written(name)
    assert written(name, []) or name == "geojsonseq"


@pytest.mark.parametrize("name", COLUMNS)
def test_after_an_error_nothing_is_written(name):
    stream = io.BytesIO()
    with contextlib.suppress(KeyboardInterrupt), writer_class(name)(stream) as writer:
        writer.write(FEATURES)
        raise KeyboardInterrupt
    assert stream.getvalue() == b""


def test_many_features_go_through_a_file(monkeypatch):
    monkeypatch.setattr("playground.formats.columns.IN_MEMORY", 1000)
    monkeypatch.setattr("playground.formats.columns.BATCH", 7)
    many = answer(100).features()
    table = pq.read_table(io.BytesIO(written("geoparquet", many)))
    assert table["number"].to_pylist() == list(range(100))
