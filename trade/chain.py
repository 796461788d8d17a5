"""The chain of one coin and expiry as it is shown: calls left, puts right, a row for each strike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from counter.circuit_breaker import State
from counter.market.quote_greeks import greeks_by_option
from counter.market.quotes import CurrentQuote, current_quotes, tradable_options
from counter.models import Option, Quote
from counter.pricing.greeks import Greeks
from counter.trading.status import Trading, terms, trading_by_coin
from infra.coordination.ages import age
from trade import customer_texts, numbers
from trade.customer_texts import Prices


@dataclass(frozen=True, slots=True)
class Side:
    """An option of a row: USDT for one contract bought, and brought by one that is closed; None where it cannot be.

    `shrinks`: closing brings less with every second, for its price is old.
    """

    symbol: str
    cost: Decimal | None
    proceeds: Decimal | None
    shrinks: bool
    is_halted: bool
    volatility: str  # implied, as 45 %
    delta: str  # of a long option on one coin, -1 to 1; empty where there is none


@dataclass(slots=True)
class Row:
    """One strike; a side is None where there is no such option or no quote of it yet."""

    strike: Decimal
    call: Side | None = None
    put: Side | None = None
    is_at_the_money: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """`index` is USDT for one coin, None before the first price; `notice` is what is unusual about the coin.

    `some_are_old`: not all prices are as new as the newest; the old ones are not shown.
    """

    coin: str
    expiry: date | None
    rows: list[Row]
    index: Decimal | None
    notice: str
    is_bad: bool
    ends: str  # in how long it expires
    some_are_old: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be chosen: coins, and the expiries of the chosen one."""

    coins: list[str]
    coin: str
    expiries: list[date] = field(default_factory=list)
    expiry: date | None = None


def offer(*, coin: str | None, expiry: date | None, coins: Sequence[str], now: datetime) -> Offer:
    """The coin and expiry asked for, or the first ones there are in place of what is not offered."""
    chosen = coin if coin is not None and coin in coins else coins[0]
    times = (
        tradable_options(now=now, underlying=chosen)
        .order_by("expires_at")
        .values_list("expires_at", flat=True)
        .distinct()
    )
    expiries = [time.date() for time in times]
    nearest = expiries[0] if expiries else None
    return Offer(list(coins), chosen, expiries, expiry if expiry in expiries else nearest)


def chain_of(*, coin: str, expiry: date | None, now: datetime) -> Chain:
    """Prices of all options of a coin that expire on a day."""
    quotes = [] if expiry is None else current_quotes(now=now, underlying=coin, expiry=expiry)
    trading = quotes[0].trading if quotes else trading_by_coin(now=now).get(coin, Trading())
    newest = max((quoted.quote for quoted in quotes), key=lambda quote: quote.quoted_at, default=None)
    index = None if newest is None else newest.index_price
    prices, seconds = Prices.FRESH, 0
    if newest is not None:
        prices, seconds = _age_of(newest, now)
    return Chain(
        coin=coin,
        expiry=expiry,
        rows=_rows(quotes, index, greeks_by_option([quoted.quote for quoted in quotes], now=now)),
        index=index,
        notice=customer_texts.notice(coin, trading, prices=prices, seconds=seconds),
        is_bad=trading.state is State.HALTED or prices is not Prices.FRESH,
        ends=customer_texts.until(quotes[0].quote.option.expires_at - now) if quotes else "",
        some_are_old=prices is Prices.FRESH and any(quoted.is_stale for quoted in quotes),
        at=now,
    )


def _age_of(newest: Quote, now: datetime) -> tuple[Prices, int]:
    """What the newest price of a coin is good for, and its age in seconds."""
    current, old = terms(), age(newest.quoted_at, now=now)
    seconds = int(old.total_seconds())
    if old <= current.stale_after:
        return Prices.FRESH, seconds
    return (Prices.OLD if old <= current.close_stale_after else Prices.GONE), seconds


def _rows(quotes: Sequence[CurrentQuote], index: Decimal | None, known: Mapping[int, Greeks]) -> list[Row]:
    rows: dict[Decimal, Row] = {}
    for quoted in quotes:
        option = quoted.quote.option
        row = rows.setdefault(option.strike, Row(option.strike))
        if option.kind == Option.Kind.CALL:
            row.call = _side(quoted, known.get(option.pk))
        else:
            row.put = _side(quoted, known.get(option.pk))
    if rows and index is not None:
        middle = index
        min(rows.values(), key=lambda row: abs(row.strike - middle)).is_at_the_money = True
    return list(rows.values())


def _side(quoted: CurrentQuote, greeks: Greeks | None) -> Side:
    option = quoted.quote.option
    is_halted = option.state == Option.State.HALTED
    return Side(
        symbol=option.symbol,
        cost=None if is_halted or quoted.is_stale else quoted.cost,
        proceeds=quoted.proceeds,
        shrinks=quoted.is_stale and quoted.proceeds is not None,
        is_halted=is_halted,
        volatility="" if quoted.is_stale else numbers.percent(quoted.quote.implied_volatility),
        delta="" if greeks is None or quoted.is_stale else numbers.share(Decimal(repr(greeks.delta))),
    )
