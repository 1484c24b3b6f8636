"""A small WMTS for tests: capabilities with whatever is asked of them, tiles by KVP and by REST."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

import mercantile
from tileserver import Answer

TOP_SCALE = 559082264.0287178
"""The scale denominator of zoom 0 (07-057r7, table E.4)."""
_REST = r"/rest/(?P<LAYER>.*)/(?P<STYLE>.*)/(?P<TIME>.*)/(?P<TILEMATRIX>.*)/(\d+)/(\d+)"
EXCEPTION = """<?xml version="1.0"?><ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows/1.1" version="1.1.0">
<ows:Exception exceptionCode="{code}" locator="x"><ows:ExceptionText>{text}</ows:ExceptionText></ows:Exception>
</ows:ExceptionReport>"""


def matrix(name: str, zoom: int, tile_size: int = 256, corner: str = "-20037508.3427892 20037508.3427892") -> str:
    scale = TOP_SCALE / 2**zoom * 256 / tile_size
    return f"""<TileMatrix><ows:Identifier>{name}</ows:Identifier><ScaleDenominator>{scale!r}</ScaleDenominator>
    <TopLeftCorner>{corner}</TopLeftCorner><TileWidth>{tile_size}</TileWidth><TileHeight>{tile_size}</TileHeight>
    <MatrixWidth>{2**zoom}</MatrixWidth><MatrixHeight>{2**zoom}</MatrixHeight></TileMatrix>"""


def matrix_set(name: str, matrices: str, crs: str = "urn:ogc:def:crs:EPSG::3857") -> str:
    return f"""<TileMatrixSet><ows:Identifier>{name}</ows:Identifier><ows:SupportedCRS>{crs}</ows:SupportedCRS>
    {matrices}</TileMatrixSet>"""


def limits(name: str, columns: tuple[int, int], rows: tuple[int, int]) -> str:
    return f"""<TileMatrixLimits><TileMatrix>{name}</TileMatrix><MinTileRow>{rows[0]}</MinTileRow>
    <MaxTileRow>{rows[1]}</MaxTileRow><MinTileCol>{columns[0]}</MinTileCol><MaxTileCol>{columns[1]}</MaxTileCol>
    </TileMatrixLimits>"""


def link(name: str, inner: str = "") -> str:
    inner = f"<TileMatrixSetLimits>{inner}</TileMatrixSetLimits>" if inner else ""
    return f"<TileMatrixSetLink><TileMatrixSet>{name}</TileMatrixSet>{inner}</TileMatrixSetLink>"


def layer(name: str, links: str, more: str = "", formats: tuple[str, ...] = ("image/png",)) -> str:
    return f"""<Layer><ows:Title>The {name}</ows:Title>
    <ows:WGS84BoundingBox><ows:LowerCorner>-180 -85.06</ows:LowerCorner><ows:UpperCorner>0 85.06</ows:UpperCorner>
    </ows:WGS84BoundingBox><ows:Identifier>{name}</ows:Identifier>
    <Style><ows:Identifier>plain</ows:Identifier></Style>
    <Style isDefault="true"><ows:Identifier>natural</ows:Identifier></Style>
    {"".join(f"<Format>{each}</Format>" for each in formats)}{more}{links}</Layer>"""


def document(contents: str, get_tile: str = "/kvp") -> bytes:
    operation = f"""<ows:OperationsMetadata><ows:Operation name="GetTile"><ows:DCP><ows:HTTP>
    <ows:Get xlink:href="{get_tile}"><ows:Constraint name="GetEncoding"><ows:AllowedValues><ows:Value>KVP</ows:Value>
    </ows:AllowedValues></ows:Constraint></ows:Get></ows:HTTP></ows:DCP></ows:Operation></ows:OperationsMetadata>"""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
    <Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1"
     xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">
    <ows:ServiceIdentification><ows:Title>Maps</ows:Title></ows:ServiceIdentification>
    <ows:ServiceProvider><ows:ProviderName>The Survey</ows:ProviderName></ows:ServiceProvider>
    {operation if get_tile else ""}<Contents>{contents}</Contents></Capabilities>""".encode()


class WMTS:
    """Answers for a TileServer: ``document`` to GetCapabilities and to …xml, tiles to the rest.

    Args:
        tiles: what is there.
        prefix: what stands before the zoom in a matrix's identifier.
    """

    def __init__(self, tiles: Mapping[mercantile.Tile, bytes], prefix: str = "") -> None:
        self.tiles = tiles
        self.prefix = prefix
        self.document: object = b""
        self.asked: list[dict[str, str]] = []
        """The parameters of each request for a tile, names in capitals."""

    def __call__(self, path: str) -> object:
        parts = urlsplit(path)
        query = {name.upper(): value for name, value in parse_qsl(parts.query)}
        if query.get("REQUEST") == "GetCapabilities" or parts.path.endswith(".xml"):
            return self.document
        rest = re.fullmatch(
            r"/rest/(?P<LAYER>.*)/(?P<STYLE>.*)/(?P<TIME>.*)/(?P<TILEMATRIX>.*)/(\d+)/(\d+)", parts.path
        )
        if rest:
            query |= {name: unquote(value) for name, value in rest.groupdict().items()}
            query |= {"TILEROW": rest[5], "TILECOL": rest[6]}
        self.asked.append(query)
        zoom = query["TILEMATRIX"].removeprefix(self.prefix)
        data = self.tiles.get(mercantile.Tile(int(query["TILECOL"]), int(query["TILEROW"]), int(zoom)))
        if data is None:
            return Answer(EXCEPTION.format(code="TileOutOfRange", text="Column out of range").encode(), 400)
        return data
