"""Maps a failed call (ccxt's exception, HTTP status and raw answer) to one VenueError.

Guards the line between "nothing was sent" and "it may have been": only a connection that was never made is
NotConnected, only a request that ccxt refused to send because of the market's filters is DoesNotFit. Guards the keys,
too: no text that leaves this module shows a key or a signature, from any source.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from urllib3.exceptions import NewConnectionError

from infra.exchange.host_breaker import HeldBack, retry_after_seconds
from infra.exchange.lean_ccxt import ccxt
from settlement.venues.protocol import VenueError

SERVER_ERROR = 500  # statuses from here on say nothing about what was executed
NOT_THE_VENUES = {418: "Banned", 451: "Region"}
# Forbidden, or to log in first: without a code of the venue they come from what stands in front of it.
IN_FRONT = (401, 403, 407, 511)
SECRETS = ("apiKey", "secret", "password")  # ccxt's names
SIGNATURE = re.compile(r"""(signature["'\s]*[=:]["'\s]*)[0-9A-Za-z+/=%_-]+""", re.IGNORECASE)
HIDDEN = "***"
# NUL, and halves of characters, as they are or as JSON writes them: no database stores them, so no answer with one of
# them could be kept, with all else that it says.
UNSTORABLE = re.compile(r"\x00|\\u0000|\\ud[89a-f][0-9a-f]{2}|[\ud800-\udfff]", re.IGNORECASE)
REPLACEMENT = "\ufffd"


@contextmanager
def heard(exchange: Any) -> Iterator[None]:
    """Turn what ccxt raises in the block into a VenueError; `exchange` notes its answers (`noting_answers`)."""
    exchange.last_http_response = exchange.last_response_headers = exchange.http_status = None
    try:
        yield
    except VenueError as error:
        error.status = exchange.http_status
        if exchange.last_http_response is not None:
            error.raw = exchange.last_http_response
        raise
    except HeldBack as error:
        raise VenueError(
            kind=error.kind, message=str(error), retry_after_seconds=error.retry_after_seconds
        ) from error
    except ccxt.BaseError as error:
        raw = exchange.last_http_response or ""
        raise VenueError(
            kind=_kind(error, exchange.http_status, _code(raw)),
            code=_code(raw),
            message=without_secrets(str(error), exchange)[:500],
            status=exchange.http_status,
            retry_after_seconds=retry_after_seconds(
                exchange.http_status, exchange.last_response_headers or {}
            ),
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
    lets no answer through that repeats our key or signature, or that cannot be stored."""
    untouched = exchange.on_rest_response

    def note(status: int, *rest: Any) -> Any:
        exchange.http_status = status
        return storable(without_secrets(untouched(status, *rest), exchange))

    return note


def storable(text: str) -> str:
    """The text with a replacement character for what PostgreSQL cannot hold."""
    return UNSTORABLE.sub(REPLACEMENT, text)


def without_secrets(text: str, exchange: Any) -> str:
    """The text with the exchange's keys and any signature hidden; ccxt's exceptions show the whole signed address."""
    for name in SECRETS:
        if secret := getattr(exchange, name, None):
            text = text.replace(secret, HIDDEN)
    return SIGNATURE.sub(rf"\1{HIDDEN}", text)


def _kind(error: ccxt.BaseError, status: int | None, code: str) -> str:
    if status in NOT_THE_VENUES:
        return NOT_THE_VENUES[status]
    if status in IN_FRONT and code in ("", str(status)):
        return "Firewall"
    if status is not None and status >= SERVER_ERROR:
        return "ServerError"
    if status is None and isinstance(error, ccxt.InvalidOrder):
        return "DoesNotFit"
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


def words_of(raw: str) -> str:
    """The venue's own words in a refusal: `msg` at Binance, `retMsg` at Bybit."""
    try:
        answer = json.loads(raw)
    except ValueError:
        return ""
    return str(answer.get("msg", answer.get("retMsg", ""))) if isinstance(answer, dict) else ""
