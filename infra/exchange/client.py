"""ccxt exchanges as both systems use them: amounts as strings, no retries of their own, on the host that is set."""

import time
from collections.abc import Collection
from decimal import Context, localcontext
from functools import wraps
from typing import Any

import structlog

from infra.exchange import host_breaker
from infra.exchange.lean_ccxt import ccxt, exchange_class, streaming_exchange_class
from infra.http_client.bounded_calls import BoundedSession

log = structlog.get_logger(__name__)

# An answer that begins just within the time-out may still be read to its end.
READ_ON_SECONDS = 1.0
REDIRECTS = range(300, 400)
# What makes load_markets call nothing but the list of spot markets.
SPOT_ONLY: dict[str, Any] = {
    "defaultType": "spot",
    "fetchMarkets": {"types": ["spot"]},
    "fetchCurrencies": False,
    "fetchMargins": False,
}
# What this machine's clock said once; from then on the monotonic one counts.
_BEGAN_MS = time.time_ns() // 1_000_000 - int(time.monotonic() * 1000)


def new_exchange(*, client: str, url: str, timeout_seconds: float, **credentials: str) -> Any:
    """An exchange that is not connected yet: `client` names a ccxt class, `url` (unless blank) replaces its host.

    `credentials` are ccxt's (`apiKey`, `secret`); public data needs none. A call lasts READ_ON_SECONDS longer than
    `timeout_seconds` at most, however slowly its answer comes. A redirect raises BadResponse, not what its body says:
    it is not the exchange's word, and what was sent may have been done. The thread's decimal context stays as it is.
    """
    exchange = exchange_class(client)(
        {
            **credentials,
            "timeout": int(timeout_seconds * 1000),
            # ccxt's own limiter sleeps before each call; netting keeps the desk far below the venue's limits.
            "enableRateLimit": False,
            "options": dict(SPOT_ONLY),
        }
    )
    exchange.number = str
    exchange.milliseconds = steady_milliseconds
    exchange.session = BoundedSession(within_seconds=timeout_seconds + READ_ON_SECONDS)
    exchange.handle_errors = _refusing_redirects(exchange)
    exchange.decimal_to_precision = _in_a_context_of_its_own(exchange.decimal_to_precision)
    if client == "binance":
        # "An error has been returned by the matching engine": ccxt takes it for one of the venue itself, of which
        # nobody knows what was done.
        exchange.exceptions["exact"]["-1010"] = ccxt.OperationRejected
    host_breaker.guard(exchange)
    if url:
        _point_to(exchange, url.rstrip("/"))
    return exchange


def new_streaming_exchange(*, client: str, url: str) -> Any:
    """An exchange of ccxt.pro for public streams, for one event loop: it is given its markets and asks for nothing.

    Raises: LookupError, NotSupported for one whose stream of best prices ccxt does not know.
    """
    exchange = streaming_exchange_class(client)({"enableRateLimit": False, "options": dict(SPOT_ONLY)})
    if not exchange.has.get("watchBidsAsks"):
        raise ccxt.NotSupported(f"ccxt knows no stream of {client}'s best prices")
    exchange.number = str
    if url:
        _point_to(exchange, url.rstrip("/"))
    return exchange


def steady_milliseconds() -> int:
    """Milliseconds since 1970 of a clock that never leaps; how far the venue's is away from it is measured.

    By ccxt's own, the wall clock, a leap after that measurement would date an order later than it is: what arrives late
    would be in time for the venue.
    """
    return _BEGAN_MS + int(time.monotonic() * 1000)


def read_markets(exchange: Any, symbols: Collection[str]) -> dict[str, Any]:
    """The exchange's markets, read anew.

    An answer without any of `symbols` is none: an empty list parses as a venue that trades nothing, and from then on
    ccxt would say of every order that its symbol does not exist. A single one that is gone is nothing to the others.

    Raises: ccxt.BaseError.
    """
    markets = exchange.load_markets(True)
    missing = sorted(set(symbols) - markets.keys())
    if len(missing) == len(set(symbols)):
        raise ccxt.BadResponse(f"{exchange.id} lists no {', '.join(missing)}")
    if missing:
        log.warning("markets are not listed", exchange=exchange.id, symbols=missing)
    return markets


def _refusing_redirects(exchange: Any) -> Any:
    """A replacement of ccxt's judge of answers: it takes a redirect that is not followed for a good answer."""
    judge = exchange.handle_errors

    def handle_errors(status: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
        if status in REDIRECTS:
            target = headers.get("Location", "")[:200]
            raise ccxt.BadResponse(f"{exchange.id} answers {status}, a redirect to {target!r}: not followed")
        return judge(status, reason, url, method, headers, *rest)

    return handle_errors


def _in_a_context_of_its_own(formatting: Any) -> Any:
    """ccxt's number formatting, which sets the rounding and the traps of the calling thread's decimal context."""

    @wraps(formatting)
    def formatted(*args: Any, **options: Any) -> Any:
        with localcontext(Context()):
            return formatting(*args, **options)

    return formatted


def _point_to(exchange: Any, url: str) -> None:
    """Send every call to another host that speaks the same dialect, errors included."""

    def moved(address: Any) -> Any:
        if isinstance(address, dict):
            return {name: moved(inner) for name, inner in address.items()}
        scheme_and_host = "/".join(address.split("/", 3)[:3])
        is_socket = address.startswith("ws")
        return (url.replace("http", "ws", 1) if is_socket else url) + address[len(scheme_and_host) :]

    exchange.urls["api"] = moved(exchange.urls["api"])
    if "spot" in exchange.exceptions:
        # ccxt picks Binance's error map by host name and would forget it here.
        exchange.get_exceptions_by_url = lambda _url, kind: exchange.exceptions["spot"].get(kind, {})
