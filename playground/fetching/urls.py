"""Reading addresses so that nothing can be read in two ways, and showing them without secrets."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote

# Query parameters that carry a key, by name, or by a long value that looks like one.
_SECRET_NAME = re.compile(r"key|token|secret|sig|auth|pass|pwd|cred|user|account|session|sas", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"[\w.~%+/=-]{24,}")

PORTS = {"http": 80, "https": 443}
MAX_LENGTH = 8192
_HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SAFE = "%/:=&?~+!$,;'@()*[]|"


class UrlError(ValueError):
    """An address that is refused as it is written; the text says why."""


class Host(NamedTuple):
    """A server: its name (lower case; an IPv6 address without brackets) and its port."""

    name: str
    port: int

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port in PORTS.values() else f"{name}:{self.port}"


class Url(NamedTuple):
    """An address that can be read in one way only."""

    scheme: str
    host: Host
    target: str
    """Path and query, percent-encoded."""

    @property
    def text(self) -> str:
        """The address, written anew from its parts."""
        name = f"[{self.host.name}]" if ":" in self.host.name else self.host.name
        port = "" if self.host.port == PORTS[self.scheme] else f":{self.host.port}"
        return f"{self.scheme}://{name}{port}{self.target}"


def parse_url(text: str) -> Url:
    """The parts of an address, which every reader of addresses would find the same.

    Raises:
        UrlError: anything unusual: it says what.
    """
    if len(text) > MAX_LENGTH:
        raise UrlError(f"is longer than {MAX_LENGTH} characters")
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text):
        raise UrlError("has control characters")
    if "\\" in text:
        raise UrlError("has a backslash, which some read as a slash")
    scheme, separator, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme not in PORTS or not separator:
        raise UrlError(f"is not http or https but {scheme[:20]!r}" if separator else "is not http or https")
    if not rest.startswith("//"):
        raise UrlError("has no // after its scheme")
    rest = rest[2:].partition("#")[0]
    end = next((i for i, letter in enumerate(rest) if letter in "/?"), len(rest))
    place, target = rest[:end], rest[end:]
    if "@" in place:
        raise UrlError("has a user or password before its host")
    target = quote(target, safe=_SAFE)
    return Url(scheme, read_host(place, PORTS[scheme]), target if target.startswith("/") else "/" + target)


def read_host(text: str, default_port: int) -> Host:
    """A host with or without a port, as ``example.com``, ``example.com:8080`` or ``[::1]:8080``.

    Raises:
        UrlError: anything unusual: it says what.
    """
    name, port = text, ""
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        if not bracket:
            raise UrlError("has an IPv6 address that does not end")
        if port and not port.startswith(":"):
            raise UrlError("has something between its IPv6 address and its port")
        port = port[1:]
        if "%" in name:
            raise UrlError("has an IPv6 address with a zone, which means this machine's own networks")
        try:
            name = str(ipaddress.IPv6Address(name))
        except ValueError:
            raise UrlError("has an IPv6 address that cannot be read") from None
    else:
        name, colon, port = text.partition(":")
        if colon and not port:
            raise UrlError("has a colon but no port")
        name = _host_name(name)
    if not port:
        return Host(name, default_port)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port, re.ASCII) or int(port) > 65535:
        raise UrlError(f"has a port that is none: {port[:20]!r}")
    return Host(name, int(port))


def _host_name(name: str) -> str:
    if not name:
        raise UrlError("has no host")
    if not name.isascii():
        raise UrlError("has a host with letters beyond ASCII, which can look like others (write it as xn--...)")
    if name.endswith("."):
        raise UrlError("has a host that ends with a dot")
    name = name.lower()
    if len(name) > 253:
        raise UrlError("has a host longer than 253 characters")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise UrlError("has a number for a host, which some read as an IPv4 address") from None
    if not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise UrlError(f"has a host that is no name: {name[:60]!r}")
    return name


def without_secrets(address: str) -> str:
    """An address or template as it may be shown: no user and password, keys in the query replaced by stars."""
    place, mark, query = address.partition("?")
    place = re.sub(r"^(\w+://)[^/]*@", r"\1", place)
    parts = (part.partition("=") for part in query.split("&"))
    shown = (f"{name}{equals}{'***' if _looks_secret(name, value) else value}" for name, equals, value in parts)
    return place + mark + "&".join(shown)


def _looks_secret(name: str, value: str) -> bool:
    if not value or "{" in value:
        return False
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value))
