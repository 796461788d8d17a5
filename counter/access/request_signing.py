"""How customers' programs sign their requests: HMAC-SHA256 over the exact bytes of what they ask for, and the time.

Signed is timestamp + recv_window + METHOD + path with query + body, without anything between. A timestamp has 13 digits
and a method begins with a letter, so no two requests are written alike.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

KEY_HEADER = "X-API-Key"
TIMESTAMP_HEADER = "X-API-Timestamp"
RECV_WINDOW_HEADER = "X-API-Recv-Window"
SIGNATURE_HEADER = "X-API-Signature"

DEFAULT_RECV_WINDOW_MS = 5000
LONGEST_RECV_WINDOW_MS = 60_000
# By which a customer's clock may be ahead of ours.
AHEAD_MS = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_TIMESTAMP = re.compile(r"[0-9]{13}")
_RECV_WINDOW = re.compile(r"[1-9][0-9]{0,4}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


class HeaderUnreadable(Exception):
    """One of the headers is missing or cannot be read; `header` names it."""

    def __init__(self, header: str, message: str) -> None:
        super().__init__(message)
        self.header = header


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """What a signed request says of its signature; `recv_window` is empty when it was left out."""

    key: str
    timestamp: str
    recv_window: str
    signature: str

    @property
    def made_at(self) -> datetime:
        """When it was signed, by the customer's clock."""
        return _EPOCH + int(self.timestamp) * _MS

    @property
    def valid_until(self) -> datetime:
        """Until when it is accepted."""
        return self.made_at + int(self.recv_window or DEFAULT_RECV_WINDOW_MS) * _MS

    def is_in_time(self, now: datetime) -> bool:
        """Whether it arrives within its window, and was not made in our future."""
        return self.made_at - AHEAD_MS * _MS <= now <= self.valid_until


def read_headers(header: Callable[[str], str | None]) -> SignedHeaders:
    """The headers of a signed request, looked up by their names.

    Raises: HeaderUnreadable.
    """
    timestamp = header(TIMESTAMP_HEADER) or ""
    recv_window = header(RECV_WINDOW_HEADER) or ""
    signature = header(SIGNATURE_HEADER) or ""
    if not _TIMESTAMP.fullmatch(timestamp):
        raise HeaderUnreadable(TIMESTAMP_HEADER, "milliseconds since 1970, 13 digits, are missing")
    if recv_window and not (
        _RECV_WINDOW.fullmatch(recv_window) and int(recv_window) <= LONGEST_RECV_WINDOW_MS
    ):
        raise HeaderUnreadable(RECV_WINDOW_HEADER, f"has to be from 1 to {LONGEST_RECV_WINDOW_MS} ms")
    if not _SIGNATURE.fullmatch(signature):
        raise HeaderUnreadable(SIGNATURE_HEADER, "64 hex digits in lower case are missing")
    return SignedHeaders(header(KEY_HEADER) or "", timestamp, recv_window, signature)


def signing_string(*, timestamp: str, recv_window: str, method: str, target: bytes, body: bytes) -> bytes:
    """What is signed; `target` is the path with its query, as it stands in the request's first line."""
    return b"".join((timestamp.encode(), recv_window.encode(), method.encode(), target, body))


def signature_of(signed: bytes, *, secret: str) -> str:
    """The signature in hex."""
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def fits(headers: SignedHeaders, *, secret: str, method: str, target: bytes, body: bytes) -> bool:
    """Whether the signature is of this request by this secret, in constant time."""
    signed = signing_string(
        timestamp=headers.timestamp, recv_window=headers.recv_window, method=method, target=target, body=body
    )
    return hmac.compare_digest(signature_of(signed, secret=secret), headers.signature)
