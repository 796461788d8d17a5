"""kombu's Redis transport for queues in which anybody may have written anything: a list holds all that was pushed.

Guards consumers: what is no message makes the library's own raise out of its loop, which ends a worker. Here it
is a message too, of no kind that is accepted and with no signature, so it is put aside as any other stranger's is.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, redis

NOBODYS = "application/octet-stream"  # content that no consumer of ours accepts
_loads: Callable[[str], Any] = redis.loads  # type: ignore[attr-defined]


class Unreadable(str):
    """What is no JSON, or none that kombu can make a value of."""


def _loads_anything(text: str) -> Any:
    try:
        return _loads(text)
    except Exception:  # noqa: BLE001 - kombu's JSON makes dates and the like, and fails in their ways too
        return Unreadable(text)


def message_of(given: Any, queue: str) -> dict[str, Any]:
    """What was in a queue if it is a message; else a message that holds it."""
    if _is_message(given):
        return given
    return {
        "body": given if isinstance(given, str) else repr(given),
        "content-type": NOBODYS,
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


def _is_message(given: Any) -> bool:
    if not isinstance(given, dict) or not isinstance(given.get("body"), str):
        return False
    properties, headers = given.get("properties"), given.get("headers")
    if not isinstance(properties, dict) or not isinstance(headers, dict) or "compression" in headers:
        return False
    to = properties.get("delivery_info")
    return (
        isinstance(properties.get("delivery_tag"), str)
        and isinstance(to, dict)
        and isinstance(to.get("exchange"), str)
        and isinstance(to.get("routing_key"), str)
        and _is_decodable(given["body"], properties.get("body_encoding"))
    )


def _is_decodable(body: str, encoding: Any) -> bool:
    try:
        codec = redis.Channel.codecs[encoding] if encoding else None
        return codec is None or isinstance(codec.decode(body), bytes)
    except Exception:  # noqa: BLE001 - an encoding that is none, or a body that is not in it
        return False


class _KeptClient:
    """A channel that makes its client once: making one costs more than most commands, and each command would."""

    pool: Any
    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # has a connection of its own
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]
        return self._kept


class Channel(_KeptClient, redis.Channel):
    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        return message_of(super()._get(queue), queue)


class SentinelChannel(_KeptClient, redis.SentinelChannel):
    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        return message_of(super()._get(queue), queue)


class Transport(redis.Transport):
    Channel = Channel

    def _deliver(self, message: Any, queue: str | None) -> None:
        super()._deliver(message_of(message, queue or ""), queue)


class SentinelTransport(Transport):
    default_port = redis.SentinelTransport.default_port
    Channel = SentinelChannel  # type: ignore[assignment]


def install() -> None:
    """From now on it is the transport of Redis and its kin in this process."""
    redis.loads = _loads_anything  # type: ignore[attr-defined]
    for scheme in ("redis", "rediss"):  # `transports.uses_redis`
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"
