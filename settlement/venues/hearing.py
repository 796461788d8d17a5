"""What was heard when a call to a venue failed: ccxt's exception, HTTP status and raw answer, as one VenueError.

Guards the line between "nothing was sent" and "it may have been": NotConnected is a connection that was never made, and
nothing else. Guards the keys, too: no text that leaves here shows one, or a signature, whoever repeats it.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ccxt
from urllib3.exceptions import NewConnectionError

from settlement.venues.protocol import VenueError

SERVER_ERROR = 500  # statuses from here on say nothing about what was executed
BANNED = 418
SECRETS = ("apiKey", "secret", "password")  # ccxt's names
SIGNATURE = re.compile(r"""(signature["'\s]*[=:]["'\s]*)[0-9A-Za-z+/=%_-]+""", re.IGNORECASE)
HIDDEN = "***"


@contextmanager
def heard(exchange: Any) -> Iterator[None]:
    """Turn whatever ccxt raises in the block into a VenueError; `exchange` notes its answers (`noting_answers`)."""
    exchange.last_http_response = exchange.last_response_headers = exchange.http_status = None
    try:
        yield
    except VenueError as error:
        error.status = exchange.http_status
        if exchange.last_http_response is not None:
            error.raw = exchange.last_http_response
        raise
    except ccxt.BaseError as error:
        raw = exchange.last_http_response or ""
        raise VenueError(
            kind=_kind(error, exchange.http_status),
            code=_code(raw),
            message=without_secrets(str(error), exchange)[:500],
            status=exchange.http_status,
            retry_after_seconds=_retry_after(exchange.last_response_headers or {}),
            raw=raw,
        ) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # An answer of another shape than ccxt or we expect: it was sent, so it may have been executed.
        raise VenueError(
            kind="BadAnswer",
            message=without_secrets(repr(error), exchange),
            status=exchange.http_status,
            raw=exchange.last_http_response or "",
        ) from error


def noting_answers(exchange: Any) -> Any:
    """A replacement of ccxt's hook for responses: it keeps the HTTP status, which ccxt's exceptions do not tell, and
    lets no answer through that repeats our key or signature."""
    untouched = exchange.on_rest_response

    def note(status: int, *rest: Any) -> Any:
        exchange.http_status = status
        return without_secrets(untouched(status, *rest), exchange)

    return note


def without_secrets(text: str, exchange: Any) -> str:
    """The text with the exchange's keys and any signature hidden; ccxt's exceptions show the whole signed address."""
    for name in SECRETS:
        if secret := getattr(exchange, name, None):
            text = text.replace(secret, HIDDEN)
    return SIGNATURE.sub(rf"\1{HIDDEN}", text)


def _kind(error: ccxt.BaseError, status: int | None) -> str:
    if status is not None and status >= SERVER_ERROR:
        return "ServerError"
    if status == BANNED:
        return "Banned"
    return "NotConnected" if _never_connected(error) else type(error).__name__


def _never_connected(error: ccxt.BaseError) -> bool:
    """Whether the failure was to open a connection, so that no byte of the request can have left."""
    cause = error.__cause__
    reason = getattr(cause.args[0], "reason", None) if cause is not None and cause.args else None
    return isinstance(reason, NewConnectionError)


def _code(raw: str) -> str:
    """The venue's own code: `code` at Binance, `retCode` at Bybit, at OKX the order's `sCode` if there is one."""
    try:
        answer = json.loads(raw)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    of_orders = answer.get("data")
    if (
        isinstance(of_orders, list)
        and of_orders
        and isinstance(of_orders[0], dict)
        and "sCode" in of_orders[0]
    ):
        return str(of_orders[0]["sCode"])
    return str(answer.get("code", answer.get("retCode", "")))


def _retry_after(headers: Any) -> float | None:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        return float(text) if text else None
    except ValueError:
        return None  # a date: the backoff will do
