"""The option book as customers hold it: net positions by series, and the risk that the exchange has from them.

One statement reads what is open, off the index of open positions: closed ones and orders, however many, are not read.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeVar

from counter.expiring.index_average import AverageSoFar
from counter.market.model_quotes import averaging_at
from counter.market.quote_greeks import Window, averages_begun
from counter.pricing.black76 import ModelInputInvalid
from counter.pricing.book_risk import Held, Risk, risk_of, total
from counter.pricing.formulas import OptionKind
from infra.db.rows import rows_of

NET = """
    SELECT o.id, o.symbol, o.underlying, o.kind, o.strike, o.expires_at, open.contracts,
           open.contracts * o.multiplier, open.positions, q.implied_volatility, q.index_price, q.forward, q.quoted_at
    FROM (
        SELECT option_id, sum(remaining) AS contracts, count(*) AS positions
        FROM counter_position WHERE state = 'OPEN' GROUP BY option_id
    ) AS open
    JOIN counter_option AS o ON o.id = open.option_id
    LEFT JOIN counter_quote AS q ON q.option_id = o.id
    ORDER BY o.underlying, o.expires_at, o.strike, o.kind
"""
# The series' figures for one contract go in, so that the database adds up and only the largest come back.
CUSTOMERS = """
    SELECT c.id, c.reference, held.contracts, held.value, held.delta, held.vega
    FROM (
        SELECT p.customer_id, sum(p.remaining) AS contracts, sum(p.remaining * v.value) AS value,
               sum(p.remaining * v.delta) AS delta, sum(p.remaining * v.vega) AS vega
        FROM counter_position AS p
        JOIN unnest(%s::bigint[], %s::float8[], %s::float8[], %s::float8[]) AS v(option_id, value, delta, vega)
            USING (option_id)
        WHERE p.state = 'OPEN' GROUP BY p.customer_id
        ORDER BY abs(sum(p.remaining * v.value)) DESC, p.customer_id LIMIT %s
    ) AS held
    JOIN counter_customer AS c ON c.id = held.customer_id
    ORDER BY abs(held.value) DESC, c.id
"""

Key = TypeVar("Key")


class Net(NamedTuple):
    """What all customers hold of one series; the quote's fields are None where it was never quoted."""

    option_id: int
    symbol: str
    underlying: str
    kind: OptionKind
    strike: Decimal
    expires_at: datetime
    contracts: int
    coin: Decimal
    positions: int
    implied_volatility: Decimal | None
    index_price: Decimal | None
    forward: Decimal | None
    quoted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Series:
    """A series that customers hold, with the exchange's risk; neither `held` nor `risk` where it cannot be priced."""

    net: Net
    held: Held | None
    risk: Risk | None


@dataclass(frozen=True, slots=True)
class Largest:
    """A customer with much open: contracts, and the exchange's risk from them in USDT."""

    customer_id: int
    reference: str
    contracts: int
    value: float
    delta: float
    vega: float


@dataclass(frozen=True, slots=True)
class Book:
    """The exchange's option book at one moment. `index` is each coin's newest, USDT, of `quoted_at`."""

    at: datetime
    series: Sequence[Series]
    index: Mapping[str, Decimal]
    quoted_at: Mapping[str, datetime]

    @property
    def held(self) -> list[Held]:
        """What can be priced."""
        return [each.held for each in self.series if each.held is not None]

    @property
    def unpriced(self) -> list[Net]:
        """What is in no figure: expired and not settled yet, never quoted, or its index is a person's to enter."""
        return [each.net for each in self.series if each.risk is None]

    def by_coin(self) -> dict[str, Risk]:
        """The risk of each coin."""
        return self._by(lambda net: net.underlying)

    def by_expiry(self) -> dict[tuple[str, datetime], Risk]:
        """The risk of each coin and expiry."""
        return self._by(lambda net: (net.underlying, net.expires_at))

    def _by(self, key: Callable[[Net], Key]) -> dict[Key, Risk]:
        parts: dict[Key, list[Risk]] = defaultdict(list)
        for each in self.series:
            if each.risk is not None:
                parts[key(each.net)].append(each.risk)
        return {name: total(risks) for name, risks in parts.items()}


def net_positions() -> list[Net]:
    """What customers hold of each series, by coin, expiry, strike and kind: one statement."""
    return [Net(*row) for row in rows_of("default", NET)]


def read_book(*, now: datetime) -> Book:
    """The book at the newest index of each coin, with every series' volatility as it was quoted last.

    One statement, and one more for each moment of expiry whose window has begun.
    """
    nets = net_positions()
    newest = _newest_index(nets, now)
    averages = averages_begun({(net.underlying, net.expires_at) for net in nets}, now=now)
    series = []
    for net in nets:
        held = _held(net, newest, averages, now)
        series.append(Series(net, held, risk_of(held) if held else None))
    return Book(
        at=now,
        series=series,
        index={coin: index for coin, (_, index) in newest.items()},
        quoted_at={coin: quoted_at for coin, (quoted_at, _) in newest.items()},
    )


def _newest_index(nets: Sequence[Net], now: datetime) -> dict[str, tuple[datetime, Decimal]]:
    """By coin, of its living series: when the newest was quoted, and at which index."""
    newest: dict[str, tuple[datetime, Decimal]] = {}
    for net in nets:
        if net.quoted_at and net.index_price and net.expires_at > now:
            quoted = (net.quoted_at, net.index_price)
            newest[net.underlying] = max(newest.get(net.underlying, quoted), quoted)
    return newest


def _held(
    net: Net,
    newest: Mapping[str, tuple[datetime, Decimal]],
    averages: Mapping[Window, AverageSoFar],
    now: datetime,
) -> Held | None:
    """What is held, priced at the index of its coin's newest quote; None where the model has no price for it."""
    if net.underlying not in newest or not (net.index_price and net.implied_volatility):
        return None
    so_far = averages.get((net.underlying, net.expires_at))
    try:
        averaging = averaging_at(expires_at=net.expires_at, now=now, so_far=so_far)
    except ModelInputInvalid:
        return None
    index = float(newest[net.underlying][1])
    return Held(
        symbol=net.symbol,
        underlying=net.underlying,
        kind=net.kind,
        strike=float(net.strike),
        expires_at=net.expires_at,
        contracts=net.contracts,
        coin=float(net.coin),
        index=index,
        forward=index * float(net.forward or net.index_price) / float(net.index_price),
        iv=float(net.implied_volatility),
        averaging=averaging,
    )


def largest_customers(book: Book, *, most: int) -> list[Largest]:
    """The customers whose options are worth most, `most` of them at most."""
    priced = [(each.net, each.risk) for each in book.series if each.risk is not None]
    columns = [
        [net.option_id for net, _ in priced],
        *(
            [getattr(risk, name) / net.contracts for net, risk in priced]
            for name in ("value", "delta", "vega")
        ),
    ]
    return [Largest(*row) for row in rows_of("default", CUSTOMERS, [*columns, most])]
