"""What was heard when a call to a venue failed: ccxt's exception, HTTP status and raw answer, as one VenueError.

Guards the line between "nothing was sent" and "it may have been": NotConnected is a connection that was never made, and
nothing else.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ccxt
from urllib3.exceptions import NewConnectionError

from settlement.venues.protocol import VenueError

SERVER_ERROR = 500  # statuses from here on say nothing about what was executed


@contextmanager
def heard(exchange: Any) -> Iterator[None]:
    """Turn whatever ccxt raises in the block into a VenueError; `exchange` notes its statuses (`noting_status`)."""
    exchange.last_http_response = exchange.last_response_headers = exchange.http_status = None
    try:
        yield
    except VenueError as error:
        if exchange.last_http_response is not None:
            error.raw = exchange.last_http_response
        raise
    except ccxt.BaseError as error:
        raw = exchange.last_http_response or ""
        raise VenueError(
            kind=_kind(error, exchange.http_status),
            code=_code(raw),
            message=str(error)[:500],
            retry_after_seconds=_retry_after(exchange.last_response_headers or {}),
            raw=raw,
        ) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # An answer of another shape than ccxt or we expect: it was sent, so it may have been executed.
        raise VenueError(
            kind="BadAnswer", message=repr(error), raw=exchange.last_http_response or ""
        ) from error


def noting_status(exchange: Any) -> Any:
    """A replacement of ccxt's hook for responses that keeps the HTTP status, which its exceptions do not tell."""
    untouched = exchange.on_rest_response

    def note(status: int, *rest: Any) -> Any:
        exchange.http_status = status
        return untouched(status, *rest)

    return note


def _kind(error: ccxt.BaseError, status: int | None) -> str:
    if status is not None and status >= SERVER_ERROR:
        return "ServerError"
    return "NotConnected" if _never_connected(error) else type(error).__name__


def _never_connected(error: ccxt.BaseError) -> bool:
    """Whether the failure was to open a connection, so that no byte of the request can have left."""
    cause = error.__cause__
    reason = getattr(cause.args[0], "reason", None) if cause is not None and cause.args else None
    return isinstance(reason, NewConnectionError)


def _code(raw: str) -> str:
    try:
        answer = json.loads(raw)
    except ValueError:
        return ""
    return str(answer.get("code", "")) if isinstance(answer, dict) else ""


def _retry_after(headers: Any) -> float | None:
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        return float(text) if text else None
    except ValueError:
        return None  # a date: the backoff will do
