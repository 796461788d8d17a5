"""A bookkeeper of dictionaries and fractions that decides orders one at a time, and shares no code with counter."""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from django.conf import settings

RATE, WIDE_RATE = Fraction(settings.SPREAD_RATE), Fraction(settings.WIDE_SPREAD_RATE)
# Of a close at a price that is a microsecond older than its limit.
STALE_RATE = Fraction(
    ceil(WIDE_RATE * (1 + Fraction(1, int(settings.QUOTE_STALE_AFTER_SECONDS * 10**6))) ** 2 * 10**6), 10**6
)
# The first customer may place four orders at once, the second may have little open.
PACE, CONTRACTS, NOTIONAL = {0: 4}, {1: 3}, {0: Fraction(110)}


MEASURES = ("delta", "vega", "premium")
MICRO = Fraction(1, 10**6)
TOLERANCE, AT_FILL_TOLERANCE = Fraction(settings.PRICE_TOLERANCE_RATE), Fraction("0.02")


@dataclass(frozen=True)
class SizeCharge:
    """What a coin charges for size: by measure the depth (USDT) or None, the rate, and the most of an order's worth."""

    depths: dict[str, Fraction | None]
    rates: dict[str, Fraction]
    most: Fraction

    def of(self, at: dict[str, Fraction], flow: dict[str, Fraction], index: Fraction, worth: Fraction):
        """The integral of the price by its pieces: between the points where it bends it is a trapezoid."""
        total = Fraction(0)
        for name, moved in flow.items():
            unit = 1 if name == "vega" else index
            depth, rate, start, length = self.depths[name], self.rates[name], at[name] * unit, moved * unit
            if not depth or not length:
                continue
            most, end = self.most * worth / abs(length), start + length

            def price(x, *, up=length > 0, slope=rate / depth, most=most):
                return min(max(x if up else -x, Fraction(0)) * slope, most)

            bend = most * depth / rate
            points = sorted(
                {start, end} | {x for x in (0, bend, -bend) if min(start, end) < x < max(start, end)}
            )
            part = sum((b - a) * (price(a) + price(b)) / 2 for a, b in pairwise(points))
            total += ceil(part / MICRO) * MICRO
        return total


@dataclass(frozen=True)
class Ask:
    """One order as generated: customer and option by number; a position by the id of the order that opened it."""

    customer: int
    client_order_id: str
    option: int | None = None
    opened_by: str | None = None
    by_id: bool = False
    contracts: int | None = None
    limit: Decimal | None = None
    payout: str = "instant"
    quote: int | None = None


@dataclass
class Held:
    """What the reference knows of a position."""

    option: int
    contracts: int
    cost: Fraction
    remaining: int
    unpaid: int = 0
    proceeds: Fraction = Fraction(0)

    @property
    def open_cost(self) -> Fraction:
        return Fraction(floor(self.cost * self.remaining / self.contracts * 10**6), 10**6)


@dataclass
class Promise:
    """What the reference knows of a firm quote: for whom, for what, at which coin and amount."""

    customer: int
    option: int
    position: tuple[int, str] | None
    contracts: int
    coin: Fraction
    amount: Fraction
    premium: Fraction
    is_expired: bool = False
    is_used: bool = False


@dataclass
class Series:
    """What the reference knows of an option."""

    symbol: str
    multiplier: Fraction
    bid: Fraction | None
    ask: Fraction | None
    index: Fraction
    rate: Fraction = RATE
    is_stale: bool = False
    is_halted: bool = False
    is_coin_halted: bool = False
    coin: str = "BTC"
    delta: Fraction = Fraction(0)
    vega: Fraction = Fraction(0)

    def flow(self, contracts: int, premium: Fraction) -> dict[str, Fraction]:
        """How an open moves the exchange's book; a close, of contracts below 0, the other way."""
        held = contracts * self.multiplier
        return {"delta": -held * self.delta, "vega": -held * self.vega, "premium": held * premium}


