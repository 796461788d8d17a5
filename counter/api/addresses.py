"""Where a request comes from: the peer, or whom a proxy that is trusted names."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

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


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Whether an address belongs to one of the networks."""
    return any(address in network for network in networks)


@lru_cache(maxsize=1024)
def networks_of(given: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks from their CIDR notation."""
    return tuple(ip_network(network.strip()) for network in given)


@lru_cache(maxsize=4096)
def _read(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
