"""ccxt exchanges as both systems use them: amounts as strings, no retries of their own, on whatever host is set."""

from collections.abc import Collection
from typing import Any

import ccxt

from config.bounded_calls import BoundedSession

# An answer that begins just within the time-out may still be read to its end.
READ_ON_SECONDS = 1.0


def new_exchange(*, client: str, url: str, timeout_seconds: float, **credentials: str) -> Any:
    """An exchange that is not connected yet: `client` names a ccxt class, `url` (unless blank) replaces its host.

    `credentials` are ccxt's (`apiKey`, `secret`); public data needs none. A call lasts READ_ON_SECONDS longer than
    `timeout_seconds` at most, however slowly its answer comes.
    """
    exchange = getattr(ccxt, client)(
        {
            **credentials,
            "timeout": int(timeout_seconds * 1000),
            # ccxt's own limiter sleeps before each call; netting keeps the desk far below the venue's limits.
            "enableRateLimit": False,
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
            },
        }
    )
    exchange.number = str
    exchange.session = BoundedSession(within_seconds=timeout_seconds + READ_ON_SECONDS)
    exchange.session.trust_env = False
    if url:
        _point_to(exchange, url.rstrip("/"))
    return exchange


def read_markets(exchange: Any, symbols: Collection[str]) -> dict[str, Any]:
    """The exchange's markets, read anew.

    An answer without one of `symbols` is none: an empty list parses as a venue that trades nothing, and from then on
    ccxt would say of every order that its symbol does not exist.

    Raises: ccxt.BaseError.
    """
    markets = exchange.load_markets(True)
    if missing := sorted(set(symbols) - markets.keys()):
        raise ccxt.BadResponse(f"{exchange.id} lists no {', '.join(missing)}")
    return markets


def _point_to(exchange: Any, url: str) -> None:
    """Send every call to another host that speaks the same dialect, errors included."""

    def moved(address: str) -> str:
        scheme_and_host = "/".join(address.split("/", 3)[:3])
        return url + address[len(scheme_and_host) :]

    exchange.urls["api"] = {name: moved(address) for name, address in exchange.urls["api"].items()}
    if "spot" in exchange.exceptions:
        # ccxt picks Binance's error map by host name and would forget it here.
        exchange.get_exceptions_by_url = lambda _url, kind: exchange.exceptions["spot"].get(kind, {})
