"""Which layer of a WMTS, in which style, format and matrix set; and then the address of each tile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

import mercantile

from playground import geo
from playground.errors import SourceSettingsError
from playground.imagery import Format
from playground.sources.base import without_secrets
from playground.sources.wmts_capabilities import Capabilities, Layer, Limits, Matrix, MatrixSet

FORMATS: dict[str, Format] = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png", "webp": "webp", "gif": "gif", "tiff": "tiff"}
_OURS = re.compile(
    r"(service|request|version|acceptversions|sections|layer|style|format|tilematrixset|tilematrix|tilerow|tilecol)$",
    re.IGNORECASE,
)
"""Parameters of the protocol; every other one of an address is the server's own, like a key."""
_PORTS = {"http": 80, "https": 443}
_TILE = {"tilematrix", "tilerow", "tilecol"}


@dataclass(frozen=True)
class Choices:
    """What stands after # in a source's string."""

    layer: str | None
    style: str | None
    matrixset: str | None
    format: str | None
    matrix: str | None
    """How a ready template's matrices are named, ``{z}`` for the zoom."""
    dimensions: Mapping[str, str]
    """By lowercase name."""


@dataclass(frozen=True)
class Pyramid:
    """The tiles of one layer: everything is chosen.

    Attributes:
        template: an address with {tilematrix}, {tilerow} and {tilecol}.
        shown: the same without secrets.
        matrices: by zoom.
        limits: by matrix identifier; empty where a layer fills its matrices.
    """

    name: str
    template: str
    shown: str
    matrices: Mapping[int, Matrix]
    limits: Mapping[str, Limits]
    bounds: tuple[float, float, float, float] | None = None
    format: Format | None = None
    attribution: str = ""

    def zooms(self) -> list[int]:
        """The zooms that have tiles."""
        return [
            zoom for zoom, each in sorted(self.matrices.items()) if not self.limits or each.identifier in self.limits
        ]

    def address(self, tile: mercantile.Tile, shown: bool = False) -> str | None:
        """The address of a tile, or the one that may be shown; None where the layer has none."""
        matrix = self.matrices.get(tile.z)
        if matrix is None or (self.limits and matrix.identifier not in self.limits):
            return None
        place = matrix.place(tile, self.limits.get(matrix.identifier))
        if place is None:
            return None
        values = {"tilematrix": matrix.identifier, "tilecol": str(place[0]), "tilerow": str(place[1])}
        return _fill_in(self.shown if shown else self.template, values)


def read_choices(fragment: str) -> Choices:
    """What a source's string chooses.

    Raises:
        SourceSettingsError: something is not ``name=value``.
    """
    found: dict[str, str] = {}
    for part in fragment.split("&") if fragment else ():
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise SourceSettingsError(
                f"#{fragment}: {part!r} is not name=value",
                "write #layer=NAME&style=NAME&matrixset=NAME&format=image/png",
            )
        found[unquote(name).lower()] = unquote(value)
    first = found.pop("tilematrixset", None)
    return Choices(
        layer=found.pop("layer", None),
        style=found.pop("style", None),
        matrixset=found.pop("matrixset", first),
        format=found.pop("format", None),
        matrix=found.pop("matrix", None),
        dimensions=found,
    )


def capabilities_address(address: str) -> str:
    """The address to ask: an endpoint without a request gets one."""
    place, _, query = address.partition("?")
    if place.lower().endswith(".xml") or re.search(r"(^|&)request=", query, re.IGNORECASE):
        return address
    return _with_query(address, "SERVICE=WMTS&REQUEST=GetCapabilities&VERSION=1.0.0")


def ready_pyramid(template: str, choices: Choices) -> Pyramid:
    """The tiles of a template that needs no capabilities: the whole of web mercator's own grid.

    Raises:
        SourceSettingsError: the template names no tile, or has parts that nothing is chosen for.
    """
    values = {
        "style": choices.style or "default",
        "tilematrixset": choices.matrixset or "GoogleMapsCompatible",
        **({"layer": choices.layer} if choices.layer else {}),
        **choices.dimensions,
    }
    used = _used(template)
    if not used >= _TILE:
        raise SourceSettingsError(
            f"{without_secrets(template)} does not name a tile", "it needs {TileMatrix}, {TileRow} and {TileCol}"
        )
    if unknown := sorted(used - _TILE - values.keys()):
        raise SourceSettingsError(
            f"{without_secrets(template)}: nothing is chosen for {', '.join(unknown)}", f"add #{unknown[0]}=…"
        )
    name = choices.matrix or "{z}"
    matrices = {
        zoom: Matrix(name.replace("{z}", str(zoom)), zoom, 0, 0, Limits((0, 2**zoom - 1), (0, 2**zoom - 1)))
        for zoom in range(geo.MAX_ZOOM + 1)
    }
    shown = _fill_in(without_secrets(template), values)
    return Pyramid(urlsplit(shown).hostname or shown, _fill_in(template, values), shown, matrices, {})


