"""An order pays for its size: by the book that the orders before it have left, and no less if it comes in parts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from threading import Barrier

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from counter.market.book import read_book
from counter.market.book_base import BookBase
from counter.market.book_limits import BookLimits
from counter.market.book_reader import BookReader
from counter.market.firm_quotes import CloseQuoteRequest, give
from counter.market.quotes import current_quotes
from counter.models import BookFlow, SyncOrder, TradingStatus
from counter.orders import placing
from counter.orders.batch import OrderBatch
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, RejectCode
from counter.pricing.impact import Depths
from counter.trading.depths import read_books
from counter.trading.watch import Watch
from tests.support.factories import place_close, place_open, unique
from tests.support.sizing import (
    DELTA_DEPTH,
    NOW,
    SPREAD,
    USUAL,
    Market,
    cost_of,
    costs,
    customers,
)
from tests.support.threads import at_once


@pytest.fixture
def market(db):
    return Market()


@pytest.mark.django_db
def test_without_depths_size_costs_nothing_and_nothing_is_counted():
    market = Market(depths=Depths())
    assert cost_of(market.open(*customers(1), 1000)) == [USUAL * 1000]
    assert not BookFlow.objects.exists()
    [quoted] = current_quotes(now=NOW, symbol=market.call.symbol, contracts=1000)
    assert (quoted.cost, quoted.contracts) == (USUAL * 1000, 1000)


def test_an_order_pays_for_its_size_and_the_next_one_for_both(market):
    """0.001 / 200,000 * (45,000)² = 10.125 USDT for 100 contracts, 30.375 for the next 100; with its spread."""
    [customer] = customers(1)
    first, second = (cost_of(market.open(customer, 100))[0] for _ in range(2))
    assert first == USUAL * 100 + Decimal("10.125") * SPREAD
    assert second == USUAL * 100 + Decimal("30.375") * SPREAD
    [flow] = BookFlow.objects.all()
    assert (flow.delta, flow.vega, flow.premium) == (-1, -180, Decimal("0.05"))
    order = SyncOrder.objects.order_by("pk").first()
    assert (order.fair, order.fair + order.spread) == (2250, order.amount)


@pytest.mark.parametrize("how", ["one batch", "ten batches", "ten customers"])
def test_ten_parts_cost_what_one_order_does_or_more(market, how):
    [whole] = cost_of(market.open(*customers(1), 500))
    BookFlow.objects.all().delete()
    people = customers(10) if how == "ten customers" else customers(1) * 10
    requests = [market.open(person, 50) for person in people]
    if how == "one batch":
        parts = costs(place_orders(requests=requests, now=NOW))
    else:
        parts = [cost for request in requests for cost in cost_of(request)]
    assert whole <= sum(parts) <= whole + Decimal("0.00002")
    assert parts == sorted(parts)
    assert whole > USUAL * 500 + 250


def test_what_brings_the_book_nearer_to_nothing_is_not_charged(market):
    one, other = customers(2)
    [opened] = place_orders(requests=[market.open(one, 100)], now=NOW)
    assert cost_of(market.open(other, 100, market.put)) == [USUAL * 100]
    # The book stands at nothing: closing the calls leads away from it.
    closed = place_close(opened.order, contracts=50, now=NOW)
    # 50 contracts at a bid of 0.02 are 900 USDT, and 0.001 / 200,000 * 22,500² = 2.53125 of them are charged.
    assert closed.amount == Decimal("892.981406")  # 99.5 %, rounded down


def test_vega_and_premiums_have_depths_of_their_own(db):
    market = Market(depths=Depths(vega=Decimal(1000), premium=Decimal(100_000)))
    # 0.5 / 2,000 * 90² = 2.025 and 0.001 / 200,000 * 2,250² = 0.0253125, each rounded up.
    assert cost_of(market.open(*customers(1), 100)) == [
        (USUAL * 100 + Decimal("2.050313") * SPREAD).quantize(Decimal("0.000001"), "ROUND_UP")
    ]


def test_a_firm_quote_is_for_its_size_and_what_it_says_is_paid(market):
    [customer] = customers(1)
    quote = market.ask(customer, 200)
    assert quote.amount == USUAL * 200 + Decimal("40.5") * SPREAD
    [quoted] = current_quotes(now=NOW, symbol=market.call.symbol, contracts=200)
    assert quoted.cost == quote.amount
    cost_of(market.open(*customers(1), 700))  # others come first
    assert cost_of(market.open(customer, 200, quote=quote)) == [quote.amount]
    assert BookFlow.objects.get().delta == Decimal("-4.5")


def test_promises_are_no_way_to_split_an_order(market):
    """Neither several firm quotes at once, nor one beside an order that names none."""
    one, other, third = customers(3)
    whole = market.ask(one, 500).amount
    parts = [market.ask(other, 100) for _ in range(5)]
    assert whole <= sum(quote.amount for quote in parts) <= whole + Decimal("0.00001")
    quote = market.ask(third, 250)
    [beside] = cost_of(market.open(third, 250))
    assert whole <= quote.amount + beside <= whole + Decimal("0.00001")
    # A promise that has been used is in the book, and counts once.
    [used] = cost_of(market.open(third, 250, quote=quote))
    assert used == quote.amount
    # 0.001 / 200,000 * 450² * (501² - 500²) = 1.0135125
    assert cost_of(market.open(third, 1)) == [Decimal("23.631081")]
    # A promise the other way makes nothing cheaper.
    before = market.ask(one, 10).amount
    market.ask(one, 300, market.put)
    assert market.ask(one, 10).amount >= before


def test_a_promise_that_expired_counts_no_more(market):
    [customer] = customers(1)
    market.ask(customer, 500)
    [beside] = cost_of(market.open(customer, 10), now=NOW + timedelta(seconds=6))
    assert beside == Decimal("226.226757")  # 0.10125 and its spread, rounded up


def test_an_order_without_a_bound_is_refused_if_its_size_alone_moves_the_price(market, settings):
    """By more than PRICE_TOLERANCE_RATE, 5 % of its worth, beside what each single contract would be charged."""
    settings.IMPACT_MOST_RATE = Decimal("0.2")
    TradingStatus.objects.update(delta_depth=1000)
    [customer] = customers(1)
    # 10 of the 35 bring the book to nothing; the others are charged 0.001 / 2,000 * (25 * 450)², 63 of 787.50 USDT.
    small, large, bound, opened = place_orders(
        requests=[
            market.open(customer, 10, market.put, max_cost=None),
            market.open(customer, 35, max_cost=None),
            market.open(customer, 35, max_cost="900"),
            market.open(customer, 1, max_cost=None),
        ],
        now=NOW,
    )
    assert [isinstance(each, Accepted) for each in (small, large, bound, opened)] == [True, False, True, True]
    assert large.code == RejectCode.PRICE_MOVED
    assert (
        large.message
        == f"so many contracts of {market.call.symbol} move its price; send max_cost or a quote_id"
    )


def test_two_orders_of_one_moment_do_not_wait_for_each_other(two_systems):
    """Writers of two sessions: neither sees the other, and what is lost is bounded by what they move for each other."""
    market = Market()
    people = customers(2)
    barrier = Barrier(2)

    def placing(person):
        with transaction.atomic():
            [cost] = cost_of(market.open(person, 100))
            barrier.wait(30)  # both have written their flows, and neither has committed
        return cost

    paid = at_once(partial(placing, person) for person in people)
    alone = USUAL * 100 + Decimal("10.125") * SPREAD
    assert [cost.quantize(Decimal("0.00001")) for cost in paid] == [alone.quantize(Decimal("0.00001"))] * 2
    assert BookFlow.objects.count() == 2
    assert read_books()["BTC"].at.delta == -1
    # rate * first * second / depth
    whole = USUAL * 200 + Decimal("40.5") * SPREAD
    assert whole - sum(paid) <= Decimal("0.001") * 45_000 * 45_000 / 100_000 * SPREAD


@pytest.mark.django_db
def test_orders_ask_as_many_statements_of_the_database_as_before():
    market = Market(depths=Depths())
    [customer] = customers(1)

    def statements():
        with CaptureQueriesContext(connection) as asked:
            cost_of(*(market.open(customer, 1) for _ in range(20)))
        return len(asked)

    statements()  # each process knows from the batch before whether promises count
    without = statements()
    market.charge(DELTA_DEPTH)
    statements()
    # One for the whole batch: which promises its customers may still use.
    assert statements() == without + 1


class Term:
    """Leads."""

    def fence(self):
        pass


def test_measuring_leaves_the_book_where_orders_have_brought_it(two_systems):
    """The measure is the book's, with all that was not an order; what orders did since is neither lost nor twice."""
    now = datetime.now(UTC)
    market = Market(depths=Depths(Decimal(10**6), Decimal(10**6), Decimal(10**6)), now=now)
    people = customers(2)
    opened = place_open(people[0], market.call, contracts=100, now=now)
    reader = BookReader()
    base = BookBase(term=Term(), reader=reader)
    base.tick(now=now)
    assert base.coins == {"BTC"}
    measured = read_books()["BTC"].at
    # By the model, at the quotes' volatility, not by the round greeks.
    assert -0.6 < measured.delta < -0.5
    assert -110 < measured.vega < -90
    assert measured.premium == Decimal("0.025")
    place_close(opened, contracts=40, now=now)
    after = read_books()["BTC"].at
    assert after.delta - measured.delta == Decimal("0.2")
    assert after.vega - measured.vega == 36
    assert after.premium - measured.premium == Decimal("-0.008")
    # A session that has ended is forgotten, and the book stays where it was.
    BookFlow.objects.create(underlying="BTC", writer=2**31 - 1, delta=-7, vega=-70, premium=3)
    reader._due_at = None
    base.tick(now=now)
    again = read_books()["BTC"].at
    assert again.delta == pytest.approx(measured.delta * 60 / 100, rel=Decimal("1e-6"))
    assert again.premium == Decimal("0.017")
    assert list(BookFlow.objects.values_list("writer", flat=True)) == [connection.connection.info.backend_pid]


