"""The network that a limit by address applies to: a client with IPv6 usually has the 2**64 addresses of its /64."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

LONGEST = 64  # characters of an address; what is longer is none, and not kept in memory
IPV6_PREFIX = 64


def network_of(address: str) -> str:
    """The network that an address of IPv6 is of; any other address as it is. What is no address is itself."""
    return _network_of(address) if ":" in address and len(address) <= LONGEST else address[:LONGEST]


@lru_cache(maxsize=4096)
def _network_of(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ip_network((int(known), IPV6_PREFIX), strict=False))
