"""Fetching only from where the configuration says: each trick is refused, in words of its own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest
from tileserver import Answer, TileServer

from playground.errors import FetchRefusedError, SourceSettingsError, TileSourceError, UrlRefusedError
from playground.fetching.addresses import METADATA, why_not_public
from playground.fetching.client import open_client
from playground.fetching.policy import FetchPolicy, check_request_url, read_hosts
from playground.fetching.urls import Host, UrlError, parse_url, without_secrets
from playground.sources import open_source

# Written for a service whose tiles come from https://tiles.example.com and http://localhost:8000, and that allows the
# host cdn.example.com too.
POLICY = FetchPolicy(allowed_hosts=frozenset(read_hosts("cdn.example.com"))).naming(
    "https://tiles.example.com/{z}/{x}/{y}", "http://localhost:8000/{z}/{x}/{y}"
)

WRITTEN = {
    "an address in decimal": ("http://2130706433/", "a number for a host"),
    "in octal": ("http://0177.0.0.1/", "a number for a host"),
    "in hex": ("http://0x7f000001/", "a number for a host"),
    "in hex with dots": ("http://0x7f.1/", "a number for a host"),
    "short": ("http://127.1/", "a number for a host"),
    "just zero": ("http://0/", "a number for a host"),
    "too many parts": ("http://127.0.0.1.1/", "a number for a host"),
    "a part too large": ("http://127.0.0.256/", "a number for a host"),
    "loopback": ("http://127.0.0.1/", "not allowed: 127.0.0.1"),
    "unspecified": ("http://0.0.0.0/", "not allowed: 0.0.0.0"),
    "IPv6 loopback": ("http://[::1]/", r"not allowed: \[::1\]"),
    "IPv6 loopback in full": ("http://[0:0:0:0:0:0:0:1]/", r"not allowed: \[::1\]"),
    "mapped": ("http://[::ffff:127.0.0.1]/", "not allowed: .*ffff"),
    "mapped in hex": ("http://[::ffff:7f00:1]/", "not allowed: .*ffff"),
    "IPv6 zone": ("http://[fe80::1%25eth0]/", "a zone"),
    "IPv6 that does not end": ("http://[::1/", "does not end"),
    "IPv6 and more": ("http://[::1]example.com/", "between its IPv6 address and its port"),
    "IPv6 that is none": ("http://[tiles.example.com]/", "cannot be read"),
    "metadata": ("http://169.254.169.254/latest/meta-data/", "not allowed: 169.254.169.254"),
    "metadata by IPv6": ("http://[fd00:ec2::254]/", "not allowed: .*ec2"),
    "metadata by name": ("http://metadata.google.internal/computeMetadata/v1/", "metadata service"),
    "metadata by name, shouted": ("http://METADATA.Google.Internal/", "metadata service"),
    "private": ("http://10.0.0.1/", "not allowed: 10.0.0.1"),
    "a host of its own": ("https://evil.example/", "not allowed: evil.example"),
    "localhost": ("http://localhost/", "not allowed: localhost "),
    "localhost with a dot": ("http://localhost.:8000/", "ends with a dot"),
    "an allowed host with a dot": ("https://tiles.example.com./", "ends with a dot"),
    "two dots": ("https://tiles..example.com/", "no name"),
    "below an allowed host": ("https://x.tiles.example.com/", "not allowed"),
    "above an allowed host": ("https://example.com/", "not allowed"),
    "an allowed host inside another": ("https://tiles.example.com.evil.example/", "not allowed"),
    "an allowed host at the end of another": ("https://eviltiles.example.com/", "not allowed"),
    "user": ("https://tiles.example.com@evil.example/", "user or password"),
    "user and password": ("https://tiles.example.com:443@evil.example/", "user or password"),
    "user of an allowed host": ("https://me:pw@tiles.example.com/", "user or password"),
    "two at-signs": ("https://a@tiles.example.com@evil.example/", "user or password"),
    "fragment before the at-sign": ("https://evil.example#@tiles.example.com/", "not allowed: evil.example"),
    "question mark before the at-sign": ("https://evil.example?@tiles.example.com/", "not allowed: evil.example"),
    "backslash": ("https://evil.example\\@tiles.example.com/", "backslash"),
    "backslashes for slashes": ("https:\\\\tiles.example.com\\", "backslash"),
    "encoded host": ("https://%74iles.example.com/", "no name"),
    "encoded at-sign": ("https://tiles.example.com%40evil.example/", "no name"),
    "encoded dot": ("http://127%2e0.0.1/", "no name|number"),
    "ideographic full stop": ("http://127。0。0。1/", "beyond ASCII"),
    "full-width digits": ("http://\uff11\uff12\uff17.0.0.1/", "beyond ASCII"),
    "circled digits": ("http://①②⑦.0.0.1/", "beyond ASCII"),
    "letters that look alike": ("https://tiles.ex\u0430mple.com/", "beyond ASCII"),
    "soft hyphen": ("https://tiles.example.\u00adcom/", "beyond ASCII|control"),
    "line break": ("https://tiles.example.com/\r\nHost: evil.example", "control characters"),
    "line break in the host": ("https://tiles.example.com\r\n/", "control characters"),
    "tab": ("https://tiles.example.com\t/", "control characters"),
    "null": ("https://tiles.example.com\x00.evil.example/", "control characters"),
    "space": ("https://tiles.example.com .evil.example/", "no name"),
    "space in front": (" https://tiles.example.com/", "not http or https"),
    "file": ("file:///etc/passwd", "not http or https but 'file'"),
    "gopher": ("gopher://tiles.example.com:70/_x", "not http or https but 'gopher'"),
    "ftp": ("ftp://tiles.example.com/", "not http or https but 'ftp'"),
    "dict": ("dict://tiles.example.com:11211/stats", "not http or https but 'dict'"),
    "data": ("data:image/png;base64,AAAA", "not http or https but 'data'"),
    "jar": ("jar:https://tiles.example.com!/", "not http or https but 'jar'"),
    "javascript": ("javascript:alert(1)", "not http or https but 'javascript'"),
    "no scheme": ("//tiles.example.com/", "not http or https"),
    "one slash": ("https:/tiles.example.com/", "no // after"),
    "no slash": ("https:tiles.example.com/", "no // after"),
    "three slashes": ("https:///tiles.example.com/", "no host"),
    "nothing": ("", "not http or https"),
    "another port": ("https://tiles.example.com:22/", "port 22; allowed there: 443"),
    "another scheme": ("http://tiles.example.com/", "port 80; allowed there: 443"),
    "port zero": ("https://tiles.example.com:0/", "a port that is none"),
    "port too large": ("https://tiles.example.com:65979/", "a port that is none"),  # 443 once it overflows
    "port with a sign": ("https://tiles.example.com:+443/", "a port that is none"),
    "port with a zero": ("https://tiles.example.com:0443/", "a port that is none"),
    "two ports": ("https://tiles.example.com:443:22/", "a port that is none"),
    "port in Arabic digits": ("https://tiles.example.com:٤٤٣/", "a port that is none"),
    "no port": ("https://tiles.example.com:/", "a colon but no port"),
    "a very long host": ("https://" + "a." * 130 + "example.com/", "longer than 253"),
    "a very long label": ("https://" + "a" * 64 + ".example.com/", "no name"),
    "a very long address": ("https://tiles.example.com/" + "a" * 9000, "longer than 8192"),
}
"""What a caller writes, and what it is told."""


@pytest.mark.parametrize("name", WRITTEN)
def test_addresses_of_callers_that_are_refused(name: str) -> None:
    url, words = WRITTEN[name]
    with pytest.raises(UrlRefusedError, match=words) as caught:
        check_request_url(POLICY, url)
    assert "ALLOWED_HOSTS" in caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_refused_by_the_client_too(name: str) -> None:
    url, _ = WRITTEN[name]
    client = open_client(POLICY)
    with pytest.raises(FetchRefusedError):
        client.get(url, deadline=None, max_bytes=9)
    assert client.counts()["refused"] == 1
    client.close()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://tiles.example.com/1/2/3.png?key=a%20b", "https://tiles.example.com/1/2/3.png?key=a%20b"),
        ("HTTPS://Tiles.Example.COM:443", "https://tiles.example.com/"),
        ("https://cdn.example.com?x#y", "https://cdn.example.com/?x"),
        ("http://cdn.example.com/ä b", "http://cdn.example.com/%C3%A4%20b"),
        ("https://tiles.example.com/a@b:c/../d", "https://tiles.example.com/a@b:c/../d"),
    ],
)
def test_addresses_that_are_allowed_are_written_anew(text: str, url: str) -> None:
    assert check_request_url(POLICY, text).text == url


ADDRESSES = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "private network": ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fdff::1", "fec0::1"],
    "link-local": ["169.254.1.1", "fe80::1", "febf::1", "2600::1%eth0"],
    "metadata": ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "fd20:ce::254"],
    "CGNAT": ["100.64.0.1", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "broadcast": ["255.255.255.255"],
    "reserved": ["240.0.0.1", "192.0.0.8", "4000::1", "::2:0:0:0:1", "2001:2::1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:8.8.8.8"],
    "compatible": ["::127.0.0.1", "::808:808"],
    "6to4": ["2002:7f00:1::", "2002:808:808::1", "192.88.99.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    "Teredo": ["2001::1", "2001:0:7f00:1::"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255"],
    "no IP address": ["", "localhost", "127.1"],
}


@pytest.mark.parametrize(("kind", "address"), [(kind, ip) for kind, ips in ADDRESSES.items() for ip in ips])
def test_addresses_that_are_not_the_open_internet(kind: str, address: str) -> None:
    assert kind in (why_not_public(address) or "")


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2600::1", "2a00:1450::1"],
)
def test_addresses_of_the_open_internet(address: str) -> None:
    assert why_not_public(address) is None


# The moment of connecting


@pytest.fixture
def inside() -> Iterator[TileServer]:
    """A server on this machine that nobody may reach; it is asked nothing, not even to accept a connection."""
    with TileServer(lambda _: b"the crown jewels") as server:
        yield server
        assert server.connections == 0


def port_of(server: TileServer) -> int:
    return int(server.address.rpartition(":")[2])


def public(name: str, server: TileServer, *answers: str) -> FetchPolicy:
    """The policy for a host that callers may name, at a server's port; the DNS gives ``answers`` for it."""
    host = Host(name, port_of(server))
    resolve = (f"{name}:{host.port}:{','.join(answers)}",) if answers else ()
    return FetchPolicy(public_hosts=frozenset({host}), resolve=resolve, attempts=1, use_proxy=False)


