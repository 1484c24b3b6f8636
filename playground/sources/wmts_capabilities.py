"""What a WMTS says that it has (OGC 07-057r7, version 1.0.0): its layers and its web-mercator tile matrices."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import mercantile
from defusedxml import DefusedXmlException

from playground import geo

PIXEL_METRES = 0.00028
"""The size of a pixel that scale denominators assume (07-057r7, table 11)."""
SLOPPY_METRES = 1.0
"""How far off a printed corner may be: GeoServer rounds 20037508.34 to 2.0037508E7."""
_MERCATOR = re.compile(r"(^|\D)(3857|900913|3785|102100|102113)$")


@dataclass(frozen=True)
class Limits:
    """The columns and rows of a matrix that a layer has, ends included."""

    columns: tuple[int, int]
    rows: tuple[int, int]


@dataclass(frozen=True)
class Matrix:
    """One zoom of a tile matrix set."""

    identifier: str
    zoom: int
    x: int
    y: int
    """The XYZ address of its top-left tile."""
    limits: Limits

    def place(self, tile: mercantile.Tile, limits: Limits | None) -> tuple[int, int] | None:
        """(column, row) of a tile; None outside."""
        column, row = tile.x - self.x, tile.y - self.y
        for each in (self.limits, limits or self.limits):
            if not (each.columns[0] <= column <= each.columns[1] and each.rows[0] <= row <= each.rows[1]):
                return None
        return column, row


@dataclass(frozen=True)
class MatrixSet:
    """A tile matrix set; ``matrices`` by zoom holds those that are web mercator's own grid."""

    identifier: str
    crs: str
    matrices: dict[int, Matrix]


@dataclass(frozen=True)
class Layer:
    """One layer."""

    identifier: str
    title: str
    styles: tuple[str, ...]
    """The default one first."""
    formats: tuple[str, ...]
    dimensions: dict[str, tuple[str | None, tuple[str, ...]]]
    """Name to default and possible values."""
    limits: dict[str, dict[str, Limits]]
    """Each matrix set that it is in, to the limits by matrix identifier."""
    resources: tuple[tuple[str, str], ...]
    """Formats and REST templates of its tiles."""
    bounds: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class Capabilities:
    """The document."""

    title: str
    provider: str
    layers: dict[str, Layer]
    matrix_sets: dict[str, MatrixSet]
    get_tile: str | None
    """Where key-value requests for tiles go."""


def parse_xml(data: bytes) -> Element:
    """The root of a document from a stranger: no entities, no DTD.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        root: Element = defusedxml.ElementTree.fromstring(data, forbid_dtd=True)
    except ParseError as error:
        raise ValueError(str(error)) from error
    except DefusedXmlException as error:
        raise ValueError("it has a document type or entities, which are not read") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # one namespace a version; the local names are the same
        for key in [key for key in element.attrib if "}" in key]:
            element.attrib[key.rpartition("}")[2]] = element.attrib.pop(key)
    return root


def exception_text(root: Element) -> tuple[str, str] | None:
    """(code, text) of a service's exception report; None for another document."""
    if not root.tag.endswith(("ExceptionReport", "ServiceExceptionReport")):
        return None
    found = root.find(".//Exception")
    found = root.find(".//ServiceException") if found is None else found
    if found is None:
        return "", "an exception without a text"
    text = " ".join(" ".join(found.itertext()).split())
    code = found.get("exceptionCode", found.get("code", ""))
    return code, ": ".join(part for part in (code, text) if part)[:500]


def read_capabilities(data: bytes) -> Capabilities:
    """What a capabilities document says.

    Raises:
        ValueError: it is none, or cannot be read; the words say why.
    """
    root = parse_xml(data)
    problem = exception_text(root)
    if problem is not None:
        raise ValueError(f"the server answers {problem[1]}")
    contents = root.find("Contents")
    if root.tag != "Capabilities" or contents is None:
        raise ValueError(f"it is a document of {root.tag}, not WMTS Capabilities")
    layers = [_layer(element) for element in contents.findall("Layer")]
    sets = [_matrix_set(element) for element in contents.findall("TileMatrixSet")]
    return Capabilities(
        title=_text(root, "ServiceIdentification/Title"),
        provider=_text(root, "ServiceProvider/ProviderName"),
        layers={layer.identifier: layer for layer in layers},
        matrix_sets={each.identifier: each for each in sets},
        get_tile=_get_tile(root),
    )


