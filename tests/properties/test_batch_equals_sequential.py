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

from counter.models import Account, Option, Position, Quote, SyncOrder, TradingStatus
from counter.order_requests import Accepted, CloseRequest, OpenRequest
from counter.orders import place_orders
from tests.support.factories import make_customer, make_option, make_quote

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
STALE_AT = NOW - timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS, microseconds=1)
RATE, WIDE_RATE = Fraction(settings.SPREAD_RATE), Fraction(settings.WIDE_SPREAD_RATE)
# Of a close at a price that is a microsecond older than its limit.
STALE_RATE = Fraction(
    ceil(WIDE_RATE * (1 + Fraction(1, int(settings.QUOTE_STALE_AFTER_SECONDS * 10**6))) ** 2 * 10**6), 10**6
)
NOBODY = 10**9  # a customer without account, a position that is not there
BALANCES = ("60", "25.5", "0")


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


@dataclass
class Held:
    """What the reference knows of a position."""

    option: int
    remaining: int
    unpaid: int = 0
    proceeds: Fraction = Fraction(0)


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

    def decide(self, ask: Ask) -> tuple:
        if ask.customer not in self.balances:
            return ("account_not_found",)
        key = (ask.customer, ask.client_order_id)
        if key in self.contents:
            same = self._content(ask, self.contents[key][2]) == self.contents[key]
            return ("replayed", *self.answers[key]) if same else ("client_order_id_reused",)
        answer = self._close(ask) if ask.option is None else self._open(ask)
        if answer[0] != "accepted":
            return answer
        self.answers[key] = answer[1:]
        self.contents[key] = self._content(ask, answer[1])
        return answer

    def _content(self, ask: Ask, contracts: int) -> tuple:
        contracts = ask.contracts or contracts
        if ask.option is not None:
            return ("open", ask.option, contracts, ask.limit, "instant")
        key = (ask.customer, ask.opened_by or "")
        return ("close", key if key in self.positions else None, contracts, ask.limit, ask.payout)

    def _open(self, ask: Ask) -> tuple:
        assert ask.option is not None
        assert ask.contracts is not None
        if ask.option >= len(self.series):
            return ("option_not_found",)
        series = self.series[ask.option]
        if series.is_halted:
            return ("option_halted",)
        if series.is_coin_halted:
            return ("coin_halted",)
        if series.ask is None:
            return ("quote_missing",)
        if series.is_stale:
            return ("quote_stale",)
        coin = Fraction(ceil(ask.contracts * series.multiplier * series.ask * 10**8), 10**8)
        cost = Fraction(ceil(coin * series.index * (1 + series.rate) * 10**6), 10**6)
        if ask.limit is not None and cost > ask.limit:
            return ("price_moved",)
        if cost > self.balances[ask.customer]:
            return ("insufficient_balance",)
        self.balances[ask.customer] -= cost
        self.positions[ask.customer, ask.client_order_id] = Held(ask.option, ask.contracts)
        return ("accepted", ask.contracts, coin, cost)

    def _close(self, ask: Ask) -> tuple:
        held = self.positions.get((ask.customer, ask.opened_by or ""))
        if held is None:
            return ("position_not_found",)
        contracts = held.remaining if ask.contracts is None else ask.contracts
        if contracts > held.remaining or contracts == 0:
            return ("position_too_small",)
        series = self.series[held.option]
        if series.bid is None:
            return ("quote_missing",)
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
def market(db):
    """Three customers; options: ordinary, cheap, stale, halted, without a bid, never quoted, of a coin that is wide."""
    customers = [make_customer(balance=balance, now=NOW).pk for balance in BALANCES]
    options = [make_option(strike=90_000 + 1_000 * number, now=NOW) for number in range(6)]
    make_quote(options[1], bid="0.000333", ask="0.000777", index=Decimal("64321.12345678"), now=NOW)
    make_quote(options[2], now=STALE_AT)
    Option.objects.filter(pk=options[3].pk).update(state="HALTED")
    make_quote(options[4], bid=None, ask="0.01", now=NOW)
    options[5].quote.delete()
    options.append(make_option(underlying="ETH", now=NOW))
    TradingStatus.objects.create(
        underlying="ETH", state="WIDE", spread_rate=settings.WIDE_SPREAD_RATE, since=NOW, judged_at=NOW
    )
    return customers, options


