"""Refuses private addresses where names become addresses, which Scrapy does before each connection.

What is checked is the address that is connected to, so a name that changes its address, a number in another
notation and a redirect are checked like every other host.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from scrapy.resolver import CachingHostnameResolver
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from returns_pipeline.public_hosts import AllowedHosts

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from twisted.internet.base import ReactorBase

#: The hosts (name, port) that were refused in this process.
refused: set[tuple[str, int]] = set()


@implementer(IHostnameResolver)
class PublicResolver(CachingHostnameResolver):
    """Resolves names to the addresses that may be connected to: to none for a private host."""

    def __init__(self, reactor: "ReactorBase", cache_size: int, allowed: AllowedHosts) -> None:
        """Resolve for `reactor`, and keep up to `cache_size` names."""
        super().__init__(reactor, cache_size)
        self._allowed = allowed

    @classmethod
    def from_crawler(cls, crawler: "Crawler", reactor: "ReactorBase") -> Self:
        """Return the resolver for a crawl with the setting COLLECT_ALLOWED."""
        settings = crawler.settings
        allowed = AllowedHosts.parse(settings.getlist("COLLECT_ALLOWED"))
        return cls(reactor, settings.getint("DNSCACHE_SIZE"), allowed)

    def resolveHostName(  # noqa: N802 - Twisted's name
        self,
        resolutionReceiver: Any,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        """Resolve a name; the receiver gets the permitted addresses alone."""
        receiver: Any = _Permitted(resolutionReceiver, self._allowed, hostName, portNumber)
        return super().resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)


@implementer(IResolutionReceiver)
class _Permitted:
    """Passes on the addresses that are permitted."""

    def __init__(self, receiver: Any, allowed: AllowedHosts, host: str, port: int) -> None:
        self._receiver, self._allowed, self._host, self._port = receiver, allowed, host, port

    def resolutionBegan(self, resolution: IHostResolution) -> None:  # noqa: N802
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        if self._allowed.permits(self._host, self._port, address.host):
            self._receiver.addressResolved(address)
        else:
            refused.add((self._host, self._port))

    def resolutionComplete(self) -> None:  # noqa: N802
        self._receiver.resolutionComplete()
