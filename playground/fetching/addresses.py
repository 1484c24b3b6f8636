"""Which IP addresses are the open internet, and what the others are."""

from __future__ import annotations

import functools
import ipaddress

METADATA = "the metadata service of a cloud"
"""Refused whoever allows its host by name: no tiles come from there."""

# Asked in this order: the narrow ones first.
_KINDS: tuple[tuple[str, str], ...] = (
    ("169.254.169.254/32", METADATA),
    ("100.100.100.200/32", METADATA),
    ("168.63.129.16/32", METADATA),
    ("fd00:ec2::254/128", METADATA),
    ("fd20:ce::254/128", METADATA),
    ("0.0.0.0/8", "this machine (unspecified)"),
    ("127.0.0.0/8", "this machine (loopback)"),
    ("10.0.0.0/8", "a private network"),
    ("172.16.0.0/12", "a private network"),
    ("192.168.0.0/16", "a private network"),
    ("100.64.0.0/10", "a provider's inner network (CGNAT)"),
    ("169.254.0.0/16", "link-local"),
    ("192.0.0.0/24", "reserved for protocols"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "a 6to4 relay"),
    ("198.18.0.0/15", "for benchmarks"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "this machine (unspecified)"),
    ("::1/128", "this machine (loopback)"),
    ("::ffff:0:0/96", "an IPv4 address in IPv6 clothes (mapped)"),
    ("::/96", "an IPv4 address in IPv6 clothes (compatible)"),
    ("64:ff9b::/96", "an IPv4 address in IPv6 clothes (NAT64)"),
    ("64:ff9b:1::/48", "an IPv4 address in IPv6 clothes (NAT64)"),
    ("2001::/32", "an IPv4 address in IPv6 clothes (Teredo)"),
    ("2002::/16", "an IPv4 address in IPv6 clothes (6to4)"),
    ("2001::/23", "reserved for protocols"),
    ("2001:db8::/32", "for documentation"),
    ("3fff::/20", "for documentation"),
    ("fc00::/7", "a private network"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "a private network (site-local)"),
    ("ff00::/8", "multicast"),
)
_NETWORKS = [(ipaddress.ip_network(network), words) for network, words in _KINDS]
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")


@functools.lru_cache(1024)
def why_not_public(address: str) -> str | None:
    """What an IP address is, if not a place on the open internet; None for one that is.

    Args:
        address: an IPv4 address in its usual form, or an IPv6 address, with or without a zone.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no IP address"
    if "%" in address:
        return "link-local (it has a zone)"
    for network, words in _NETWORKS:
        if ip.version == network.version and ip in network:
            return words
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_IPV6:
        return "reserved"
    return None


@functools.lru_cache(1024)
def is_address(name: str) -> bool:
    """Whether a host is given by an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