@dataclass
class Bookkeeper:
    """Decides orders one at a time."""

    series: list[Series]
    balances: dict[int, Fraction]
    contents: dict[tuple[int, str], tuple] = field(default_factory=dict)
    answers: dict[tuple[int, str], tuple] = field(default_factory=dict)
    positions: dict[tuple[int, str], Held] = field(default_factory=dict)
    promises: list[Promise] = field(default_factory=list)
    charges: dict[str, SizeCharge] = field(default_factory=dict)
    books: dict[str, dict[str, Fraction]] = field(default_factory=dict)

    def charge(self, customer: int, series: Series, contracts: int, premium: Fraction, *, at_fill=False):
        """What an order is charged for its size, as if its customer had used the promises that are left."""
        if series.coin not in self.charges:
            return Fraction(0)
        flow, at = series.flow(contracts, premium), dict(self.books[series.coin])
        if at_fill:
            flow = {**flow, "premium": Fraction(0)}
        for promise in self.promises:
            other = self.series[promise.option]
            if (
                promise.customer != customer
                or promise.is_used
                or promise.is_expired
                or other.coin != series.coin
            ):
                continue
            held = promise.contracts if promise.position is None else -promise.contracts
            for name, moved in other.flow(held, promise.premium).items():
                if (moved > 0) == (flow[name] > 0):
                    at[name] += moved
        worth = abs(contracts) * series.multiplier * premium * series.index
        return self.charges[series.coin].of(at, flow, series.index, worth)

    def moves_by_size(
        self, customer: int, series: Series, contracts: int, premium: Fraction, *, at_fill=False
    ):
        """Whether its size alone makes an order's price worse than so many of one contract by more than tolerated."""
        whole, one = (
            self.charge(customer, series, count, premium, at_fill=at_fill)
            for count in (contracts, 1 if contracts > 0 else -1)
        )
        worth = abs(contracts) * series.multiplier * premium * series.index
        return whole > abs(contracts) * one + TOLERANCE * worth

    def move(self, series: Series, contracts: int, premium: Fraction) -> None:
        """The next order is charged by the book that this one leaves."""
        if series.coin in self.charges:
            for name, moved in series.flow(contracts, premium).items():
                self.books[series.coin][name] += moved

    def decide(self, ask: Ask) -> tuple:
        if ask.customer not in self.balances:
            return ("account_not_found",)
        key = (ask.customer, ask.client_order_id)
        if key in self.contents:
            same = self._content(ask, self.contents[key][2]) == self.contents[key]
            return ("replayed", *self.answers[key]) if same else ("client_order_id_reused",)
        if sum(customer == ask.customer for customer, _ in self.contents) >= PACE.get(ask.customer, 800):
            return ("too_many_orders",)
        answer = self._close(ask) if ask.option is None else self._open(ask)
        if answer[0] != "accepted":
            return answer
        if ask.quote is not None:
            self.promises[ask.quote].is_used = True
        self.answers[key] = answer[1:]
        self.contents[key] = self._content(ask, answer[1])
        return answer

    def _content(self, ask: Ask, contracts: int) -> tuple:
        contracts = ask.contracts or contracts
        if ask.option is not None:
            return ("open", ask.option, contracts, ask.limit, "instant", ask.quote)
        key = (ask.customer, ask.opened_by or "")
        return ("close", key if key in self.positions else None, contracts, ask.limit, ask.payout, ask.quote)

    def _unusable(self, ask: Ask) -> str | None:
        """Why the firm quote cannot be used, for an open or a close."""
        if ask.quote is None:
            return None
        if ask.quote >= len(self.promises) or self.promises[ask.quote].customer != ask.customer:
            return "quote_not_found"
        promise = self.promises[ask.quote]
        if promise.is_used:
            return "quote_used"
        if promise.is_expired:
            return "quote_expired"
        return "quote_mismatch" if ask.payout == "at_fill" else None

    def open_of(self, customer: int) -> tuple[int, Fraction]:
        """Contracts that a customer has open, and the cost of them."""
        held = [position for (whose, _), position in self.positions.items() if whose == customer]
        return sum(position.remaining for position in held), sum(
            (position.open_cost for position in held), Fraction(0)
        )

    def _open(self, ask: Ask) -> tuple:
        assert ask.option is not None
        assert ask.contracts is not None
        if ask.option >= len(self.series):
            return ("option_not_found",)
        series = self.series[ask.option]
        if unusable := self._unusable(ask):
            return (unusable,)
        if series.is_halted:
            return ("option_halted",)
        if series.is_coin_halted:
            return ("coin_halted",)
        if ask.quote is not None:
            promise = self.promises[ask.quote]
            if (promise.option, promise.position, promise.contracts) != (ask.option, None, ask.contracts):
                return ("quote_mismatch",)
            coin, cost, premium = promise.coin, promise.amount, promise.premium
        elif series.ask is None:
            return ("quote_missing",)
        elif series.is_stale:
            return ("quote_stale",)
        else:
            premium = series.ask
            coin = Fraction(ceil(ask.contracts * series.multiplier * premium * 10**8), 10**8)
            charged = self.charge(ask.customer, series, ask.contracts, premium)
            cost = Fraction(ceil((coin * series.index + charged) * (1 + series.rate) * 10**6), 10**6)
            if ask.limit is None and self.moves_by_size(ask.customer, series, ask.contracts, premium):
                return ("price_moved",)
        if ask.limit is not None and cost > ask.limit:
            return ("price_moved",)
        contracts, spent = self.open_of(ask.customer)
        if contracts + ask.contracts > CONTRACTS.get(ask.customer, 10**6):
            return ("contracts_limit",)
        if spent + cost > NOTIONAL.get(ask.customer, 10**6):
            return ("notional_limit",)
        if cost > self.balances[ask.customer]:
            return ("insufficient_balance",)
        self.balances[ask.customer] -= cost
        self.move(series, ask.contracts, premium)
        self.positions[ask.customer, ask.client_order_id] = Held(
            ask.option, ask.contracts, cost, ask.contracts
        )
        return ("accepted", ask.contracts, coin, cost)

    def _close(self, ask: Ask) -> tuple:
        held = self.positions.get((ask.customer, ask.opened_by or ""))
        if held is None:
            return ("position_not_found",)
        if unusable := self._unusable(ask):
            return (unusable,)
        promise = None if ask.quote is None else self.promises[ask.quote]
        contracts = ask.contracts or (promise.contracts if promise else held.remaining)
        if contracts > held.remaining or contracts == 0:
            return ("position_too_small",)
        series = self.series[held.option]
        if promise:
            if (promise.position, promise.contracts) != ((ask.customer, ask.opened_by), contracts):
                return ("quote_mismatch",)
            coin, proceeds, premium = promise.coin, promise.amount, promise.premium
        elif series.bid is None:
            return ("quote_missing",)
        else:
            premium, at_fill = series.bid, ask.payout == "at_fill"
            rate = STALE_RATE if series.is_stale else series.rate
            charged = self.charge(ask.customer, series, -contracts, premium, at_fill=at_fill)
            whole = contracts * series.multiplier * premium
            if at_fill:
                whole = max(whole - Fraction(ceil(charged / series.index * 10**8), 10**8), Fraction(0))
                coin = Fraction(floor(whole * (1 - (rate if rate > RATE else 0)) * 10**8), 10**8)
                fair = Fraction(round(coin * series.index * 10**6), 10**6)
                proceeds = Fraction(floor(fair * (1 - AT_FILL_TOLERANCE) * 10**6), 10**6)
            else:
                coin = Fraction(floor(whole * 10**8), 10**8)
                left = max(coin * series.index - charged, Fraction(0))
                proceeds = Fraction(floor(left * (1 - rate) * 10**6), 10**6)
                fair = proceeds
            if fair <= 0:
                return ("amount_too_small",)
            if ask.limit is None and self.moves_by_size(
                ask.customer, series, -contracts, premium, at_fill=at_fill
            ):
                return ("price_moved",)
        if ask.limit is not None and proceeds < ask.limit:
            return ("price_moved",)
        held.remaining -= contracts
        self.move(series, -contracts, premium)
        if ask.payout == "at_fill":
            held.unpaid += 1
            proceeds = Fraction(0)
        held.proceeds += proceeds
        self.balances[ask.customer] += proceeds
        return ("accepted", contracts, coin, proceeds)
