"""What customers gained from prices that were not true: each of their trades held against the true index.

Invariant: an open never costs less, and a close or an exercise never brings more, than the option was worth at some
true price of the time for which a quote may be used. What goes beyond that was made of a bad price. The worth is the
model's own, with no spread, at true prices (`true_prices`); so honest trades have their spread as a margin.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from django.conf import settings
from django.db import connections

from counter.expiring.index_average import MINUTE, WINDOW, AverageSoFar, Sample, average_of
from counter.expiring.index_record import averages_so_far
from counter.market.model_quotes import model_quote
from counter.market.volatility import DEFAULT_SURFACE, VolatilityError
from counter.models import IndexPrice
from counter.pricing.black76 import ModelInputInvalid
from counter.pricing.formulas import OptionKind
from ledger.decimals import calculating, quotient, rounded
from tools.chaos.adversary import Attempt
from tools.chaos.true_prices import TruePrices, middle
from tools.demo.figures import Start

# What customers may gain altogether, as a share of what they traded: a book that stands still for some seconds, or
# moves no faster than the market may, cannot be told from the market, and is worth that little.
MOST_GAIN_RATE = Decimal("0.0001")
# From the reading of a book to the quote's time, and from the quote to the order.
READ_WITHIN_SECONDS, DECIDED_WITHIN_SECONDS = 3.0, 1.0
PREMIUM_UNIT = Decimal("0.000001")
ZERO, CENT = Decimal(0), Decimal("0.01")
TRADES = """
    SELECT s.id, s.client_order_id, s.kind, s.payout, s.contracts, s.amount, s.placed_at, s.settled_at,
           o.symbol, o.underlying, o.kind, o.strike, o.expires_at, o.multiplier
    FROM counter_syncorder AS s JOIN counter_option AS o ON o.id = s.option_id WHERE s.id > %s ORDER BY s.id
"""


class Series(NamedTuple):
    """An option's terms."""

    symbol: str
    underlying: str
    kind: OptionKind
    strike: Decimal
    expires_at: datetime
    multiplier: Decimal


class Trade(NamedTuple):
    """An order that was carried out: `amount` was paid (OPEN) or received (CLOSE, EXERCISE), USDT."""

    id: int
    client_order_id: str
    kind: str
    payout: str
    contracts: int
    amount: Decimal
    placed_at: datetime
    settled_at: datetime | None
    series: Series

    @property
    def coin(self) -> Decimal:
        """Coin of the underlying that it is about."""
        return self.contracts * self.series.multiplier


@dataclass(slots=True)
class Gain:
    """USDT of all customers, and of the adversaries among them.

    `at_true_index`: what they gained or, below zero, paid in spreads, at the true index of each trade's moment.
    `beyond`: what they gained beyond each true price of the time for which their quote may have been used.
    """

    trades: int = 0
    traded: Decimal = ZERO
    at_true_index: Decimal = ZERO
    beyond: Decimal = ZERO
    of_adversaries: Decimal = ZERO
    adversaries_trades: int = 0
    adversaries_traded: Decimal = ZERO
    attempts: int = 0
    at_stake: Decimal = ZERO  # what the adversaries' attempts would have brought at what the venue showed
    unvalued: int = 0
    rows: list[str] = field(default_factory=list)

    @property
    def bound(self) -> Decimal:
        """What `beyond` may be at most."""
        return rounded(self.traded * MOST_GAIN_RATE, CENT, ROUND_HALF_EVEN)

    @property
    def is_none(self) -> bool:
        """Whether nothing was gained beyond the bound, by anybody, and the adversaries gained nothing at all."""
        return self.beyond <= self.bound and self.at_true_index <= ZERO and self.of_adversaries <= ZERO