def choose(capabilities: Capabilities, choices: Choices, address: str) -> Pyramid:
    """The tiles of the chosen layer, what was not chosen being the server's first offer.

    Args:
        capabilities: what the server has.
        choices: what the source's string says.
        address: that of the capabilities. Its keys go to tiles of the same host, and nowhere else.

    Raises:
        SourceSettingsError: what is chosen is not there, or something must be chosen; lists what there is.
    """
    layer = _layer(capabilities, choices.layer)
    style = _one_of(layer, "style", choices.style, layer.styles) or "default"
    matrix_set = _matrix_set(capabilities, layer, choices.matrixset)
    media_type = _media_type(layer, choices.format)
    values = {"style": style, "tilematrixset": matrix_set.identifier, "layer": layer.identifier}
    if unknown := sorted(choices.dimensions.keys() - {name.lower() for name in layer.dimensions}):
        raise SourceSettingsError(
            f"layer {layer.identifier} has no dimension {unknown[0]}", f"it has {_listed(layer.dimensions) or 'none'}"
        )
    dimensions = {name: _dimension(layer, name, choices) for name in layer.dimensions}
    values |= {name.lower(): value for name, value in dimensions.items()}
    rest = [template for kind, template in layer.resources if kind == media_type]
    if rest:
        template = _followed(urljoin(address, rest[0]), address)
        if unknown := sorted(_used(template) - _TILE - values.keys()):
            raise SourceSettingsError(
                f"layer {layer.identifier}: its template has {{{unknown[0]}}}, which it does not explain"
            )
        template, shown = _fill_in(template, values), _fill_in(without_secrets(template), values)
    else:
        if capabilities.get_tile is None and urlsplit(address).path.lower().endswith(".xml"):
            raise SourceSettingsError(f"{without_secrets(address)} says nowhere where tiles of {layer.identifier} are")
        base = _without_ours(_followed(urljoin(address, capabilities.get_tile or address), address))
        query = _query(layer, style, media_type, matrix_set, dimensions)
        template, shown = _with_query(base, query), _with_query(without_secrets(base), query)
    return Pyramid(
        layer.title or layer.identifier,
        template,
        shown,
        matrix_set.matrices,
        layer.limits[matrix_set.identifier],
        layer.bounds,
        _picture(media_type),
        capabilities.provider,
    )


def _layer(capabilities: Capabilities, name: str | None) -> Layer:
    layers = capabilities.layers
    if name is None and len(layers) == 1:
        return next(iter(layers.values()))
    if name in layers:
        return layers[name]
    words = f"there is no layer {name}" if name else f"there are {len(layers)} layers: which one?"
    raise SourceSettingsError(words, f"add #layer=NAME; the layers are {_listed(layers)}")


def _one_of(layer: Layer, what: str, wanted: str | None, there: Iterable[str]) -> str:
    there = list(there)
    if wanted is not None and there and wanted not in there:
        raise SourceSettingsError(f"layer {layer.identifier} has no {what} {wanted}", f"it has {_listed(there)}")
    return wanted or next(iter(there), "")


def _matrix_set(capabilities: Capabilities, layer: Layer, wanted: str | None) -> MatrixSet:
    sets = [capabilities.matrix_sets[name] for name in layer.limits if name in capabilities.matrix_sets]
    usable = {each.identifier: each for each in sets if each.matrices}
    if not usable or (wanted is not None and wanted not in usable):
        offers = _listed(f"{each.identifier} ({each.crs})" for each in sets) or "none"
        which = "in no matrix set" if wanted is None else f"not in a matrix set {wanted}"
        raise SourceSettingsError(
            f"layer {layer.identifier} is {which} of web mercator tiles (EPSG:3857, halved at each zoom)",
            f"its matrix sets are {offers}",
        )
    if wanted is not None:
        return usable[wanted]
    return max(usable.values(), key=lambda each: (len(each.matrices), each.identifier == "GoogleMapsCompatible"))


