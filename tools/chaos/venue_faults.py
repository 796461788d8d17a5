"""The paper venue's own faults, switched on and off through its control endpoints."""

import random
import time
from decimal import Decimal
from typing import Any

import requests

from tools.chaos.injections import Injection

TIMEOUT_SECONDS = 3.0
CLEARED_WITHIN_SECONDS = 30.0
ORDERS = {"path": "/api/v3/order$", "method": "POST"}
TRANSFERS = {"path": "/sapi/v1/asset/transfer$", "method": "POST"}

# Books that are no price, by name; kinds are those of docs/paper-venue-control.md. A level that
# stays is a price after some seconds: INDEX_CONFIRM_SECONDS for each hundredth. Wicks are over before that.
ODD_BOOKS: dict[str, dict[str, Any]] = {
    "wick-down": {"kind": "wick", "percent": "-90"},
    "wick-up": {"kind": "wick", "percent": "150"},
    "plunge": {"kind": "wick", "percent": "-12"},
    "dip": {"kind": "wick", "percent": "-0.9", "for_seconds": 2},
    "spike": {"kind": "wick", "percent": "0.9", "for_seconds": 2},
    "crossed-book": {"kind": "crossed_book", "percent": "1"},
    "no-bids": {"kind": "one_sided_book", "side": "bid"},
    "no-asks": {"kind": "one_sided_book", "side": "ask"},
    "low-bids": {"kind": "wide_book", "side": "bid", "percent": "90"},
    "high-asks": {"kind": "wide_book", "side": "ask", "percent": "300"},
    "frozen-book": {"kind": "frozen_book"},
}
# What concerns whole markets: their books, status and filters.
OF_MARKETS: dict[str, dict[str, Any]] = {
    **ODD_BOOKS,
    "closed-market": {"kind": "market_closed"},
    "break": {"kind": "symbol_status", "status_text": "BREAK"},
    "filters": {"kind": "filters", "step": "0.01", "tick": "0.1", "min_notional": "40"},
}
MARKETS = (None, "BTCUSDT", "ETHUSDT")  # None: all of them
FAULTS: dict[str, dict[str, Any]] = {
    **OF_MARKETS,
    "trading-disabled": {"kind": "trading_disabled"},
    "banned": {"kind": "ban", "retry_after_seconds": 5},
    "firewall": {"kind": "firewall"},
    "latency": {"kind": "latency", "delay_ms": 200, "jitter_ms": 2000, "probability": 0.5},
    "late-replies": {"kind": "reply_delay", "delay_ms": 6000, "probability": 0.2},
    "lost-requests": {"kind": "request_lost", "probability": 0.3},
    "lost-replies": {"kind": "reply_lost", "probability": 0.3},
    "lost-transfers": {"kind": "reply_lost", "probability": 0.7, **TRANSFERS},
    "errors-before": {"kind": "error_before", "probability": 0.3},
    "errors-after": {"kind": "error_after", "probability": 0.3},
    "empty-bodies": {"kind": "empty_body", "probability": 0.3},
    "empty-objects": {"kind": "empty_object", "probability": 0.3},
    "cut-bodies": {"kind": "cut_body", "probability": 0.3},
    "rate-limits": {"kind": "rate_limit", "probability": 0.1, "retry_after_seconds": 2},
    "bans": {"kind": "rate_limit", "status": 418, "probability": 0.05, "retry_after_seconds": 4},
    "maintenance": {"kind": "maintenance"},
    "stale-reads": {"kind": "stale_reads", "lag_ms": 3000},
    "pending-transfers": {"kind": "pending_transfers"},
    "thin-book": {"kind": "thin_book", "factor": "0.001"},
    "stalled-streams": {"kind": "stream_stalled"},
    "late-streams": {"kind": "stream_late", "delay_ms": 700},
    "repeating-streams": {"kind": "stream_repeated", "probability": 0.5},
    "reordering-streams": {"kind": "stream_reordered", "probability": 0.5},
    "cut-streams": {"kind": "stream_cut", "probability": 0.05},
    "lying-streams": {"kind": "wick", "percent": "-5", "path": "/ws/"},
    "no-funds": {
        "kind": "error_before",
        "status": 400,
        "code": -2010,
        "probability": 0.3,
        **ORDERS,
        "message": "Account has insufficient balance for requested action.",
    },
}


class VenueFault:
    """One fault of the venue at `url`; the seed decides which markets it strikes, if it is one of markets."""

    def __init__(self, name: str, url: str) -> None:
        self.name = f"fault:venue-{name}"
        self._description = FAULTS[name]
        self._of_markets = name in OF_MARKETS
        self._faults = f"{url.rstrip('/')}/paper/faults"
        self._id: int | None = None

    def begin(self, seed: int) -> None:
        """Switch it on. Raises: requests.RequestException."""
        body = {**self._description, "seed": seed}
        if self._of_markets:
            body["symbol"] = random.Random(seed).choice(MARKETS)
        answer = _request("POST", self._faults, json=body)
        self._id = _fault_id(answer.json())

    def end(self) -> None:
        """Switch it off; a venue that was restarted has forgotten it. Raises: requests.RequestException."""
        if self._id is None:
            return
        answer = _request("DELETE", f"{self._faults}/{self._id}", accepted=(404,))
        answer.close()
        self._id = None


def venue_injections(url: str) -> list[Injection]:
    """All faults, if the venue at `url` is one that can be told to have them."""
    try:
        _request("GET", f"{url.rstrip('/')}/paper/faults")
    except requests.RequestException:
        return []
    return [VenueFault(name, url) for name in FAULTS]


def true_prices(url: str) -> dict[str, tuple[Decimal, Decimal]]:
    """Bid and ask by symbol, as they are and not as a fault shows them. Raises: requests.RequestException."""
    answer = _request("GET", f"{url.rstrip('/')}/paper/price")
    return {symbol: (Decimal(top["bid"]), Decimal(top["ask"])) for symbol, top in answer.json().items()}


def shown_prices(url: str) -> dict[str, tuple[Decimal, Decimal]]:
    """Bid and ask by symbol as everybody is shown them, 0 for none. Raises: requests.RequestException."""
    answer = _request("GET", f"{url.rstrip('/')}/api/v3/ticker/bookTicker")
    return {row["symbol"]: (Decimal(row["bidPrice"]), Decimal(row["askPrice"])) for row in answer.json()}


def clear(url: str) -> None:
    """Switch every fault off, as soon as the venue answers. Raises: requests.RequestException."""
    deadline = time.monotonic() + CLEARED_WITHIN_SECONDS
    while True:
        try:
            _request("DELETE", f"{url.rstrip('/')}/paper/faults")
        except requests.RequestException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def _fault_id(answer: Any) -> int:
    [fault] = answer if isinstance(answer, list) else [answer]
    return int(fault["fault_id"])


def _request(method: str, url: str, *, accepted: tuple[int, ...] = (), **body: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, url, timeout=TIMEOUT_SECONDS, **body)
    if answer.status_code not in accepted:
        answer.raise_for_status()
    return answer
