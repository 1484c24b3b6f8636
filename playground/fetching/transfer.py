"""One exchange on the wire: what is sent, what comes, and the curl handle that does it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import certifi
import pycurl

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 15
"""A try that gets less than SILENT_BYTES a second for so long is given up; another may do better."""
SILENT_BYTES = 64

FAILURES = {
    pycurl.E_OPERATION_TIMEDOUT: "timeout",
    pycurl.E_PARTIAL_FILE: "truncated",
    pycurl.E_FILESIZE_EXCEEDED: "oversized",
}


class Failure(NamedTuple):
    """Why nothing came: ``timeout``, ``truncated``, ``oversized``, ``refused``, ``closed``, else ``broken``."""

    kind: str
    words: str


class Transfer:
    """One request on the wire, and then its answer. Redirects are not followed.

    Args:
        url: the address, checked.
        headers: lines to send.
        seconds: for all of it.
        max_bytes: of the body, decoded; one more is ``oversized``.
        done: called with the transfer, by the loop's thread.
        refuse: what is wrong with an IP address that is about to be connected to; None if nothing is.
        proxy: the proxy's URL, or "" for none; what it connects to cannot be seen from here.
        byte_range: as in the Range header, ``0-99``.
        post: a body to send.
        resolve: see ``FetchPolicy``.
    """

    def __init__(
        self,
        url: str,
        headers: list[str],
        *,
        seconds: float,
        max_bytes: int,
        done: Callable[[Transfer], None],
        refuse: Callable[[str], str | None],
        proxy: str = "",
        byte_range: str | None = None,
        post: bytes | None = None,
        resolve: tuple[str, ...] = (),
    ) -> None:
        self.url = url
        self.headers = headers
        self.seconds = seconds
        self.max_bytes = max_bytes
        self.done = done
        self.refuse = refuse
        self.proxy = proxy
        self.byte_range = byte_range
        self.post = post
        self.resolve = resolve
        self.status = 0
        self.head: list[bytes] = []
        """The answer's headers, as they came; few are ever looked at."""
        self.chunks: list[bytes] = []
        self.received = 0
        self.failure: Failure | None = None

    @property
    def body(self) -> bytes:
        """What came."""
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


class Slot:
    """A curl handle that is used again and again, and the transfer that it is busy with."""

    def __init__(self) -> None:
        self.transfer: Transfer | None = None
        self.failure: Failure | None = None
        self._kind: tuple[object, ...] = ()
        self._scheme = ""
        self.headed = False
        """Whether the head of the answer came to its end."""
        self.easy: Any = pycurl.Curl()
        self.easy.slot = self
        for option, value in (
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.NOSIGNAL, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.TCP_KEEPALIVE, 1),
            (pycurl.DNS_CACHE_TIMEOUT, 60),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.BUFFERSIZE, 2**17),
            (pycurl.CONNECTTIMEOUT_MS, int(CONNECT_SECONDS * 1000)),
            (pycurl.LOW_SPEED_LIMIT, SILENT_BYTES),
            (pycurl.LOW_SPEED_TIME, SILENT_SECONDS),
            (pycurl.CAINFO, _ca_file()),
            (pycurl.HEADERFUNCTION, self._on_header),
            (pycurl.WRITEFUNCTION, self._on_body),
            (pycurl.OPENSOCKETFUNCTION, self._on_open),
        ):
            self.easy.setopt(option, value)

    def prepare(self, transfer: Transfer) -> None:
        self.transfer, self.failure, self.headed = transfer, None, False
        self.easy.setopt(pycurl.URL, transfer.url)
        self.easy.setopt(pycurl.TIMEOUT_MS, max(1, int(transfer.seconds * 1000)))  # connecting included
        # Most transfers of one source differ in nothing else from the one before.
        kind = (transfer.headers, transfer.max_bytes, transfer.proxy, transfer.byte_range, transfer.post)
        if kind != self._kind or transfer.resolve or transfer.url[:5] != self._scheme:
            self._prepare_kind(transfer)
            self._kind, self._scheme = kind, transfer.url[:5]

    def _prepare_kind(self, transfer: Transfer) -> None:
        set_option = self.easy.setopt
        set_option(pycurl.HTTPHEADER, transfer.headers)
        set_option(pycurl.PROXY, transfer.proxy)
        set_option(pycurl.MAXFILESIZE_LARGE, transfer.max_bytes)
        # One TLS handshake for all, if the server then takes them all on one connection (HTTP/2).
        set_option(pycurl.PIPEWAIT, transfer.url.startswith("https"))
        if transfer.byte_range is None:
            self.easy.unsetopt(pycurl.RANGE)
            set_option(pycurl.ACCEPT_ENCODING, "gzip, deflate")
        else:
            set_option(pycurl.RANGE, transfer.byte_range)
            self.easy.unsetopt(pycurl.ACCEPT_ENCODING)  # ranges count the bytes that travel
        if transfer.post is None:
            set_option(pycurl.HTTPGET, 1)
        else:
            set_option(pycurl.POST, 1)
            set_option(pycurl.POSTFIELDS, transfer.post)
        if transfer.resolve:
            set_option(pycurl.RESOLVE, list(transfer.resolve))

    def _on_header(self, line: bytes) -> None:
        transfer = self.transfer
        assert transfer is not None
        if line[:5] == b"HTTP/":
            self.headed = False
            transfer.head.clear()  # what came before was a 1xx, or a proxy's
        else:
            transfer.head.append(line)
            self.headed = not line.strip()

    def _on_body(self, chunk: bytes) -> int | None:
        transfer = self.transfer
        assert transfer is not None
        transfer.received += len(chunk)
        if transfer.received > transfer.max_bytes:
            self.failure = Failure("oversized", f"the answer is larger than {transfer.max_bytes} bytes")
            return 0
        transfer.chunks.append(chunk)
        return None

    def _on_open(self, purpose: int, address: Any) -> Any:
        """The decisive check: this address is the one that is connected to, whatever any name resolved to before."""
        family, kind, protocol, where = address
        transfer = self.transfer
        assert transfer is not None
        ip = where[0].decode() if isinstance(where[0], bytes) else where[0]
        if family not in (socket.AF_INET, socket.AF_INET6):
            words: str | None = "no internet address"
        else:
            words = None if transfer.proxy else transfer.refuse(ip)
        if words:
            self.failure = Failure("refused", f"leads to {ip}, {words}")
            return pycurl.SOCKET_BAD
        return socket.socket(family, kind, protocol)


def read_head(lines: list[bytes]) -> dict[str, str]:
    """The headers of an answer by their names, in lower case; of several of one name the last."""
    parts = (line.decode("latin-1").partition(":") for line in lines)
    return {name.lower(): value.strip() for name, colon, value in parts if colon}


def cause(easy: Any, code: int, words: str) -> str:
    """Why, in few words: the system's own for a connection that failed (of several tried, the last one's)."""
    number = easy.getinfo(pycurl.OS_ERRNO) if code == pycurl.E_COULDNT_CONNECT else 0
    return os.strerror(number) if number else words


def _ca_file() -> str:
    named = (os.environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return next((path for path in named if path and os.path.isfile(path)), None) or certifi.where()
