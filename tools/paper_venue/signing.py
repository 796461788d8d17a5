"""Who is calling: API key, HMAC signature and timing of a request.

A request passes only if its signature covers every byte of its parameters, in the query string, the body or both.
Source: Binance Spot API documentation, "SIGNED endpoint security" and "Timing security".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from decimal import Decimal

from tools.paper_venue.errors import (
    KeyMalformed,
    KeyUnknown,
    ParameterMissing,
    SignatureInvalid,
    TimestampAhead,
    TimestampOutsideWindow,
    WindowTooLarge,
)

DEFAULT_WINDOW_MS = 5_000
MAX_WINDOW_MS = 60_000
MAX_AHEAD_MS = 1_000
FIRST_MICROSECONDS = 10**14
_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SIGNATURE = re.compile(r"(?:^|&)signature=[^&]*")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account's API key and secret."""

    account: str
    key: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials(account={self.account!r}, key={self.key!r})"


def find_credentials(*, key: str | None, known: dict[str, Credentials]) -> Credentials:
    """Raises: KeyMalformed, KeyUnknown."""
    if key is None or not _KEY.fullmatch(key):
        raise KeyMalformed
    credentials = known.get(key)
    if credentials is None:
        raise KeyUnknown
    return credentials


def unsigned(parameters: str) -> str:
    """The parameters as they were before the signature was put among them."""
    return _SIGNATURE.sub("", parameters).removeprefix("&")


def check_signature(*, query: str, body: str, signature: str | None, secret: str) -> None:
    """``query`` and ``body`` are as sent, the signature still in them.

    Raises: ParameterMissing, SignatureInvalid.
    """
    if not signature:
        raise ParameterMissing("signature")
    signed = unsigned(query) + unsigned(body)
    expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise SignatureInvalid


def check_timing(*, timestamp_ms: int, window_ms: Decimal | None, now_ms: int) -> None:
    """The timestamp may be in microseconds and the window have decimals, as Binance allows.

    Raises: WindowTooLarge, TimestampAhead, TimestampOutsideWindow."""
    if timestamp_ms >= FIRST_MICROSECONDS:
        timestamp_ms //= 1000
    window = Decimal(DEFAULT_WINDOW_MS) if window_ms is None else window_ms
    if window > MAX_WINDOW_MS:
        raise WindowTooLarge
    if timestamp_ms >= now_ms + MAX_AHEAD_MS:
        raise TimestampAhead
    if now_ms - timestamp_ms > window:
        raise TimestampOutsideWindow