def test_a_book_that_is_measured_is_looked_after_in_one_statement(two_systems, django_assert_num_queries):
    now = datetime.now(UTC)
    market = Market(depths=Depths(), now=now)
    base = BookBase(term=Term())
    base.tick(now=now)
    with django_assert_num_queries(1):
        base.tick(now=now)
    market.charge(Depths(vega=Decimal(1000)))
    base.tick(now=now)
    with django_assert_num_queries(1):
        base.tick(now=now)
    assert base.coins == {"BTC"}


def test_ten_batches_are_not_charged_each_from_nothing_after_a_depth_is_added(two_systems):
    now = datetime.now(UTC)
    market = Market(now=now)
    place_open(*customers(1), market.call, contracts=100, now=now)
    base = BookBase(term=Term())
    base.tick(now=now)
    measured = read_books()["BTC"].at
    assert measured.delta < -Decimal("0.5")
    market.charge(Depths(delta=Decimal(10**12), vega=Decimal(1000)))
    # What is measured already is there at once: the next order is charged by the book as it is.
    assert -110 < read_books()["BTC"].at.vega < -90
    [customer] = customers(1)
    costs_of_each = [cost_of(market.open(customer, 100), now=now)[0] for _ in range(10)]
    assert costs_of_each == sorted(set(costs_of_each))
    assert read_books()["BTC"].at.vega == pytest.approx(-1000, abs=10)


