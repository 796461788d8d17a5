"""Posting to an address that a stranger chose: to what was checked, in bounded time, reading a bounded answer.

Guards us against the receiver: no redirect is followed, nothing is unpacked, and an answer that trickles or has no end
is cut off. Neither proxies nor passwords are taken from the environment.
"""

import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.exceptions import TimeoutError as TimedOut
from urllib3.util import Url, parse_url

from infra.http_client.deadlines import deadlines
from infra.http_client.public_hosts import AddressRefused, NameUnknown, Network, callable_addresses

LONGEST_URL = 500
_PORTS = {"https": 443, "http": 80}


class UrlRefused(ValueError):
    """No address that can be posted to; the text says why."""


class NotSent(Exception):
    """Nothing has reached the receiver: the text says why."""


class AnswerMissing(Exception):
    """It was sent, or may have been, and no answer tells what became of it."""


@dataclass(frozen=True, slots=True)
class StrangersAnswer:
    """What the receiver said: `beginning` of its body, as bytes."""

    status: int
    headers: Mapping[str, str]
    beginning: bytes


def checked_url(url: str, *, http: bool) -> Url:
    """An address that may be posted to, taken apart by the library that will post.

    Raises: UrlRefused.
    """
    if len(url) > LONGEST_URL:
        raise UrlRefused(f"has {len(url)} characters, at most {LONGEST_URL}")
    if not url.isascii() or not url.isprintable() or any(character in ' "<>\\^`{|}' for character in url):
        raise UrlRefused("holds characters that no URL has; a name in another script is written as xn--...")
    try:
        parsed = parse_url(url)
    except LocationParseError as error:
        raise UrlRefused("is no URL") from error
    if parsed.scheme not in (("https", "http") if http else ("https",)):
        raise UrlRefused("has to begin with https://")
    if parsed.auth is not None or "@" in (parsed.netloc or ""):
        raise UrlRefused("has to be without user and password: the signature says who sends")
    if not parsed.host:
        raise UrlRefused("has no host")
    if parsed.fragment is not None:
        raise UrlRefused("has to be without a fragment")
    if parsed.port == 0:
        raise UrlRefused("has no port that can be called")
    return parsed


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    within_seconds: float,
    keep_bytes: int,
    http: bool = False,
    allowed: Sequence[Network] = (),
) -> StrangersAnswer:
    """Post once. `allowed` are networks that may be called although they are not public.

    Raises: UrlRefused, NotSent, AnswerMissing.
    """
    parsed = checked_url(url, http=http)
    host, port = str(parsed.host).strip("[]"), parsed.port or _PORTS[str(parsed.scheme)]
    deadline = time.monotonic() + within_seconds
    try:
        addresses = callable_addresses(host, port, allowed=allowed, within_seconds=within_seconds / 2)
    except (AddressRefused, NameUnknown) as error:
        raise NotSent(str(error)) from error
    call = _Call(addresses, deadline)
    pool = _pool(str(parsed.scheme), str(parsed.host), port, call)
    try:
        with deadlines.within(deadline - time.monotonic(), call.cut):
            response = pool.urlopen(
                "POST",
                parsed.request_uri,
                body=body,
                headers={**headers, "Host": str(parsed.netloc), "Accept-Encoding": "identity"},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=within_seconds, read=within_seconds),
            )
            beginning = response.read(keep_bytes, decode_content=False)
        if call.is_late:
            raise AnswerMissing(f"no whole answer within {within_seconds:g} s")
        return StrangersAnswer(response.status, dict(response.headers), beginning)
    except (HTTPError, OSError, ValueError) as error:
        if not call.connected:
            raise NotSent(call.why or _told(error)) from error
        late = f"no whole answer within {within_seconds:g} s"
        is_late = call.is_late or isinstance(error, TimedOut)
        raise AnswerMissing(late if is_late else _told(error)) from error
    finally:
        pool.close()
        call.end()


class _Call:
    """The connection of one post: where it may go, and how it is cut."""

    def __init__(self, addresses: Sequence[str], deadline: float) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._socket: socket.socket | None = None
        self.connected = False  # TLS included: before that nothing of the message is sent
        self.is_late = False
        self.why = ""

    def connect(self, port: int) -> socket.socket:
        """A socket to the first address that answers. Raises: OSError."""
        error: OSError = TimeoutError("no time is left")
        for address in self._addresses:
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                made = socket.create_connection((address, port), timeout=left)
            except OSError as failed:
                error = failed
                continue
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = made.dup()  # TLS takes the other one over, and a handshake may trickle as well
            if not self.is_late:
                return made
            # The timer found no socket to cut, and does not come again.
            made.close()
            self.cut()
            error = TimeoutError("no time is left")
            break
        self.why = str(error)
        raise error

    def cut(self) -> None:
        """The time is up: end it, wherever it stands."""
        self.is_late = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Leave nothing behind."""
        if self._socket is not None:
            self._socket.close()


@lru_cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _pool(scheme: str, host: str, port: int, call: _Call) -> HTTPConnectionPool:
    class Connection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return call.connect(port)

        def connect(self) -> None:
            super().connect()
            call.connected = True

    class SecureConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return call.connect(port)

        def connect(self) -> None:
            super().connect()
            call.connected = True

    class Pool(HTTPConnectionPool):
        ConnectionCls: Any = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls: Any = SecureConnection

    if scheme == "http":
        return Pool(host, port)
    return SecurePool(host, port, ssl_context=_tls())


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