def _layer(element: Element) -> Layer:
    styles = sorted(element.findall("Style"), key=lambda style: style.get("isDefault") not in ("true", "1"))
    return Layer(
        identifier=_text(element, "Identifier"),
        title=_text(element, "Title"),
        styles=tuple(_text(style, "Identifier") for style in styles),
        formats=tuple(_texts(element, "Format")),
        dimensions={
            _text(each, "Identifier"): (_text(each, "Default") or None, tuple(_texts(each, "Value")))
            for each in element.findall("Dimension")
        },
        limits={
            _text(link, "TileMatrixSet"): {
                _text(each, "TileMatrix"): Limits(
                    (_whole(each, "MinTileCol"), _whole(each, "MaxTileCol")),
                    (_whole(each, "MinTileRow"), _whole(each, "MaxTileRow")),
                )
                for each in link.findall("TileMatrixSetLimits/TileMatrixLimits")
            }
            for link in element.findall("TileMatrixSetLink")
        },
        resources=tuple(
            (each.get("format", ""), each.get("template", ""))
            for each in element.findall("ResourceURL")
            if each.get("resourceType") == "tile"
        ),
        bounds=_bounds(element.find("WGS84BoundingBox")),
    )


def _matrix_set(element: Element) -> MatrixSet:
    crs = _text(element, "SupportedCRS")
    matrices = [matrix for each in element.findall("TileMatrix") if (matrix := _matrix(each))]
    known = _MERCATOR.search(crs) or _text(element, "WellKnownScaleSet").endswith("GoogleMapsCompatible")
    return MatrixSet(_text(element, "Identifier"), crs, {matrix.zoom: matrix for matrix in matrices} if known else {})


def _matrix(element: Element) -> Matrix | None:
    """A matrix, if its numbers say that its tiles are those of web mercator at some zoom; whatever its name."""
    width = _whole(element, "TileWidth")
    resolution = _number(element, "ScaleDenominator") * PIXEL_METRES
    if width != _whole(element, "TileHeight") or not (resolution > 0 and width > 0):
        return None
    level = math.log2(2 * geo.HALF_WORLD / (resolution * width))
    zoom = round(level)
    if not (0 <= zoom <= geo.MAX_ZOOM) or abs(level - zoom) > 0.001:
        return None
    corner = [float(part) for part in _text(element, "TopLeftCorner").split()]
    if len(corner) != 2:
        raise ValueError(f"the TopLeftCorner of the tile matrix {_text(element, 'Identifier')} is not two numbers")
    span = 2 * geo.HALF_WORLD / 2**zoom
    x, y = (corner[0] + geo.HALF_WORLD) / span, (geo.HALF_WORLD - corner[1]) / span
    if not all(math.isfinite(place) and abs(place - round(place)) * span <= SLOPPY_METRES for place in (x, y)):
        return None
    columns, rows = _whole(element, "MatrixWidth"), _whole(element, "MatrixHeight")
    return Matrix(_text(element, "Identifier"), zoom, round(x), round(y), Limits((0, columns - 1), (0, rows - 1)))


def _get_tile(root: Element) -> str | None:
    """Where key-value requests go: the address that says so, else the first that says nothing of the encoding."""
    for operation in root.findall("OperationsMetadata/Operation"):
        if operation.get("name") == "GetTile":
            gets = operation.findall("DCP/HTTP/Get")
            encodings = [{value.text for value in get.iter("Value")} for get in gets]
            ranked = [get for get, names in zip(gets, encodings, strict=True) if "KVP" in names]
            ranked += [get for get, names in zip(gets, encodings, strict=True) if not names]
            return ranked[0].get("href") if ranked else None
    return None


def _bounds(element: Element | None) -> tuple[float, float, float, float] | None:
    if element is None:
        return None
    try:
        west, south = (float(part) for part in _text(element, "LowerCorner").split())
        east, north = (float(part) for part in _text(element, "UpperCorner").split())
    except ValueError:
        return None
    return (west, south, east, north)


def _texts(element: Element, path: str) -> Iterator[str]:
    return ((each.text or "").strip() for each in element.findall(path))


def _text(element: Element, path: str) -> str:
    return next(_texts(element, path), "")


def _number(element: Element, path: str) -> float:
    try:
        return float(_text(element, path))
    except ValueError:
        raise ValueError(f"{element.tag} {_text(element, 'Identifier')}: its {path} is no number") from None


def _whole(element: Element, path: str) -> int:
    try:
        return int(_text(element, path))
    except ValueError:
        raise ValueError(f"{element.tag} {_text(element, 'Identifier')}: its {path} is no whole number") from None