def test_a_coin_that_begins_to_charge_counts_from_that_moment_and_is_measured_with_the_next_tick(two_systems):
    now = datetime.now(UTC)
    market = Market(now=now)
    place_open(*customers(1), market.call, contracts=100, now=now)
    base = BookBase(term=Term())
    base.tick(now=now)
    # Off and on between two ticks, with what the sessions wrote before still there.
    market.charge(Depths())
    market.charge(Depths(vega=Decimal(1000)))
    assert read_books()["BTC"].at.vega == 0
    place_open(*customers(1), market.call, contracts=100, now=now)
    assert read_books()["BTC"].at.vega == -90
    base.tick(now=now)
    assert -220 < read_books()["BTC"].at.vega < -180


def test_limits_and_charges_go_by_one_reading_of_the_book(two_systems, settings, monkeypatch):
    settings.BREAKER_BOOK_DELTA_USDT = {"BTC": (Decimal(10**6), Decimal(10**7))}
    now = datetime.now(UTC)
    market = Market(now=now)
    place_open(*customers(1), market.call, contracts=100, now=now)
    read = []

    def reading(*, now):
        read.append(now)
        return read_book(now=now)

    monkeypatch.setattr("counter.market.book_reader.read_book", reading)
    reader = BookReader()
    watch, base = BookLimits(reader), BookBase(term=Term(), reader=reader)
    base.tick(now=now)
    measured = watch.measures(now)["BTC"]["book_delta"]
    base.tick(now=now)
    assert len(read) == 1
    assert measured == pytest.approx(-read_books()["BTC"].at.delta * 90_000, rel=Decimal("1e-6"))


