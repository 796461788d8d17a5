"""Options and their prices as customers read them."""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from counter.api.fields import Contracts, Premium, Price, Query, Symbol, Underlying, Usdt, coin, premium, usdt
from counter.contracts import Moment
from counter.market.index_history import History
from counter.market.quotes import CurrentQuote
from counter.models import Option, Quote
from counter.pricing.greeks import Greeks
from ledger.decimals import rounded

GAMMA_UNIT = Decimal("0.0000000001")


class InstrumentQuery(Query, kw_only=True):
    """Filters of instruments and quotes."""

    underlying: Underlying | None = None
    expiry: Annotated[date, Meta(description="Day of expiry, UTC.")] | None = None
    symbol: Symbol | None = None


class QuoteQuery(InstrumentQuery, kw_only=True):
    """Filters of quotes, and for which size they are asked."""

    contracts: Annotated[
        Contracts,
        Meta(
            description="Cost and proceeds are of an order of so many contracts; more than 1 needs `symbol`."
        ),
    ] = 1


class IndexQuery(Query, kw_only=True):
    """Of which coin, and how far back."""

    underlying: Underlying
    span: Annotated[
        Literal["hour", "day", "week"],
        Meta(
            title="IndexSpan",
            description="An hour by minutes, a day by quarters of hours, a week by two hours.",
        ),
    ] = "day"


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
    contracts: Annotated[int, Meta(description="The size that cost and proceeds are for.")]
    cost: Annotated[Usdt, Meta(description="USDT to open `contracts` contracts now, spread included.")] | None
    proceeds: (
        Annotated[Usdt, Meta(description="USDT from closing `contracts` contracts now, spread taken off.")]
        | None
    )
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


Greek = Annotated[str, Meta(examples=["0.512300"])]


class GreeksBody(msgspec.Struct):
    """Sensitivities of a long option on one coin (a contract has `multiplier` of it), at its quote's index and iv.

    Measures of risk, by the model: nothing is paid by them.
    """

    symbol: Symbol
    delta: Annotated[
        Greek, Meta(description="USDT for one USDT of the index, which is coin to hold. 6 decimals.")
    ]
    gamma: Annotated[Greek, Meta(description="Coin: the change of delta for one USDT. 10 decimals.")]
    vega: Annotated[Greek, Meta(description="USDT for one percentage point of volatility. 6 decimals.")]
    theta: Annotated[
        Greek, Meta(description="USDT for a day that passes, negative where it decays. 6 decimals.")
    ]
    implied_volatility: Annotated[
        str, Meta(description="A fraction a year, 6 decimals.", examples=["0.550000"])
    ]
    index_price: Price
    quoted_at: Moment


class GreeksList(msgspec.Struct):
    """Greeks by underlying, expiry and strike."""

    results: list[GreeksBody]


class IndexPoint(msgspec.Struct):
    """The index at the end of a step."""

    at: Moment
    price: Price


class IndexBody(msgspec.Struct):
    """The index of a coin over a span. `price` and `change_24h` are null where what they need was not recorded."""

    underlying: Underlying
    price: Annotated[Price | None, Meta(description="Now: USDT for one coin, 8 decimals.")]
    change_24h: Annotated[
        str | None,
        Meta(
            description="What it is more or less than 24 hours ago: a fraction, 4 decimals.",
            examples=["-0.0125"],
        ),
    ]
    points: list[IndexPoint]


def greeks_body(quote: Quote, known: Greeks) -> GreeksBody:
    """Greeks of a quote, with its option, as customers see them."""
    return GreeksBody(
        symbol=quote.option.symbol,
        delta=usdt(Decimal(repr(known.delta))),
        gamma=f"{rounded(Decimal(repr(known.gamma)), GAMMA_UNIT, ROUND_HALF_EVEN):f}",
        vega=usdt(Decimal(repr(known.vega))),
        theta=usdt(Decimal(repr(known.theta))),
        implied_volatility=usdt(quote.implied_volatility),
        index_price=coin(quote.index_price),
        quoted_at=quote.quoted_at,
    )


def index_body(query: IndexQuery, past: History) -> IndexBody:
    """The index as customers see it."""
    return IndexBody(
        underlying=query.underlying,
        price=None if past.now is None else coin(past.now),
        change_24h=None if past.change is None else f"{past.change:.4f}",
        points=[IndexPoint(point.at, coin(point.price)) for point in past.points],
    )


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
        contracts=current.contracts,
        cost=None if current.cost is None else usdt(current.cost),
        proceeds=None if current.proceeds is None else usdt(current.proceeds),
        quoted_at=quote.quoted_at,
        is_stale=current.is_stale,
        coin_state=current.trading.state.lower() if current.trading.takes_closes else "stopped",  # type: ignore[arg-type]
        coin_reasons=[str(reason) for reason in current.trading.reasons],
    )