@pytest.mark.parametrize("answers", [("127.0.0.1",), ("[::1]",), ("[::ffff:127.0.0.1]",), ("127.0.0.1", "127.0.0.2")])
def test_a_name_that_leads_inside(inside: TileServer, answers: tuple[str, ...]) -> None:
    policy = public("tiles.example.com", inside, *answers)
    url = f"http://tiles.example.com:{port_of(inside)}/"
    assert check_request_url(policy, url)  # there is nothing to see in what is written
    client = open_client(policy)
    with pytest.raises(FetchRefusedError, match=r"leads to .*(loopback|mapped)"):
        client.get(url, deadline=None, max_bytes=99)
    assert client.counts()["refused"] == 1
    client.close()


def test_names_of_this_machine(inside: TileServer) -> None:
    """By the machine's own resolver, without any pretence."""
    client = open_client(public("localhost", inside))
    with pytest.raises(FetchRefusedError, match=r"leads to .*loopback"):
        client.get(f"http://localhost:{port_of(inside)}/", deadline=None, max_bytes=99)
    client.close()


def test_a_dns_answer_that_changes_between_check_and_connect(
    inside: TileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever resolves the name beforehand is told a good address: the check that counts is that of the socket."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("8.8.8.8", 80))])
    assert why_not_public(socket.getaddrinfo("rebind.example", 80)[0][4][0]) is None
    client = open_client(public("rebind.example", inside, "127.0.0.1"))
    with pytest.raises(FetchRefusedError, match=r"leads to 127.0.0.1"):
        client.get(f"http://rebind.example:{port_of(inside)}/", deadline=None, max_bytes=99)
    client.close()


def test_metadata_is_refused_even_by_a_name_that_is_allowed(inside: TileServer) -> None:
    name = "tiles.example.com"
    policy = FetchPolicy(resolve=(f"{name}:80:169.254.169.254",), use_proxy=False, attempts=1).naming(f"http://{name}/")
    client = open_client(policy)
    with pytest.raises(FetchRefusedError, match=METADATA):
        client.get(f"http://{name}/", deadline=None, max_bytes=99)
    client.close()


def test_the_operators_host_may_be_private_for_the_operator_only() -> None:
    with TileServer(lambda _: b"tile") as server:
        policy = FetchPolicy(use_proxy=False).naming(server.address)
        client = open_client(policy)
        assert client.get(server.address, deadline=None, max_bytes=9).body == b"tile"
        for_callers = open_client(policy.for_requests())
        with pytest.raises(UrlRefusedError, match="loopback"):
            check_request_url(policy, server.address)
        with pytest.raises(FetchRefusedError, match="loopback"):  # kept connections are not shared, either
            for_callers.get(server.address, deadline=None, max_bytes=9)
        by_name = FetchPolicy(allowed_hosts=frozenset(read_hosts(server.address.removeprefix("http://"))))
        assert check_request_url(by_name, server.address)
        allowed = open_client(by_name.for_requests())
        assert allowed.get(server.address, deadline=None, max_bytes=9).body == b"tile"
        assert server.connections == 2
        for each in (client, for_callers, allowed):
            each.close()


def test_callers_get_neither_credentials_nor_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with TileServer(lambda _: b"from the proxy") as proxy, TileServer(lambda _: b"tile") as server:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        policy = FetchPolicy(allowed_hosts=frozenset(read_hosts(server.address.removeprefix("http://"))))
        through = open_client(policy)
        assert through.get(server.address, deadline=None, max_bytes=99).body == b"from the proxy"
        callers = open_client(policy.for_requests())
        assert callers.get(server.address, deadline=None, max_bytes=99).body == b"tile"
        assert policy.for_requests().credentials is None
        through.close()
        callers.close()


# Redirects

TARGETS = {
    "loopback": ("http://127.0.0.1:{port}/", "not allowed: 127.0.0.1"),
    "localhost": ("http://localhost:{port}/", "not allowed: localhost"),
    "IPv6": ("http://[::1]:{port}/", "not allowed"),
    "decimal": ("http://2130706433:{port}/", "a number for a host"),
    "metadata": ("http://169.254.169.254/latest/", "not allowed: 169.254.169.254"),
    "metadata by name": ("http://metadata.google.internal/", "metadata service"),
    "file": ("file:///etc/passwd", "'file'"),
    "gopher": ("gopher://127.0.0.1:{port}/_GET", "'gopher'"),
    "without scheme": ("//127.0.0.1:{port}/", "not allowed: 127.0.0.1"),
    "user": ("http://me:hunter2@127.0.0.1:{port}/", "user or password"),
    "elsewhere": ("https://example.com/", "not allowed: example.com"),
    "backslash": ("/\\127.0.0.1:{port}/", "backslash"),
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", TARGETS)
def test_redirects_are_checked_like_first_addresses(inside: TileServer, name: str, status: int) -> None:
    location, words = TARGETS[name]
    answer = Answer(status=status, headers={"Location": location.format(port=port_of(inside))})
    with TileServer(lambda _: answer) as server:
        client = open_client(FetchPolicy().naming(server.address))
        with pytest.raises(FetchRefusedError, match=words) as caught:
            client.get(server.address + "/tile", deadline=None, max_bytes=99)
        assert "redirects" in caught.value.message
        assert "hunter2" not in caught.value.message
        assert server.requests == {"/tile": 1}
        client.close()


def test_a_redirect_to_an_allowed_name_that_leads_inside(inside: TileServer) -> None:
    port = port_of(inside)
    answer = Answer(status=302, headers={"Location": f"http://cdn.example.com:{port}/"})
    with TileServer(lambda _: answer) as server:
        policy = public("cdn.example.com", inside, "127.0.0.1").naming(server.address)
        client = open_client(policy)
        with pytest.raises(FetchRefusedError, match=r"leads to 127.0.0.1"):
            client.get(server.address, deadline=None, max_bytes=99)
        client.close()


def test_redirects_within_what_is_allowed_are_followed() -> None:
    steps: dict[str, object] = {f"/{i}": Answer(status=307, headers={"Location": f"{i + 1}"}) for i in range(6)}
    with TileServer({**steps, "/5": b"tile"}) as server:
        client = open_client(FetchPolicy().naming(server.address))
        assert client.get(server.address + "/0", deadline=None, max_bytes=9).body == b"tile"
        client.close()


# What is shown


def test_sources_that_name_what_cannot_be_read() -> None:
    with pytest.raises(SourceSettingsError, match="a number for a host"):
        open_source("http://127.1/{z}/{x}/{y}")
    with pytest.raises(UrlError):
        parse_url("http://127.1/")


def test_messages_and_logs_show_no_keys(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = "https://evil.example/a?api_key=hunter2"
    with pytest.raises(UrlRefusedError) as caught:
        check_request_url(POLICY, url)
    with TileServer({"/": Answer(status=500)}) as server:
        client = open_client(FetchPolicy(attempts=1).naming(server.address))
        with pytest.raises(TileSourceError) as failed:
            client.get(server.address + "/?api_key=hunter2", deadline=None, max_bytes=9)
        client.close()
    assert "hunter2" not in f"{caught.value} {failed.value} {failed.value.hint} {caplog.text}"
    assert without_secrets(url) == "https://evil.example/a?api_key=***"