def test_the_first_batch_of_a_process_knows_of_promises(market, monkeypatch):
    monkeypatch.setattr(placing, "_charging", placing._Charging())
    one, other = customers(2)
    whole = market.ask(one, 500).amount
    quote = market.ask(other, 250)
    [beside] = cost_of(market.open(other, 250))
    assert whole <= quote.amount + beside <= whole + Decimal("0.00001")


def test_the_promises_of_all_customers_are_gone_through_once_in_a_batch(market, monkeypatch):
    people = customers(3)
    for person in people:
        market.ask(person, 10)
    looked_at = []

    class Promises(list):
        def __iter__(self):
            for each in super().__iter__():
                looked_at.append(each.customer_id)
                yield each

    deciding = OrderBatch.__init__

    def counted(batch, *, rows, **given):
        deciding(batch, rows=replace(rows, reserved=Promises(rows.reserved)), **given)

    monkeypatch.setattr(OrderBatch, "__init__", counted)
    cost_of(*(market.open(person, 1) for person in people * 5))
    assert sorted(looked_at) == sorted(person.pk for person in people)


def test_a_measure_that_fails_leaves_the_last_one_and_the_flows_since(two_systems, monkeypatch):
    now = datetime.now(UTC)
    market = Market(now=now)
    reader = BookReader()
    base = BookBase(term=Term(), reader=reader)
    base.tick(now=now)

    def broken(*, now):
        raise ArithmeticError("no book")

    monkeypatch.setattr("counter.market.book_reader.read_book", broken)
    reader._due_at = None
    base.tick(now=now)  # which goes on
    place_open(*customers(1), market.call, contracts=100, now=now)
    assert read_books()["BTC"].at.delta == Decimal("-0.5")
    monkeypatch.undo()
    base.tick(now=now)
    assert -0.6 < read_books()["BTC"].at.delta < -0.5


def test_judging_a_coin_keeps_what_it_charges(two_systems):
    now = datetime.now(UTC)
    market = Market(now=now)
    Watch(started_at=now).judge(now=now + timedelta(seconds=1))
    status = TradingStatus.objects.get(underlying=market.call.underlying)
    assert (status.delta_depth, status.delta_base) == (100_000, 0)


def test_a_close_at_fill_sells_less_coin(market):
    one, other = customers(2)
    opened = place_open(one, market.put, contracts=100, now=NOW)  # 0.5 coin long
    place_open(other, market.call, contracts=100, now=NOW)  # back to nothing
    [outcome] = place_orders(
        requests=[
            CloseRequest(
                customer_id=one.pk,
                client_order_id=unique("c"),
                position_id=opened.position_id,
                contracts=100,
                payout="at_fill",
            )
        ],
        now=NOW,
    )
    # 10.125 USDT are 0.0001125 coin of the 0.02.
    assert (outcome.order.coin, outcome.order.spread) == (Decimal("0.0198875"), 0)


def test_a_quote_to_close_says_what_its_size_brings(market):
    [customer, other] = customers(2)
    opened = place_open(customer, market.put, contracts=200, now=NOW)
    place_open(other, market.call, contracts=200, now=NOW)
    quote = give(request=CloseQuoteRequest(customer.pk, opened.position_id, 100), now=NOW)
    assert quote.amount == ((1800 - Decimal("10.125")) * Decimal("0.995")).quantize(
        Decimal("0.000001"), "ROUND_DOWN"
    )
    [quoted] = current_quotes(now=NOW, symbol=market.put.symbol, contracts=100)
    assert quoted.proceeds == quote.amount
