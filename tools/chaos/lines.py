"""The lines to the broker and to the venue: a proxy in front of each, and what may befall it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import urlsplit, urlunsplit

from tools.chaos.injections import Blow, Injection
from tools.chaos.proxy import Line, Proxy

# By variable: what is there at the other end.
PROXIED = {"BROKER_URL": "broker-line", "VENUE_URL": "venue-line"}
DEFAULT_PORTS = {"redis": 6379, "amqp": 5672, "http": 80}
KINDS = {"cut": Line.CUT, "hang": Line.HUNG, "slow": Line.SLOW, "tear": Line.TORN}


class BadLine:
    """A line in another state than up."""

    def __init__(self, kind: str, target: str, proxy: Proxy) -> None:
        self.name = f"{kind}:{target}"
        self._state = KINDS[kind]
        self._proxy = proxy

    def begin(self, seed: int) -> None:
        """Break the line."""
        self._proxy.set(self._state)

    def end(self) -> None:
        """Mend it."""
        self._proxy.set(Line.UP)


def _reset(proxy: Proxy, seed: int) -> None:
    proxy.reset()


@contextmanager
def proxied(environment: Mapping[str, str]) -> Iterator[tuple[dict[str, str], list[Injection]]]:
    """Addresses that lead through proxies, and what can be done to those; the proxies end with the block.

    A server that is spoken to with TLS is left as it is: it would be named by its certificate.
    """
    addresses: dict[str, str] = {}
    injections: list[Injection] = []
    with ExitStack() as closing:
        for variable, target in PROXIED.items():
            parts = urlsplit(environment[variable])
            if parts.scheme not in DEFAULT_PORTS or parts.hostname is None:
                continue
            proxy = Proxy(parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme])
            closing.callback(proxy.close)
            credentials, at, _ = parts.netloc.rpartition("@")
            addresses[variable] = urlunsplit(
                parts._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}")
            )
            injections += [BadLine(kind, target, proxy) for kind in KINDS]
            injections.append(Blow(f"reset:{target}", partial(_reset, proxy)))
        yield addresses, injections
