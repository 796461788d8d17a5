"""Addresses that a stranger may have us call: public ones, and those of networks that an operator allows besides.

Guards the machines beside us: a name that strangers choose may resolve to this machine, to a database or to the cloud's
metadata service. What is checked here is what is then connected to, so that a name cannot change in between.
"""

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateAnswer
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

RESOLVERS = 16
# Besides what `ipaddress` calls not global, which differs between its versions. Those of IPv6 that carry an address of
# IPv4 are refused whole: where they end is for a gateway to say.
REFUSED = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        "168.63.129.16/32",  # the host of a machine at Azure
        *("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96"),  # compatible, mapped, translated
        *("64:ff9b::/96", "64:ff9b:1::/48"),  # NAT64
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16"),  # Teredo, examples, 6to4
        *("100::/64", "fc00::/7", "fe80::/9", "ff00::/8"),
    )
)
_resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")


class AddressRefused(OSError):
    """A host has no address that may be called."""


class NameUnknown(OSError):
    """A host has no address, or nobody says in time which."""


def is_public(address: Address, *, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address may be called; one of `allowed` may."""
    if getattr(address, "scope_id", None):
        return False
    if any(address in network for network in allowed):
        return True
    return address.is_global and not any(address in network for network in REFUSED)


def callable_addresses(
    host: str, port: int, *, allowed: Sequence[Network] = (), within_seconds: float
) -> list[str]:
    """Addresses of a host, in the resolver's order, each of which may be called.

    Raises: AddressRefused when one of them may not: a host with such a neighbour is none to be trusted. NameUnknown.
    """
    asked = _resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = asked.result(timeout=within_seconds)
    except LateAnswer as error:
        asked.cancel()
        raise NameUnknown(f"{host}: no resolver answered in time") from error
    except (OSError, UnicodeError) as error:
        raise NameUnknown(f"{host}: {error}") from error
    texts = list(dict.fromkeys(str(each[4][0]) for each in found))
    for text in texts:
        if not is_public(ip_address(text), allowed=allowed):
            raise AddressRefused(f"{host} is at {text}, which is no public address")
    if not texts:
        raise NameUnknown(f"{host} has no address")
    return texts
