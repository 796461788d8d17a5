"""However orders are cut into batches, each is decided as if it had come alone after those before it.

The reference is a bookkeeper of dictionaries and fractions that shares no code with counter.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import pytest
from django.conf import settings
from django.db import transaction
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from counter.limits.in_force import Setting, set_customer_limit
from counter.market.firm_quotes import CloseQuoteRequest, OpenQuoteRequest, give
from counter.models import Account, Option, Position, Quote, SyncOrder, TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest
from tests.support.examples import examples
from tests.support.factories import make_customer, make_option, make_quote

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
STALE_AT = NOW - timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS, microseconds=1)
RATE, WIDE_RATE = Fraction(settings.SPREAD_RATE), Fraction(settings.WIDE_SPREAD_RATE)
# Of a close at a price that is a microsecond older than its limit.
STALE_RATE = Fraction(
    ceil(WIDE_RATE * (1 + Fraction(1, int(settings.QUOTE_STALE_AFTER_SECONDS * 10**6))) ** 2 * 10**6), 10**6
)
NOBODY = 10**9  # a customer without account, a position that is not there
BALANCES = ("127.8375", "25.5", "0")
# The first customer may place four orders at once, the second may have little open.
PACE, CONTRACTS, NOTIONAL = {0: 4}, {1: 3}, {0: Fraction(110)}
NO_QUOTE = 4


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


@dataclass
class Bookkeeper:
    """Decides orders one at a time."""

    series: list[Series]
    balances: dict[int, Fraction]
    contents: dict[tuple[int, str], tuple] = field(default_factory=dict)
    answers: dict[tuple[int, str], tuple] = field(default_factory=dict)
    positions: dict[tuple[int, str], Held] = field(default_factory=dict)
    promises: list[Promise] = field(default_factory=list)

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
            coin, cost = promise.coin, promise.amount
        elif series.ask is None:
            return ("quote_missing",)
        elif series.is_stale:
            return ("quote_stale",)
        else:
            coin = Fraction(ceil(ask.contracts * series.multiplier * series.ask * 10**8), 10**8)
            cost = Fraction(ceil(coin * series.index * (1 + series.rate) * 10**6), 10**6)
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
            coin, proceeds = promise.coin, promise.amount
        elif series.bid is None:
            return ("quote_missing",)
        else:
            rate = STALE_RATE if series.is_stale else series.rate
            coin = Fraction(floor(contracts * series.multiplier * series.bid * 10**8), 10**8)
            proceeds = Fraction(floor(coin * series.index * (1 - rate) * 10**6), 10**6)
        if ask.limit is not None and proceeds < ask.limit:
            return ("price_moved",)
        held.remaining -= contracts
        if ask.payout == "at_fill":
            held.unpaid += 1
            proceeds = Fraction(0)
        held.proceeds += proceeds
        self.balances[ask.customer] += proceeds
        return ("accepted", contracts, coin, proceeds)


@pytest.fixture
def market(db, settings):
    """Three customers; options: ordinary, cheap, stale, halted, without a bid, never quoted, of a coin that is wide.

    The first customer has a position already, and firm quotes at another price, as the second one has.
    """
    settings.CUSTOMER_BURST_SECONDS = 4
    customers = [make_customer(balance=balance, now=NOW).pk for balance in BALANCES]
    options = [make_option(strike=90_000 + 1_000 * number, now=NOW) for number in range(6)]
    [opened] = place_orders(requests=[OpenRequest(customers[0], "p", options[0].symbol, 3)], now=NOW)
    for number, limits in (
        (0, {"orders_per_s": 1, "notional": Decimal(int(NOTIONAL[0]))}),
        (1, {"contracts": CONTRACTS[1]}),
    ):
        to = Setting(**{"contracts": None, "notional": None} | limits)
        set_customer_limit(customer_id=customers[number], to=to, reason="a test", by="ann", now=NOW)
    for option in options[:2]:
        make_quote(option, bid="0.015", ask="0.011", now=NOW)
    quotes = [
        give(request=asked, now=now)
        for asked, now in (
            (OpenQuoteRequest(customers[0], options[0].symbol, 2), NOW),
            (OpenQuoteRequest(customers[1], options[1].symbol, 1), NOW),
            (CloseQuoteRequest(customers[0], opened.order.position_id, 2), NOW),
            (OpenQuoteRequest(customers[0], options[0].symbol, 1), NOW - timedelta(seconds=5)),
        )
    ]
    make_quote(options[0], now=NOW)
    make_quote(options[1], bid="0.000333", ask="0.000777", index=Decimal("64321.12345678"), now=NOW)
    make_quote(options[2], now=STALE_AT)
    Option.objects.filter(pk=options[3].pk).update(state="HALTED")
    make_quote(options[4], bid=None, ask="0.01", now=NOW)
    options[5].quote.delete()
    options.append(make_option(underlying="ETH", now=NOW))
    TradingStatus.objects.create(
        underlying="ETH", state="WIDE", spread_rate=settings.WIDE_SPREAD_RATE, since=NOW, judged_at=NOW
    )
    return customers, options, [quote.pk for quote in quotes]


def reference(market):
    _, options, _ = market
    series = []
    for option in Option.objects.filter(pk__in=[option.pk for option in options]).order_by("pk"):
        quote = getattr(option, "quote", None)
        series.append(
            Series(
                symbol=option.symbol,
                multiplier=Fraction(option.multiplier),
                bid=quote and quote.bid and Fraction(quote.bid),
                ask=quote and quote.ask and Fraction(quote.ask),
                index=Fraction(quote.index_price) if quote else Fraction(0),
                is_stale=bool(quote and quote.quoted_at < NOW),
                is_halted=option.state == "HALTED",
                rate=WIDE_RATE if option.underlying == "ETH" else RATE,
            )
        )
    books = Bookkeeper(series, dict(enumerate(map(Fraction, BALANCES))))
    assert books.decide(Ask(0, "p", option=0, contracts=3))[0] == "accepted"
    books.promises = [
        Promise(0, 0, None, 2, Fraction("0.00022"), Fraction("19.899")),
        Promise(1, 1, None, 1, Fraction("0.00011"), Fraction("9.9495")),
        Promise(0, 0, (0, "p"), 2, Fraction("0.0003"), Fraction("26.865")),
        Promise(0, 0, None, 1, Fraction("0.00011"), Fraction("9.9495"), is_expired=True),
    ]
    return books


ids = st.sampled_from(["a", "b", "c", "d", "e"])
who = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
limits = st.sampled_from([None, None, Decimal("0.1"), Decimal(20), Decimal(45), Decimal(1000)])
names = st.sampled_from([*"abcde", "p", "p"])
quotes = st.sampled_from([None, None, None, 0, 1, 2, 3, NO_QUOTE])
opens = st.builds(
    Ask,
    customer=who,
    client_order_id=ids,
    option=st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7]),
    contracts=st.integers(1, 4),
    limit=limits,
    quote=quotes,
)
closes = st.builds(
    Ask,
    customer=who,
    client_order_id=ids,
    opened_by=names,
    by_id=st.booleans(),
    contracts=st.none() | st.integers(1, 4),
    limit=limits,
    payout=st.sampled_from(["instant", "at_fill"]),
    quote=quotes,
)
orders = st.lists(opens | closes, min_size=1, max_size=14)
open_a = Ask(0, "a", option=0, contracts=1)
close_a = Ask(0, "b", opened_by="a")
close_p = Ask(0, "b", opened_by="p")


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=orders, cuts=st.sets(st.integers(1, 13)), turn=st.none() | st.integers(0, 3))
@example(
    asked=[open_a, close_a, close_a, open_a, replace(close_a, client_order_id="c")], cuts=set(), turn=None
)
@example(asked=[replace(open_a, client_order_id=name) for name in "abcde"], cuts=set(), turn=None)
@example(
    asked=[replace(open_a, option=at, client_order_id="abcde"[at - 1]) for at in range(1, 6)],
    cuts={2},
    turn=None,
)
@example(asked=[open_a, replace(close_a, by_id=True, payout="at_fill")], cuts={1}, turn=1)
@example(asked=[replace(open_a, option=1), close_a], cuts={1}, turn=1)
@example(
    asked=[replace(open_a, contracts=2, quote=0, client_order_id=name) for name in "aab"],
    cuts=set(),
    turn=None,
)
@example(
    asked=[replace(open_a, customer=1, option=1, quote=1, client_order_id=name) for name in "ab"],
    cuts={1},
    turn=None,
)
@example(asked=[replace(close_p, quote=2), replace(close_p, quote=2), close_p], cuts=set(), turn=0)
@example(asked=[replace(open_a, client_order_id=name, option=1) for name in "abcde" * 2], cuts={3}, turn=None)
@example(
    asked=[replace(open_a, option=6), replace(open_a, option=6, client_order_id="c"), close_a],
    cuts={1},
    turn=1,
)
def test_any_cut_into_batches_decides_as_one_at_a_time(market, asked, cuts, turn):
    customers, options, quote_ids = market
    with transaction.atomic():
        books = reference(market)
        bounds = [0, *sorted(cut for cut in cuts if cut < len(asked)), len(asked)]
        for number, (start, end) in enumerate(pairwise(bounds)):
            if number == turn:
                turn_market(options, books)
            batch = [known_position(ask, books, customers) for ask in asked[start:end]]
            outcomes = place_orders(
                requests=[
                    request(ask, position_id, books, customers, quote_ids) for ask, position_id in batch
                ],
                now=NOW,
            )
            expected = [books.decide(ask) for ask, _ in batch]
            assert [seen(outcome) for outcome in outcomes] == expected
        assert_same_books(books, customers)
        transaction.set_rollback(True)


def turn_market(options, books):
    """What could be traded so far is halted, by itself or with its coin, or its quote has grown old."""
    Option.objects.filter(pk=options[0].pk).update(state="HALTED")
    Quote.objects.filter(option=options[1]).update(quoted_at=STALE_AT)
    TradingStatus.objects.update(state="HALTED")
    books.series[0].is_halted = books.series[1].is_stale = books.series[6].is_coin_halted = True


def known_position(ask, books, customers):
    """A close by id has to know the id from an earlier batch; otherwise it names a position that is not there."""
    if not ask.by_id:
        return ask, None
    if (ask.customer, ask.opened_by) not in books.positions:
        return replace(ask, opened_by="nothing"), NOBODY
    order = SyncOrder.objects.get(customer_id=customers[ask.customer], client_order_id=ask.opened_by)
    return ask, order.position_id


def request(ask, position_id, books, customers, quote_ids):
    quote_id = None if ask.quote is None else [*quote_ids, NOBODY][ask.quote]
    customer_id = customers[ask.customer] if ask.customer < len(customers) else NOBODY
    if ask.option is not None:
        symbol = books.series[ask.option].symbol if ask.option < len(books.series) else "BTC-1JAN27-1-C"
        return OpenRequest(customer_id, ask.client_order_id, symbol, ask.contracts, ask.limit, quote_id)
    return CloseRequest(
        customer_id=customer_id,
        client_order_id=ask.client_order_id,
        position_id=position_id,
        opened_by=None if ask.by_id else ask.opened_by,
        contracts=ask.contracts,
        min_proceeds=ask.limit,
        payout=ask.payout,
        quote_id=quote_id,
    )


def seen(outcome):
    if not isinstance(outcome, Accepted):
        return (str(outcome.code),)
    order = outcome.order
    name = "replayed" if outcome.replayed else "accepted"
    return name, order.contracts, Fraction(order.coin), Fraction(order.amount)


def assert_same_books(books, customers):
    for number, customer_id in enumerate(customers):
        account = Account.objects.get(customer_id=customer_id)
        assert Fraction(account.balance) == books.balances[number]
        assert (account.open_contracts, Fraction(account.open_cost)) == books.open_of(number)
    stored = SyncOrder.objects.filter(customer_id__in=customers)
    assert {(customers.index(o.customer_id), o.client_order_id) for o in stored} == set(books.contents)
    for (number, name), held in books.positions.items():
        order = stored.get(customer_id=customers[number], client_order_id=name)
        position = Position.objects.get(pk=order.position_id)
        state = "OPEN" if held.remaining else "CLOSING" if held.unpaid else "CLOSED"
        assert (position.remaining, position.unpaid, position.state) == (held.remaining, held.unpaid, state)
        assert Fraction(position.proceeds) == held.proceeds
    assert Position.objects.filter(customer_id__in=customers).count() == len(books.positions)
