"""Which hosts may be asked: public ones, and those that the user allows by name."""

import ipaddress
from collections.abc import Iterable
from typing import Self
from urllib.parse import urlsplit

from returns_pipeline.errors import RefusedError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Public addresses by their number, behind which clouds serve secrets to their own machines.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})
#: IPv6 addresses whose last 32 bits are an IPv4 address that a router connects to (RFC 6052, RFC 8215).
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the public internet, and so does each IPv4 address inside of it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return all(
        each.is_global and not each.is_multicast and each not in _METADATA for each in _all_of(address)
    )


def _all_of(address: _Address) -> list[_Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    inside: list[_Address | None] = [address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _TRANSLATED):
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(each for each in inside if each)]


class AllowedHosts:
    """The hosts that are allowed whatever their address is, each with a port or with all ports."""

    def __init__(self, allowed: Iterable[tuple[str, int | None]]) -> None:
        """Allow each (host, port); without a port, all of them."""
        self._allowed = frozenset(allowed)

    @classmethod
    def parse(cls, names: Iterable[str]) -> Self:
        """Return the hosts of texts like `localhost:8000`, `shop.internal` or `[::1]:8000`.

        Raises RefusedError for another text.
        """
        return cls(map(_host_and_port, names))

    def permits(self, host: str, port: int, address: str) -> bool:
        """Whether a connection to `address`, which is the IP address of `host`, may be opened."""
        name = host.lower().rstrip(".")
        return bool({(name, port), (name, None)} & self._allowed) or is_public(address)


def _host_and_port(text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.netloc == text and not parts.username:
            return parts.hostname.rstrip("."), parts.port
    except ValueError:
        pass
    raise RefusedError(
        "{text!r} is not a host.", advice="Write a host or a host and a port, like localhost:8000.", text=text
    )
