"""WMTS: what is chosen, which addresses are asked, and what a service's own errors become."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import mercantile
import numpy as np
import pytest
from tileserver import Answer, TileServer, cut_level, level_picture
from wmtsserver import EXCEPTION, WMTS, document, layer, limits, link, matrix, matrix_set

from playground.errors import FetchRefusedError, SourceSettingsError, TileNotFoundError, TileSourceError
from playground.fetching.policy import FetchPolicy, read_hosts
from playground.sources import kind_of, open_source
from playground.sources.wmts import WMTSSource
from playground.tiles import TileEngine

LEVEL = level_picture(3, 16)
TILES = dict(cut_level(LEVEL, 3))
TILE = mercantile.Tile(3, 1, 3)
GRID = matrix_set("GoogleMapsCompatible", "".join(matrix(str(zoom), zoom) for zoom in range(8)))
GEODETIC = matrix_set("WGS84", matrix("0", 0, corner="-180 90"), "urn:ogc:def:crs:OGC:1.3:CRS84")
LINK = link("GoogleMapsCompatible")
TIME = """<Dimension><ows:Identifier>Time</ows:Identifier>{default}
<Value>2019-01-01</Value><Value>2020-01-01</Value></Dimension>"""
DEFAULT_TIME = TIME.format(default="<Default>2020-01-01</Default>")


@pytest.fixture
def service() -> WMTS:
    return WMTS(TILES)


@pytest.fixture
def server(service: WMTS) -> Iterator[TileServer]:
    with TileServer(service) as running:
        yield running


def rest(server: TileServer, more: str = "", kind: str = "image/png") -> str:
    place = server.address + "/rest/imagery/{Style}/{Time}/{TileMatrix}/{TileRow}/{TileCol}"
    return f'{more}<ResourceURL format="{kind}" resourceType="tile" template="{place}"/>'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("https://a.example/wmts?SERVICE=WMTS&REQUEST=GetCapabilities", "wmts"),
        ("https://a.example/wmts?request=getcapabilities&service=wmts&key=1#layer=a", "wmts"),
        ("https://a.example/wmts/1.0.0/WMTSCapabilities.xml", "wmts"),
        ("https://a.example/{TileMatrixSet}/{TileMatrix}/{TileRow}/{TileCol}.png", "wmts"),
        ("wmts:http://a.example/geoserver/gwc/service/wmts", "wmts"),
        ("https://a.example/wmts?SERVICE=WMTS&REQUEST=GetTile&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}", "xyz"),
    ],
)
def test_which_strings_name_a_wmts(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_a_padded_tile_by_kvp_is_a_crop_of_the_level(server: TileServer, service: WMTS) -> None:
    service.document = document(layer("imagery", LINK) + GRID, server.address + "/kvp?map=1&amp;LAYER=other")
    engine = TileEngine(open_source(f"wmts:{server.address}/wmts"), 5)
    assert np.array_equal(engine.get(TILE).array(), LEVEL[16 - 5 : 32 + 5, 48 - 5 : 64 + 5])
    engine.close()
    asked = service.asked[0]
    assert (asked["LAYER"], asked["STYLE"], asked["FORMAT"]) == ("imagery", "natural", "image/png")
    assert (asked["SERVICE"], asked["REQUEST"], asked["VERSION"], asked["MAP"]) == ("WMTS", "GetTile", "1.0.0", "1")
    assert asked["TILEMATRIXSET"] == "GoogleMapsCompatible"


def test_rest_templates_are_preferred_and_filled_in(server: TileServer, service: WMTS) -> None:
    service.document = document(layer("imagery", LINK, rest(server, DEFAULT_TIME)) + GRID, server.address + "/kvp?")
    address = server.address + "/1.0.0/WMTSCapabilities.xml"
    source = open_source(address)
    assert source.fetch(TILE) == TILES[TILE]
    assert service.asked[-1]["STYLE"] == "natural"
    assert service.asked[-1]["TIME"] == "2020-01-01"
    chosen = open_source(
        address + "#layer=imagery&style=plain&time=2019-01-01&matrixset=GoogleMapsCompatible&format=png"
    )
    assert chosen.fetch(TILE) == TILES[TILE]
    assert service.asked[-1]["STYLE"] == "plain"
    assert service.asked[-1]["TIME"] == "2019-01-01"
    assert chosen.url(TILE) == f"{server.address}/rest/imagery/plain/2019-01-01/3/1/3"


def test_info_is_what_the_capabilities_say(server: TileServer, service: WMTS) -> None:
    service.document = document(layer("imagery", LINK) + GRID)
    info = open_source(server.address + "/WMTSCapabilities.xml").info()
    assert (info.name, info.minzoom, info.maxzoom, info.format) == ("The imagery", 0, 7, "png")
    assert info.bounds == (-180, -85.06, 0, 85.06)
    assert info.attribution == "The Survey"


def test_matrices_are_known_by_their_numbers_not_their_names(server: TileServer, service: WMTS) -> None:
    # Named backwards, one out of step, one of GeoServer's rounded corners; the others are no web mercator tiles.
    service.prefix = "level "
    matrices = [
        matrix("level 3", 3, corner="-2.003750834E7 2.0037508E7"),
        matrix("wide", 2, tile_size=512),
        matrix("shifted", 4, corner="-20000000 20037508.34"),
        matrix("odd", 5).replace("<ScaleDenominator>1", "<ScaleDenominator>3"),
    ]
    service.document = document(layer("imagery", link("mine")) + matrix_set("mine", "".join(matrices)))
    source = open_source(server.address + "/WMTSCapabilities.xml")
    assert source.fetch(TILE) == TILES[TILE]
    assert service.asked[-1]["TILEMATRIX"] == "level 3"
    assert (source.info().minzoom, source.info().maxzoom) == (2, 3)
    for zoom in (4, 5):
        with pytest.raises(TileNotFoundError):
            source.fetch(mercantile.Tile(3, 1, zoom))


def test_matrices_may_begin_elsewhere_on_the_grid(server: TileServer, service: WMTS) -> None:
    # Its top-left corner is that of the tile 3/2/1.
    service.document = document(
        layer("imagery", link("part")) + matrix_set("part", matrix("3", 3, corner="-10018754.171 15028131.257"))
    )
    source = open_source(server.address + "/WMTSCapabilities.xml")
    source.fetch(mercantile.Tile(5, 4, 3))
    assert (service.asked[-1]["TILECOL"], service.asked[-1]["TILEROW"]) == ("3", "3")
    with pytest.raises(TileNotFoundError):
        source.fetch(mercantile.Tile(1, 4, 3))


def test_limits_are_bounds(server: TileServer, service: WMTS) -> None:
    inner = link("GoogleMapsCompatible", limits("3", (2, 4), (1, 1)))
    service.document = document(layer("imagery", inner) + GRID)
    source = open_source(server.address + "/WMTSCapabilities.xml")
    assert source.fetch(TILE) == TILES[TILE]
    for outside in (mercantile.Tile(1, 1, 3), mercantile.Tile(3, 2, 3), mercantile.Tile(0, 0, 2)):
        with pytest.raises(TileNotFoundError, match="outside its limits"):
            source.fetch(outside)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("fragment", "message", "hint"),
    [
        ("", "2 layers: which one", "imagery, relief"),
        ("#layer=sea", "no layer sea", "imagery, relief"),
        ("#layer=imagery&style=dark", "no style dark", "natural, plain"),
        ("#layer=imagery&format=image/tiff", "no format image/tiff", "image/png"),
        ("#layer=imagery&matrixset=WGS84", "matrix set WGS84", "GoogleMapsCompatible"),
        ("#layer=imagery&elevation=5", "no dimension elevation", "Time"),
        ("#layer=imagery", "dimension Time, and no default", "2019-01-01, 2020-01-01"),
        ("#layer=relief", "no matrix set of web mercator", r"WGS84 \(urn:ogc:def:crs:OGC:1.3:CRS84\)"),
        ("#layer", "'layer' is not name=value", "layer=NAME"),
    ],
)
def test_wrong_choices_list_what_there_is(
    server: TileServer, service: WMTS, fragment: str, message: str, hint: str
) -> None:
    layers = layer("imagery", LINK + link("WGS84"), TIME.format(default="")) + layer("relief", link("WGS84"))
    service.document = document(layers + GRID + GEODETIC)
    with pytest.raises(SourceSettingsError, match=message) as caught:
        open_source(server.address + "/WMTSCapabilities.xml" + fragment)
    import re

    assert re.search(hint, caught.value.hint)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html><body>Welcome</body></html>", "a document of html"),
        (b"<Capabilities", "cannot|not WMTS"),
        (b"hello", "not WMTS capabilities"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Capabilities>&b;</Capabilities>', "document type or entities"),
        (EXCEPTION.format(code="InvalidParameterValue", text="no such service").encode(), "no such service"),
        (Answer(status=404), "no WMTS capabilities"),
        (document("<TileMatrixSet><ows:Identifier>a</ows:Identifier><TileMatrix/></TileMatrixSet>"), "no whole number"),
        (document(layer("a", LINK) + GRID, get_tile=""), "says nowhere"),
        (document(layer("a", LINK, formats=("application/vnd.mapbox-vector-tile",)) + GRID), "no pictures"),
    ],
)
def test_what_is_no_capabilities_is_told(server: TileServer, service: WMTS, answer: object, message: str) -> None:
    service.document = answer
    with pytest.raises(SourceSettingsError, match=message) as caught:
        open_source(server.address + "/WMTSCapabilities.xml")
    assert "\n" not in caught.value.message


def test_the_service_s_own_words_on_a_failure() -> None:
    words = EXCEPTION.format(code="InvalidParameterValue", text="LAYER is out of stock").encode()
    for status in (200, 400):
        with TileServer({"/3/1/3": Answer(words, status)}) as server:
            source = open_source(server.address + "/{TileMatrix}/{TileRow}/{TileCol}")
            with pytest.raises(TileSourceError, match="LAYER is out of stock"):
                source.fetch(TILE)


def test_a_tile_out_of_range_is_no_imagery(server: TileServer, service: WMTS) -> None:
    service.document = document(layer("imagery", LINK) + GRID)
    with pytest.raises(TileNotFoundError, match="TileOutOfRange"):
        open_source(server.address + "/WMTSCapabilities.xml").fetch(mercantile.Tile(9, 9, 5))


def test_ready_templates_need_no_capabilities() -> None:
    text = "https://a.example/{Style}/{TileMatrixSet}/{Time}/{TileMatrix}/{TileRow}/{TileCol}.png#TIME=2020-01-01"
    assert open_source(text).url(TILE) == "https://a.example/default/GoogleMapsCompatible/2020-01-01/3/1/3.png"
    named = open_source(text + "&style=a b&matrixset=EPSG:900913&matrix=EPSG:900913:{z}")
    assert named.url(TILE) == "https://a.example/a%20b/EPSG:900913/2020-01-01/EPSG:900913:3/1/3.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://a.example/{Time}/{TileMatrix}/{TileRow}/{TileCol}", "nothing is chosen for time"),
        ("https://a.example/{TileMatrix}/{TileRow}", "does not name a tile"),
        ("https://[a.example/{TileMatrix}/{TileRow}/{TileCol}", "no host|Invalid IPv6"),
    ],
)
def test_templates_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(SourceSettingsError, match=message):
        open_source(text)


def test_keys_go_to_the_same_host_only_and_are_never_shown(server: TileServer, service: WMTS) -> None:
    with TileServer(service) as other:
        address = server.address.replace("//", "//me:hunter2@") + "/WMTSCapabilities.xml?token=hunter2"
        for place, expected in ((server, "hunter2"), (other, None)):
            service.document = document(layer("imagery", LINK) + GRID, place.address + "/kvp")
            hosts = frozenset(read_hosts(other.address.removeprefix("http://")))
            source = open_source(address, FetchPolicy(allowed_hosts=hosts))
            place.headers.clear()
            source.fetch(TILE)
            assert service.asked[-1].get("TOKEN") == expected
            assert ("Authorization" in place.headers[-1]) == bool(expected)
            assert "hunter2" not in source.url(TILE) + repr(source.info())


def test_capabilities_do_not_lead_inside(server: TileServer, service: WMTS) -> None:
    with TileServer(service) as other:
        service.document = document(layer("imagery", LINK) + GRID, other.address + "/kvp")
        source = open_source(server.address + "/WMTSCapabilities.xml")
        with pytest.raises(FetchRefusedError, match=r"127\.0\.0\.1"):
            source.fetch(TILE)
    assert not service.asked


def test_a_server_that_is_down_at_the_start_is_asked_again(server: TileServer, service: WMTS) -> None:
    service.document = Answer(status=503)
    source = WMTSSource(server.address + "/WMTSCapabilities.xml", FetchPolicy(attempts=1))
    assert source.info().name == "127.0.0.1"
    with pytest.raises(TileSourceError, match="503"):
        source.fetch(TILE)
    service.document = document(layer("imagery", LINK) + GRID)
    before = server.requests["/WMTSCapabilities.xml"]
    threads = [threading.Thread(target=source.fetch, args=(TILE,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.fetch(TILE) == TILES[TILE]
    assert server.requests["/WMTSCapabilities.xml"] == before + 1


def test_a_layer_that_is_wrong_only_later_is_a_failure_of_the_source(server: TileServer, service: WMTS) -> None:
    service.document = Answer(status=503)
    source = WMTSSource(server.address + "/WMTSCapabilities.xml#layer=sea", FetchPolicy(attempts=1))
    service.document = document(layer("imagery", LINK) + GRID)
    with pytest.raises(TileSourceError, match="no layer sea"):
        source.fetch(TILE)