def _media_type(layer: Layer, wanted: str | None) -> str:
    """The chosen format, ``png`` for ``image/png`` allowed, or the first that is a picture."""
    offers = list(dict.fromkeys((*layer.formats, *(kind for kind, _ in layer.resources))))
    if wanted is not None and "/" not in wanted and wanted.lower() in FORMATS:
        wanted = f"image/{FORMATS[wanted.lower()]}"
    chosen = _one_of(layer, "format", wanted, offers if wanted else [each for each in offers if _picture(each)])
    if not chosen:
        raise SourceSettingsError(
            f"layer {layer.identifier} has no pictures",
            f"its formats are {_listed(offers)}; JPEG, PNG or WebP are read",
        )
    return chosen


def _picture(media_type: str) -> Format | None:
    """``image/png8`` and ``image/jpeg; mode=24bit`` are PNG and JPEG."""
    found = re.match(r"image/(jpe?g|png|webp|gif|tiff)(8|24|32)?\b", media_type.lower())
    return FORMATS[found[1]] if found else None


def _dimension(layer: Layer, name: str, choices: Choices) -> str:
    default, there = layer.dimensions[name]
    value = choices.dimensions.get(name.lower(), default)
    if value is None and len(there) == 1:
        value = there[0]
    if value is None:
        raise SourceSettingsError(
            f"layer {layer.identifier} has the dimension {name}, and no default",
            f"add {name}=…, one of {_listed(there)}",
        )
    return value  # not looked for among the values: they may be ranges, such as 2000-01-01/2020-01-01/P1D


def _query(layer: Layer, style: str, media_type: str, matrix_set: MatrixSet, dimensions: Mapping[str, str]) -> str:
    fixed = {
        "SERVICE": "WMTS",
        "REQUEST": "GetTile",
        "VERSION": "1.0.0",
        "LAYER": layer.identifier,
        "STYLE": style,
        "FORMAT": media_type,
        "TILEMATRIXSET": matrix_set.identifier,
        **dimensions,
    }
    start = "&".join(f"{quote(name)}={quote(value, safe='/:')}" for name, value in fixed.items())
    return start + "&TILEMATRIX={tilematrix}&TILEROW={tilerow}&TILECOL={tilecol}"


def _followed(found: str, address: str) -> str:
    """An address from the document; on the host that we were given, with its keys, too.

    Raises:
        SourceSettingsError: it is no HTTP address.
    """
    here, there = urlsplit(address), urlsplit(found)
    if there.scheme not in _PORTS or not there.hostname:
        shown = without_secrets(found)
        raise SourceSettingsError(f"the capabilities lead to {shown}", "only http and https are followed")
    place, _, query = found.partition("?")
    parts = [part for part in query.split("&") if part]
    ends = [(each.hostname, each.port or _PORTS[each.scheme]) for each in (here, there)]
    if ends[0] == ends[1] or ends == [(here.hostname, 80), (here.hostname, 443)]:
        named = {part.partition("=")[0].lower() for part in parts}
        own = [part for part in here.query.split("&") if part and not _OURS.match(part.partition("=")[0])]
        parts += [part for part in own if part.partition("=")[0].lower() not in named]
    return place + ("?" + "&".join(parts) if parts else "")


def _without_ours(address: str) -> str:
    """An address for key-value requests without what we say ourselves."""
    place, _, query = address.partition("?")
    parts = [part for part in query.split("&") if part and not _OURS.match(part.partition("=")[0])]
    return place + ("?" + "&".join(parts) if parts else "")


def _used(template: str) -> set[str]:
    return {name.lower() for name in re.findall(r"\{([^{}]*)\}", template)}


def _fill_in(template: str, values: Mapping[str, str]) -> str:
    """A template with what is known filled in, names in any case; the rest stays."""

    def value(match: re.Match[str]) -> str:
        name = match[1].lower()
        return quote(values[name], safe=":") if name in values else match[0]

    return re.sub(r"\{([^{}]*)\}", value, template)


def _with_query(address: str, query: str) -> str:
    return address.rstrip("?&") + ("&" if "?" in address.rstrip("?&") else "?") + query


def _listed(names: Iterable[str], most: int = 30) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
