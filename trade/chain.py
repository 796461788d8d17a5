"""The chain of one coin and expiry as it is shown: calls left, puts right, a row for each strike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from counter.containment import State
from counter.market.quotes import CurrentQuote, current_quotes, tradable_options
from counter.models import Option
from counter.trading.trading_status import Trading, trading_by_coin
from trade import words


@dataclass(frozen=True, slots=True)
class Side:
    """An option of a row: USDT for one contract bought, and brought by one that is closed."""

    symbol: str
    cost: Decimal | None
    proceeds: Decimal | None
    is_stale: bool
    is_halted: bool


@dataclass(slots=True)
class Row:
    """One strike; a side is None where there is no such option or no quote of it yet."""

    strike: Decimal
    call: Side | None = None
    put: Side | None = None
    is_at_the_money: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """`index` is USDT for one coin, None before the first price; `notice` is what is unusual about the coin."""

    coin: str
    expiry: date | None
    rows: list[Row]
    index: Decimal | None
    notice: str
    is_halted: bool
    oldest_seconds: int | None  # of a price that is too old to trade on
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
    newest = max(quotes, key=lambda quoted: quoted.quote.quoted_at, default=None)
    index = None if newest is None else newest.quote.index_price
    stale = [quoted.quote.quoted_at for quoted in quotes if quoted.is_stale]
    return Chain(
        coin=coin,
        expiry=expiry,
        rows=_rows(quotes, index),
        index=index,
        notice=words.notice(coin, trading),
        is_halted=trading.state is State.HALTED,
        oldest_seconds=int((now - min(stale)).total_seconds()) if stale else None,
        at=now,
    )


def _rows(quotes: Sequence[CurrentQuote], index: Decimal | None) -> list[Row]:
    rows: dict[Decimal, Row] = {}
    for quoted in quotes:
        option = quoted.quote.option
        row = rows.setdefault(option.strike, Row(option.strike))
        if option.kind == Option.Kind.CALL:
            row.call = _side(quoted)
        else:
            row.put = _side(quoted)
    if rows and index is not None:
        middle = index
        min(rows.values(), key=lambda row: abs(row.strike - middle)).is_at_the_money = True
    return list(rows.values())


def _side(quoted: CurrentQuote) -> Side:
    option = quoted.quote.option
    is_halted = option.state == Option.State.HALTED
    return Side(
        symbol=option.symbol,
        cost=None if is_halted else quoted.cost,
        proceeds=quoted.proceeds,
        is_stale=quoted.is_stale,
        is_halted=is_halted,
    )
