"""Options and their prices as customers read them."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counter.api.fields import Premium, Price, Query, Symbol, Underlying, Usdt, coin, premium, usdt
from counter.contracts import Moment
from counter.market.quotes import CurrentQuote
from counter.models import Option


class InstrumentQuery(Query, kw_only=True):
    """Filters of instruments and quotes."""

    underlying: Underlying | None = None
    expiry: Annotated[date, Meta(description="Day of expiry, UTC.")] | None = None
    symbol: Symbol | None = None


class Instrument(msgspec.Struct):
    """An option that has not expired; `halted` ones can be closed but not opened."""

    symbol: Symbol
    underlying: Underlying
    kind: Annotated[Literal["C", "P"], Meta(title="OptionKind", description="Call or put.")]
    strike: Price
    expires_at: Moment
    multiplier: Annotated[str, Meta(description="Coin in one contract, 8 decimals.", examples=["0.01000000"])]
    state: Annotated[Literal["listed", "halted"], Meta(title="InstrumentState")]


class InstrumentList(msgspec.Struct):
    """Instruments by underlying, expiry and strike."""

    results: list[Instrument]


class QuoteBody(msgspec.Struct):
    """What an option costs and brings now, at the price that an order would get.

    A stale quote is shown. Opens on it are refused, closes are taken for a while at proceeds that grow smaller.
    """

    symbol: Symbol
    bid: Premium | None
    ask: Premium | None
    mark: Premium
    implied_volatility: Annotated[
        str, Meta(description="A fraction a year, 6 decimals.", examples=["0.550000"])
    ]
    index_price: Price
    cost: Annotated[Usdt, Meta(description="One contract opened now, spread included: USDT.")] | None
    proceeds: Annotated[Usdt, Meta(description="One contract closed now, spread taken off: USDT.")] | None
    quoted_at: Moment
    is_stale: bool
    coin_state: Annotated[
        Literal["normal", "wide", "halted", "stopped"],
        Meta(
            title="CoinState",
            description="wide: at a wider spread. halted: closes only, at the coin's spread. stopped: no orders.",
        ),
    ]
    coin_reasons: Annotated[list[str], Meta(description="Stable codes; empty while normal.")]


class QuoteList(msgspec.Struct):
    """Quotes by underlying, expiry and strike."""

    results: list[QuoteBody]


def instrument(option: Option, *, is_halted: bool) -> Instrument:
    """An option as customers see it; `is_halted` is said of its coin."""
    return Instrument(
        symbol=option.symbol,
        underlying=option.underlying,
        kind=option.kind,  # type: ignore[arg-type]
        strike=coin(option.strike),
        expires_at=option.expires_at,
        multiplier=coin(option.multiplier),
        state="halted" if is_halted else option.state.lower(),
    )


def quote_body(current: CurrentQuote) -> QuoteBody:
    """A quote as customers see it."""
    quote = current.quote
    return QuoteBody(
        symbol=quote.option.symbol,
        bid=None if quote.bid is None else premium(quote.bid),
        ask=None if quote.ask is None else premium(quote.ask),
        mark=premium(quote.mark),
        implied_volatility=usdt(quote.implied_volatility),
        index_price=coin(quote.index_price),
        cost=None if current.cost is None else usdt(current.cost),
        proceeds=None if current.proceeds is None else usdt(current.proceeds),
        quoted_at=quote.quoted_at,
        is_stale=current.is_stale,
        coin_state=current.trading.state.lower() if current.trading.takes_closes else "stopped",  # type: ignore[arg-type]
        coin_reasons=[str(reason) for reason in current.trading.reasons],
    )