class Worth:
    """What options are worth at true prices."""

    def __init__(self, prices: TruePrices) -> None:
        self.prices = prices
        self._averages: dict[tuple[str, datetime, int], AverageSoFar | None] = {}

    def of(self, series: Series, index: Decimal, at: datetime) -> Decimal | None:
        """USDT for one coin at an index; None when the model has no price for it."""
        so_far = None
        if at >= series.expires_at - WINDOW:
            so_far = self._so_far(series, at)
            if so_far is None:
                return None
        try:
            quote = model_quote(
                underlying=series.underlying,
                kind=series.kind,
                strike=series.strike,
                expires_at=series.expires_at,
                index=index,
                surface=DEFAULT_SURFACE,
                now=at,
                so_far=so_far,
            )
        except (ModelInputInvalid, VolatilityError):
            return None
        return quote.mark * index

    def range(self, series: Series, since: datetime, until: datetime, at: datetime) -> Sequence[Decimal]:
        """The least and the most that one coin of it was worth from `since` on, USDT; empty when that is not known.

        The worth rises or falls with the index, and with time: the ends of both are enough. A premium's rounding is
        added on either side.
        """
        low, high = self.prices.range(series.underlying, since, until)
        worths = [self.of(series, index, moment) for index in (low, high) for moment in (since, at)]
        found = [worth for worth in worths if worth is not None]
        if len(found) < len(worths):
            return ()
        unit = PREMIUM_UNIT * high
        return min(found) - unit, max(found) + unit

    def _so_far(self, series: Series, at: datetime) -> AverageSoFar | None:
        key = series.underlying, series.expires_at, int(at.timestamp())
        if key not in self._averages:
            found = averages_so_far([series.underlying], expires_at=series.expires_at, now=at)
            self._averages[key] = found[series.underlying]
        return self._averages[key]


@calculating()
def measure(
    *,
    start: Start,
    prices: TruePrices,
    adversaries: set[str],
    attempts: Sequence[Attempt],
    watched_from: datetime,
) -> Gain:
    """Hold every trade since `start` against the true index; `adversaries` are client order ids."""
    gain, worth = Gain(), Worth(prices)
    settled = _SettlementIndexes(prices, watched_from)
    for trade in _trades(start):
        gain.trades += 1
        gain.traded += trade.amount
        if trade.kind == "EXERCISE":
            edge, beyond = _exercised(trade, settled)
        else:
            valued = _opened(trade, worth) if trade.kind == "OPEN" else _closed(trade, worth)
            if valued is None:
                gain.unvalued += 1
                continue
            edge, beyond = valued
        gain.at_true_index += edge
        if trade.client_order_id in adversaries:
            gain.of_adversaries += edge
            gain.adversaries_trades += 1
            gain.adversaries_traded += trade.amount
        if beyond > ZERO:
            gain.beyond += beyond
            gain.rows.append(
                f"order {trade.id}: {trade.kind} {trade.contracts} {trade.series.symbol} {trade.payout} at "
                f"{trade.placed_at:%H:%M:%S.%f} for {trade.amount}, {beyond:.2f} beyond any true price"
            )
    gain.attempts = len(attempts)
    gain.at_stake = _at_stake(attempts, worth)
    return gain


def _trades(start: Start) -> Iterator[Trade]:
    with connections["default"].cursor() as cursor:
        cursor.execute(TRADES, [start.order_id])
        for row in cursor.fetchall():
            yield Trade._make((*row[:8], Series._make(row[8:])))


def _opened(trade: Trade, worth: Worth) -> tuple[Decimal, Decimal] | None:
    """(gain at the true index, gain beyond any true price) of an open."""
    since = trade.placed_at - _seconds(settings.QUOTE_STALE_AFTER_SECONDS + READ_WITHIN_SECONDS)
    now = worth.of(trade.series, worth.prices.at(trade.series.underlying, trade.placed_at), trade.placed_at)
    possible = worth.range(
        trade.series, since, trade.placed_at + _seconds(DECIDED_WITHIN_SECONDS), trade.placed_at
    )
    if now is None or not possible:
        return None
    return now * trade.coin - trade.amount, possible[0] * trade.coin - trade.amount


def _closed(trade: Trade, worth: Worth) -> tuple[Decimal, Decimal] | None:
    """The same of a close; one that is paid at fill sells its coin until it is settled."""
    series, placed_at = trade.series, trade.placed_at
    if trade.payout == "at_fill" and trade.settled_at is None:
        return ZERO, ZERO
    since = placed_at - _seconds(settings.CLOSE_STALE_AFTER_SECONDS + READ_WITHIN_SECONDS)
    until = placed_at + _seconds(DECIDED_WITHIN_SECONDS)
    now = worth.of(series, worth.prices.at(series.underlying, placed_at), placed_at)
    possible = worth.range(series, since, until, placed_at)
    if now is None or not possible:
        return None
    most = possible[1]
    if trade.payout == "at_fill" and trade.settled_at is not None:
        low, _ = worth.prices.range(series.underlying, since, until)
        _, high = worth.prices.range(series.underlying, placed_at, trade.settled_at)
        most *= _ratio(high, low)
    return trade.amount - now * trade.coin, trade.amount - most * trade.coin


