"""Every output format gives back what was written."""

from __future__ import annotations

import contextlib
import io
import json

import mercantile
import orjson
import pytest
from rfc7946 import check_text

from playground.answers import Frame, normalize
from playground.formats import FORMATS, writer_class

READERS = {
    "geojson": lambda text: json.loads(text)["features"],
    "geojsonseq": lambda text: [json.loads(record) for record in text.split(b"\x1e")[1:]],
}
RING = [[10, 10], [10, 60], [60, 60], [60, 10]]


def answer(count):
    features = [
        {"geometry": {"type": "Polygon", "coordinates": [RING]}, "properties": {"category": "ship", "number": number}}
        for number in range(count)
    ]
    return normalize(features, Frame(mercantile.Tile(17, 11, 5), 256, 24))


@pytest.mark.parametrize("name", FORMATS)
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
    for features in (answer(2).features(), map(orjson.loads, answer(2).texts)):
        stream = io.BytesIO()
        with writer_class(name)(stream) as writer:
            writer.write(features)
        texts.append(stream.getvalue())
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", FORMATS)
def test_formats_say_what_they_are(name):
    writer = writer_class(name)
    assert writer.media_type.startswith("application/geo+json")
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
