"""From where and how to fetch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playground.errors import SettingsError, UrlRefusedError
from playground.fetching.addresses import METADATA, is_address, why_not_public
from playground.fetching.credentials import Credentials, read_credentials
from playground.fetching.urls import PORTS, Host, Url, UrlError, parse_url, read_host, without_secrets

if TYPE_CHECKING:
    from playground.settings import RunningSettings

METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata", "metadata.azure.internal", "instance-data"})
"""Never fetched from, whoever allows it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FetchPolicy:
    """From where and how to fetch. Nothing is allowed until it is named: ``FetchPolicy().naming(url)``.

    Attributes:
        source_hosts: those of the source that the operator configured. They may be private, and get the credentials.
        allowed_hosts: those of ALLOWED_HOSTS; they may be private, because they are allowed by name.
        public_hosts: may be fetched from as long as they are on the open internet.
        credentials: what the source's hosts want to see.
        use_proxy: whether the proxy that the environment names is used. It resolves the names then, not we.
        attempts: tries of one request where a retry may help: 408, 425, 429, 5xx, timeouts, broken connections.
        backoff_seconds: the longest first pause; each next one may be twice as long. Chosen at random from zero on.
        breaker_failures: failed tries in a row after which a host counts as down.
        breaker_seconds: how long it is then left alone; twice as long each time, at most a minute.
        resolve: answers instead of the DNS's, as curl takes them: ``host:port:address,address``.
    """

    source_hosts: frozenset[Host] = frozenset()
    allowed_hosts: frozenset[Host] = frozenset()
    public_hosts: frozenset[Host] = frozenset()
    credentials: Credentials | None = None
    use_proxy: bool = True
    attempts: int = 4
    backoff_seconds: float = 0.25
    breaker_failures: int = 10
    breaker_seconds: float = 5.0
    resolve: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: RunningSettings) -> FetchPolicy:
        """The running service's: ALLOWED_HOSTS, and the credentials of TILES.

        Raises:
            SettingsError: one of them cannot be read.
        """
        try:
            hosts = frozenset(read_hosts(settings.allowed_hosts))
        except UrlError as error:
            raise SettingsError(f"ALLOWED_HOSTS {error}", "list them like cdn.example.com, 10.1.2.3:8080") from None
        return cls(allowed_hosts=hosts, credentials=read_credentials(settings))

    def naming(self, *addresses: str) -> FetchPolicy:
        """The policy for a source that the operator named, by its URLs or templates.

        Raises:
            UrlError: no address that can be read.
        """
        hosts = {parse_url(_plain(address)).host for address in addresses}
        hosts |= {Host(host.name, PORTS["https"]) for host in hosts if host.port == PORTS["http"]}
        return dataclasses.replace(self, source_hosts=self.source_hosts | hosts)

    def for_requests(self) -> FetchPolicy:
        """The policy for addresses that callers send: no credentials, no proxy, no private host but by name."""
        return dataclasses.replace(
            self,
            source_hosts=frozenset(),
            public_hosts=self.public_hosts | self.source_hosts,
            credentials=None,
            use_proxy=False,
        )

    def check(self, text: str) -> Url:
        """The parts of an address that may be fetched from, as far as its text tells.

        Raises:
            UrlError: it may not; the text says why.
        """
        url = parse_url(text)
        if url.host.name in METADATA_HOSTS:
            raise UrlError("names the metadata service of a cloud")
        if not any(url.host in hosts for hosts in (self.source_hosts, self.allowed_hosts, self.public_hosts)):
            known = self.source_hosts | self.allowed_hosts | self.public_hosts
            raise UrlError(f"is on a host that is not allowed: {url.host}{_port_words(url.host, known)}")
        if is_address(url.host.name) and (words := self.check_address(url.host, url.host.name)):
            raise UrlError(f"leads to {url.host.name}, {words}")
        return url

    def may_be_private(self, host: Host) -> bool:
        """Whether a host is allowed by name, wherever it is."""
        return host in self.source_hosts or host in self.allowed_hosts

    def check_address(self, host: Host, address: str) -> str | None:
        """What an IP address is, if a host must not be connected to there; None if it may."""
        words = why_not_public(address)
        return None if words != METADATA and self.may_be_private(host) else words


def check_request_url(policy: FetchPolicy, text: str) -> Url:
    """The parts of an address that a caller sent, if it may be fetched. What it resolves to is checked on connecting.

    Raises:
        UrlRefusedError: it may not.
    """
    try:
        return policy.for_requests().check(text)
    except UrlError as error:
        raise UrlRefusedError(
            f"the url {without_secrets(text)[:200]!r} {error}", "ask those who run this service for ALLOWED_HOSTS"
        ) from None


def read_hosts(text: str | None) -> Iterable[Host]:
    """The hosts of ALLOWED_HOSTS, separated by commas or spaces; without a port, 80 and 443 are meant.

    Raises:
        UrlError: one cannot be read.
    """
    for part in re.split(r"[\s,]+", text.strip()) if text and text.strip() else ():
        host = read_host(part, 0)
        yield from (Host(host.name, port) for port in ((host.port,) if host.port else PORTS.values()))


def _plain(address: str) -> str:
    """An address that an operator wrote, without user and password."""
    scheme, mark, rest = address.partition("://")
    place = urlsplit(address).netloc
    return scheme + mark + rest.replace(place, place.rpartition("@")[2], 1)


def _port_words(host: Host, known: Iterable[Host]) -> str:
    ports = sorted({other.port for other in known if other.name == host.name})
    return f" (port {host.port}; allowed there: {', '.join(map(str, ports))})" if ports else ""