class _SettlementIndexes:
    """The averages that settle options, made of true prices from `watched_from` on and of the record before."""

    def __init__(self, prices: TruePrices, watched_from: datetime) -> None:
        self.prices = prices
        self._watched_from = watched_from
        self._found: dict[tuple[str, datetime], tuple[Decimal, Decimal, Decimal]] = {}

    def of(self, coin: str, expires_at: datetime) -> tuple[Decimal, Decimal, Decimal]:
        """The lowest that the average can be of some true prices of each minute, that of all, and the highest."""
        if (coin, expires_at) not in self._found:
            self._found[coin, expires_at] = self._make(coin, expires_at)
        return self._found[coin, expires_at]

    def _make(self, coin: str, expires_at: datetime) -> tuple[Decimal, Decimal, Decimal]:
        begins_at = expires_at - WINDOW
        rows = IndexPrice.objects.filter(underlying=coin, at__gte=begins_at, at__lt=expires_at)
        recorded = [Sample(*row) for row in rows.values_list("at", "price")]
        # A minute without a record has no weight, however true its prices were.
        minutes = {(sample.at - begins_at) // MINUTE for sample in recorded}
        samples = [sample for sample in recorded if sample.at < self._watched_from]
        samples += [
            Sample(at, price)
            for at, price in self.prices.samples(coin, self._watched_from, expires_at)
            if (at - begins_at) // MINUTE in minutes
        ]
        by_minute: dict[int, list[Sample]] = {}
        for sample in samples:
            by_minute.setdefault((sample.at - begins_at) // MINUTE, []).append(sample)
        lowest, highest = (
            average_of(
                [pick(those, key=lambda sample: sample.price) for those in by_minute.values()],
                expires_at=expires_at,
            ).price
            for pick in (min, max)
        )
        middle_one = average_of(samples, expires_at=expires_at).price
        return lowest or ZERO, middle_one or ZERO, highest or ZERO


def _exercised(trade: Trade, settled: _SettlementIndexes) -> tuple[Decimal, Decimal]:
    low, true, high = settled.of(trade.series.underlying, trade.series.expires_at)
    best = high if trade.series.kind == "C" else low
    most = _payoff(trade, best)
    if trade.payout == "at_fill":
        if trade.settled_at is None:
            return ZERO, ZERO
        _, sold_at = settled.prices.range(trade.series.underlying, trade.placed_at, trade.settled_at)
        most *= _ratio(sold_at, low)
    return trade.amount - _payoff(trade, true), trade.amount - most


def _payoff(trade: Trade, index: Decimal) -> Decimal:
    sign = 1 if trade.series.kind == "C" else -1
    return max(sign * (index - trade.series.strike), ZERO) * trade.coin


def _at_stake(attempts: Sequence[Attempt], worth: Worth) -> Decimal:
    """What the attempts would have brought if options had been priced at the middle of the books that were shown."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT symbol, underlying, kind, strike, expires_at, multiplier FROM counter_option")
        series = {row[0]: Series(*row) for row in cursor.fetchall()}
    total = ZERO
    for attempt in attempts:
        for symbols, sign in ((attempt.symbols, 1), (attempt.sold, -1)):
            for symbol in symbols:
                total += _stake(series[symbol], attempt, sign, worth)
    return total


def _stake(series: Series, attempt: Attempt, sign: int, worth: Worth) -> Decimal:
    shown = attempt.shown.get(f"{series.underlying}USDT")
    if shown is None or series.expires_at <= attempt.at or not (odd := middle(*shown)):
        return ZERO
    true = worth.of(series, worth.prices.at(series.underlying, attempt.at), attempt.at)
    wrong = worth.of(series, odd, attempt.at)
    if true is None or wrong is None:
        return ZERO
    return max(sign * (true - wrong), ZERO) * attempt.contracts * series.multiplier


def _ratio(high: Decimal, low: Decimal) -> Decimal:
    """By how much a coin may have risen; 1 if it has fallen. Rounded up."""
    return max(quotient(high, low, unit=PREMIUM_UNIT, rounding=ROUND_CEILING), Decimal(1))


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
