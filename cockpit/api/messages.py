"""What staff's programs are answered. Amounts are strings with all their digits; measures of risk are numbers."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from counter.contracts import Moment

Usdt = Annotated[str, Meta(description="USDT, every digit.", examples=["125.500000"])]
Amount = Annotated[
    str, Meta(description="Of the asset that is named beside it, every digit.", examples=["1.25"])
]
Day = Annotated[date, Meta(description="A day, UTC.")]


class RiskMeasures(msgspec.Struct):
    """From the exchange's side, USDT, as on the page Risk: measures, from which no amount is booked."""

    value: Annotated[
        float, Meta(description="Of the options; negative: what it would cost to buy them back.")
    ]
    delta: Annotated[
        float, Meta(description="Coin times index: gain for the price doubled, if it were linear.")
    ]
    gamma: Annotated[float, Meta(description="Change of delta for 1 % of the price.")]
    vega: Annotated[float, Meta(description="Gain for one percentage point of volatility.")]
    theta: Annotated[float, Meta(description="Gain for one day that passes.")]


class CoinRisk(msgspec.Struct):
    """Of one coin; `index` is null where nothing of it is held and quoted."""

    coin: str
    contracts: int
    index: Annotated[str | None, Meta(description="USDT for one coin.")]
    risk: RiskMeasures


class ExpiryRisk(msgspec.Struct):
    """Of one coin's options that expire at one moment."""

    coin: str
    expires_at: Moment
    risk: RiskMeasures


class SeriesRisk(msgspec.Struct):
    """Of one series; `risk` is null where it cannot be priced, and it is in no sum then."""

    symbol: str
    coin: str
    expires_at: Moment
    contracts: Annotated[
        int, Meta(description="That customers hold, net of nothing: they hold options only long.")
    ]
    risk: RiskMeasures | None


class ScenarioGrid(msgspec.Struct):
    """Gain of the book in USDT if prices and volatilities moved at once: a row for each move of volatilities."""

    coin: Annotated[str | None, Meta(description="Null: all coins, moving alike.")]
    price_moves: Annotated[list[float], Meta(description="As fractions, a column each.")]
    volatility_moves: Annotated[list[float], Meta(description="As fractions, a row each.")]
    gains: list[list[float]]


class SizeCharged(msgspec.Struct):
    """What a coin charges an order's size by: delta, vega or premium; where the book stands, and its depth."""

    coin: str
    measure: str
    at: Usdt
    depth: Usdt


class BookRiskBody(msgspec.Struct):
    """The option book's risk at one moment."""

    at: Moment
    in_all: RiskMeasures
    coins: list[CoinRisk]
    expiries: list[ExpiryRisk]
    series: list[SeriesRisk]
    scenarios: list[ScenarioGrid]
    size: list[SizeCharged]


class AccountBalance(msgspec.Struct):
    """One account of the desk's book, positive on its normal side."""

    account: str
    asset: str
    amount: Amount


class WalletBand(msgspec.Struct):
    """By the desk's book: what is in the venue's trading wallet and in reserve, and the band of the former."""

    asset: str
    trading: Amount
    reserve: Amount
    low: Amount
    target: Amount
    high: Amount


class LadderRung(msgspec.Struct):
    """An expiry: what its options are worth at the marks, and what they would pay at this index."""

    coin: str
    expires_at: Moment
    contracts: int
    worth: Usdt
    payout: Usdt


class BalancesBody(msgspec.Struct):
    """What the exchange owes and what it holds at one moment, from both books."""

    at: Moment
    owed: Usdt
    customer_balances: Usdt
    withdrawals_reserved: Usdt
    options: Usdt
    held: Usdt
    cash_at_counter: Usdt
    cash_at_desk: Usdt
    at_venue: Usdt
    without_price: Annotated[list[str], Meta(description="Assets that are held and in no sum.")]
    accounts: list[AccountBalance]
    wallets: list[WalletBand]
    ladder: list[LadderRung]


class DayFile(msgspec.Struct):
    """One file of a day: the address of each format."""

    name: str
    csv: str
    parquet: Annotated[str | None, Meta(description="Null where the extra `parquet` is not installed.")]


class ClosedDay(msgspec.Struct):
    """A day that two people have closed, and the digest of what they closed."""

    day: Day
    sha256: str
    made_by: str
    made_at: Moment
    closed_by: str
    closed_at: Moment
    note: Annotated[str, Meta(description="Of who closed it, on what the venue told otherwise.")]


class ClosedDays(msgspec.Struct):
    """The newest first; `next_before` asks for what came before them, null on the last page."""

    results: list[ClosedDay]
    next_before: Day | None


class DayAccount(msgspec.Struct):
    """One account on one day, positive on its normal side (`D` or `C`)."""

    book: str
    account: str
    asset: str
    opening: Amount
    debits: Amount
    credits: Amount
    closing: Amount
    normal_side: str


class DayTrial(msgspec.Struct):
    """The trial balance of one asset of one book; `difference` is zero."""

    book: str
    asset: str
    debits: Amount
    credits: Amount
    difference: Amount


class DayResult(msgspec.Struct):
    """What one cause brought of one coin; gains are positive."""

    cause: str
    coin: str
    asset: str
    amount: Amount


class CustomerResult(msgspec.Struct):
    """What one customer brought of one coin; gains are positive."""

    customer: str
    coin: str
    asset: str
    amount: Amount


class CustomerCost(msgspec.Struct):
    """Slippage, fees or rounding of one customer's orders of one coin; gains of the desk are positive.

    Without a customer what no order has a share of: with it each cause adds up to its legs in every asset.
    """

    customer: str
    coin: str
    cause: str
    asset: str
    amount: Amount


class VenueTold(msgspec.Struct):
    """Whether the venue has told a coin's trades of the day, and how many of them and our fills differ."""

    coin: str
    outcome: Annotated[
        str,
        Meta(
            description="TOLD; SILENT: it did not answer; GONE: no longer available; else it was not asked."
        ),
    ]
    why: str
    differences: Annotated[int, Meta(description="0 as well where it has not told: then nobody knows.")]
    unexplained: int


class VenueSum(msgspec.Struct):
    """A sum over a coin's trades of the day: how many, coin, USDT, fees."""

    coin: str
    what: str
    at_venue: Amount
    booked: Amount


class VenueLine(msgspec.Struct):
    """A trade that is not booked, not at the venue, or differs; the first thousand of a day."""

    coin: str
    venue_trade_id: str
    what: str
    at_venue: str
    booked: str
    explained: str


class ClosedDayBody(msgspec.Struct):
    """A closed day with all that was closed, and its files."""

    closed: ClosedDay
    accounts: list[DayAccount]
    trial: list[DayTrial]
    results: list[DayResult]
    customers: list[CustomerResult]
    costs: list[CustomerCost]
    venue: list[VenueTold]
    venue_sums: list[VenueSum]
    venue_lines: list[VenueLine]
    files: list[DayFile]