def reference(market):
    _, options = market
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
    return Bookkeeper(series, dict(enumerate(map(Fraction, BALANCES))))


ids = st.sampled_from(["a", "b", "c", "d", "e"])
who = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
limits = st.sampled_from([None, None, Decimal("0.1"), Decimal(20), Decimal(45), Decimal(1000)])
opens = st.builds(
    Ask,
    customer=who,
    client_order_id=ids,
    option=st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 6, 7]),
    contracts=st.integers(1, 4),
    limit=limits,
)
closes = st.builds(
    Ask,
    customer=who,
    client_order_id=ids,
    opened_by=ids,
    by_id=st.booleans(),
    contracts=st.none() | st.integers(1, 4),
    limit=limits,
    payout=st.sampled_from(["instant", "at_fill"]),
)
orders = st.lists(opens | closes, min_size=1, max_size=14)
open_a = Ask(0, "a", option=0, contracts=1)
close_a = Ask(0, "b", opened_by="a")


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    asked=[replace(open_a, option=6), replace(open_a, option=6, client_order_id="c"), close_a],
    cuts={1},
    turn=1,
)
def test_any_cut_into_batches_decides_as_one_at_a_time(market, asked, cuts, turn):
    customers, options = market
    with transaction.atomic():
        books = reference(market)
        bounds = [0, *sorted(cut for cut in cuts if cut < len(asked)), len(asked)]
        for number, (start, end) in enumerate(pairwise(bounds)):
            if number == turn:
                turn_market(options, books)
            batch = [known_position(ask, books, customers) for ask in asked[start:end]]
            outcomes = place_orders(
                requests=[request(ask, position_id, books, customers) for ask, position_id in batch], now=NOW
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


def request(ask, position_id, books, customers):
    customer_id = customers[ask.customer] if ask.customer < len(customers) else NOBODY
    if ask.option is not None:
        symbol = books.series[ask.option].symbol if ask.option < len(books.series) else "BTC-1JAN27-1-C"
        return OpenRequest(customer_id, ask.client_order_id, symbol, ask.contracts, ask.limit)
    return CloseRequest(
        customer_id=customer_id,
        client_order_id=ask.client_order_id,
        position_id=position_id,
        opened_by=None if ask.by_id else ask.opened_by,
        contracts=ask.contracts,
        min_proceeds=ask.limit,
        payout=ask.payout,
    )


def seen(outcome):
    if not isinstance(outcome, Accepted):
        return (str(outcome.code),)
    order = outcome.order
    name = "replayed" if outcome.replayed else "accepted"
    return name, order.contracts, Fraction(order.coin), Fraction(order.amount)


def assert_same_books(books, customers):
    for number, customer_id in enumerate(customers):
        assert Fraction(Account.objects.get(customer_id=customer_id).balance) == books.balances[number]
    stored = SyncOrder.objects.filter(customer_id__in=customers)
    assert {(customers.index(o.customer_id), o.client_order_id) for o in stored} == set(books.contents)
    for (number, name), held in books.positions.items():
        order = stored.get(customer_id=customers[number], client_order_id=name)
        position = Position.objects.get(pk=order.position_id)
        state = "OPEN" if held.remaining else "CLOSING" if held.unpaid else "CLOSED"
        assert (position.remaining, position.unpaid, position.state) == (held.remaining, held.unpaid, state)
        assert Fraction(position.proceeds) == held.proceeds
    assert Position.objects.filter(customer_id__in=customers).count() == len(books.positions)
