"""Present prices as they are sent: read and encoded once for all who listen."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from counter.api.market_messages import quote_body
from counter.market.quotes import current_quotes
from counter.stream.messages import QuotesChange, event


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which quotes a listener asked for; None is any."""

    underlying: str | None = None
    expiry: date | None = None
    symbols: frozenset[str] | None = None

    def coins(self) -> set[str | None]:
        """The coins to read for it; None for all of them."""
        if self.underlying is None and self.symbols is not None:
            return {symbol.partition("-")[0] for symbol in self.symbols}
        return {self.underlying}

    def takes(self, posted: "Posted") -> bool:
        """Whether a quote is among them."""
        return (
            self.underlying in (None, posted.underlying)
            and self.expiry in (None, posted.expiry)
            and (self.symbols is None or posted.symbol in self.symbols)
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """A quote as it is sent."""

    symbol: str
    underlying: str
    expiry: date
    body: bytes


class QuoteBoard:
    """The quotes of the last reading, and what differed from the one before."""

    def __init__(self) -> None:
        self._posted: dict[str, Posted] = {}
        self._changed: list[Posted] = []
        self._gone: list[Posted] = []
        self._made: dict[tuple[Wanted, bool], bytes | None] = {}

    def read(self, wanted: Iterable[Wanted], *, now: datetime) -> None:
        """Read the quotes that somebody asked for. Raises: database errors."""
        coins = set().union(*(each.coins() for each in wanted))
        posted = {
            each.symbol: each for coin in ({None} if None in coins else coins) for each in _posted(coin, now)
        }
        before = self._posted
        self._changed = [each for each in posted.values() if each != before.get(each.symbol)]
        self._gone = [each for symbol, each in before.items() if symbol not in posted]
        self._posted = posted
        self._made.clear()

    def whole(self, wanted: Wanted) -> bytes:
        """An event of all quotes asked for."""
        if (wanted, True) not in self._made:
            self._made[wanted, True] = _event(filter(wanted.takes, self._posted.values()), ())
        return self._made[wanted, True] or b""

    def change(self, wanted: Wanted) -> bytes | None:
        """An event of what the last reading found changed; None when that is nothing."""
        if (wanted, False) not in self._made:
            changed, gone = (
                [each for each in all_ if wanted.takes(each)] for all_ in (self._changed, self._gone)
            )
            self._made[wanted, False] = _event(changed, gone) if changed or gone else None
        return self._made[wanted, False]


def _posted(coin: str | None, now: datetime) -> list[Posted]:
    return [
        Posted(
            current.quote.option.symbol,
            current.quote.option.underlying,
            current.quote.option.expires_at.date(),
            msgspec.json.encode(quote_body(current)),
        )
        for current in current_quotes(now=now, underlying=coin)
    ]


def _event(changed: Iterable[Posted], gone: Iterable[Posted]) -> bytes:
    results = [msgspec.Raw(each.body) for each in changed]
    return event("quotes", QuotesChange(results, [each.symbol for each in gone]))
