"""Where a request comes from: the peer, or whom a proxy that is trusted names."""

from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from counter.api.raw_request import header_in
from infra.http_server.client_network import LONGEST, network_of

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded_for: str) -> Address | None:
    """The nearest address that is no proxy of ours; None if it cannot be read.

    Each proxy adds at the end of `X-Forwarded-For` whom it heard, so what stands before the first that we do not know
    was said by a stranger.
    """
    proxies = networks_of(tuple(settings.TRUSTED_PROXIES))
    hops = [hop.strip() for hop in forwarded_for.split(",")] if forwarded_for else []
    address = _read(peer)
    while address is not None and hops and is_in(address, proxies):
        address = _read(hops.pop())
    return address


def holder_in(request: HttpRequest) -> str:
    """Whom a request of the framework counts for where each address has a limit (`network_of`)."""
    forwarded_for = header_in(request)("X-Forwarded-For") or ""
    return network_of(str(client_address(request.META.get("REMOTE_ADDR", ""), forwarded_for)))


def address_of(scope: MutableMapping[str, Any]) -> str:
    """Whom an ASGI request counts for where each address has a limit (`network_of`); empty if that cannot be read."""
    client = scope.get("client")
    peer = client[0] if client else ""
    if not settings.TRUSTED_PROXIES:
        return network_of(peer)
    forwarded = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
    return network_of(str(client_address(peer, ",".join(forwarded)) or ""))


def is_proxy(peer: str) -> bool:
    """Whether a peer is a proxy of ours, who speaks for many."""
    address = _read(peer)
    return address is not None and is_in(address, networks_of(tuple(settings.TRUSTED_PROXIES)))


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Whether an address belongs to one of the networks."""
    return any(address in network for network in networks)


@lru_cache(maxsize=1024)
def networks_of(given: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks from their CIDR notation."""
    return tuple(ip_network(network.strip()) for network in given)


def _read(text: str) -> Address | None:
    return _known(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=4096)
def _known(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
