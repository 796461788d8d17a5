"""However orders are cut into batches, each is decided as if it had come alone after those before it.

The reference is a bookkeeper of dictionaries and fractions that shares no code with counter.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

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
from tests.support.bookkeeper import (
    CONTRACTS,
    MEASURES,
    NOTIONAL,
    RATE,
    WIDE_RATE,
    Ask,
    Bookkeeper,
    Promise,
    Series,
    SizeCharge,
)
from tests.support.examples import examples
from tests.support.factories import make_customer, make_option, make_quote

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
STALE_AT = NOW - timedelta(seconds=settings.QUOTE_STALE_AFTER_SECONDS, microseconds=1)
NOBODY = 10**9  # a customer without account, a position that is not there
BALANCES = ("127.8375", "25.5", "0")
NO_QUOTE = 4


DEPTHS = {"delta": Fraction(40), "vega": None, "premium": Fraction(100)}
GREEKS = {"BTC": ("0.5", "90"), "ETH": ("0.3", "2.5")}


def charge_for_size():
    """From now on, by shallow books that stand at 0; a process knows it from the batch before, here of nobody's."""
    for coin, (delta, vega) in GREEKS.items():
        usual = {"spread_rate": settings.SPREAD_RATE, "since": NOW, "judged_at": NOW}
        status, _ = TradingStatus.objects.get_or_create(underlying=coin, defaults=usual)
        TradingStatus.objects.filter(pk=status.pk).update(
            **{f"{name}_depth": depth and int(depth) for name, depth in DEPTHS.items()},
            **{f"{name}_base": depth and 0 for name, depth in DEPTHS.items()},
        )
        Quote.objects.filter(option__underlying=coin).update(delta=Decimal(delta), vega=Decimal(vega))
    named = [option.symbol for option in Option.objects.all()]
    place_orders(requests=[OpenRequest(NOBODY, "n", symbol, 1) for symbol in named], now=NOW)


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


def reference(market, *, by_size):
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
                coin=option.underlying,
                delta=Fraction(GREEKS[option.underlying][0]) if quote else Fraction(0),
                vega=Fraction(GREEKS[option.underlying][1]) if quote else Fraction(0),
            )
        )
    books = Bookkeeper(series, dict(enumerate(map(Fraction, BALANCES))))
    assert books.decide(Ask(0, "p", option=0, contracts=3))[0] == "accepted"
    dear, cheap = Fraction("0.015"), Fraction("0.011")
    books.promises = [
        Promise(0, 0, None, 2, Fraction("0.00022"), Fraction("19.899"), cheap),
        Promise(1, 1, None, 1, Fraction("0.00011"), Fraction("9.9495"), cheap),
        Promise(0, 0, (0, "p"), 2, Fraction("0.0003"), Fraction("26.865"), dear),
        Promise(0, 0, None, 1, Fraction("0.00011"), Fraction("9.9495"), cheap, is_expired=True),
    ]
    if by_size:
        rates = {
            "delta": Fraction(settings.IMPACT_DELTA_RATE),
            "vega": Fraction(settings.IMPACT_VEGA_POINTS),
            "premium": Fraction(settings.IMPACT_PREMIUM_RATE),
        }
        for coin in GREEKS:
            books.charges[coin] = SizeCharge(DEPTHS, rates, Fraction(settings.IMPACT_MOST_RATE))
            books.books[coin] = dict.fromkeys(MEASURES, Fraction(0))
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
@given(
    asked=orders,
    cuts=st.sets(st.integers(1, 13)),
    turn=st.none() | st.integers(0, 3),
    by_size=st.booleans(),
)
@example(
    asked=[open_a, close_a, close_a, open_a, replace(close_a, client_order_id="c")],
    cuts=set(),
    turn=None,
    by_size=False,
)
@example(
    asked=[replace(open_a, client_order_id=name) for name in "abcde"], cuts=set(), turn=None, by_size=True
)
@example(
    asked=[replace(open_a, option=at, client_order_id="abcde"[at - 1]) for at in range(1, 6)],
    cuts={2},
    turn=None,
    by_size=False,
)
@example(asked=[open_a, replace(close_a, by_id=True, payout="at_fill")], cuts={1}, turn=1, by_size=True)
@example(asked=[replace(open_a, option=1), close_a], cuts={1}, turn=1, by_size=False)
@example(
    asked=[replace(open_a, contracts=2, quote=0, client_order_id=name) for name in "aab"],
    cuts=set(),
    turn=None,
    by_size=True,
)
@example(
    asked=[replace(open_a, customer=1, option=1, quote=1, client_order_id=name) for name in "ab"],
    cuts={1},
    turn=None,
    by_size=False,
)
@example(
    asked=[replace(close_p, quote=2), replace(close_p, quote=2), close_p], cuts=set(), turn=0, by_size=True
)
@example(
    asked=[replace(open_a, client_order_id=name, option=1) for name in "abcde" * 2],
    cuts={3},
    turn=None,
    by_size=False,
)
@example(
    asked=[replace(open_a, option=6), replace(open_a, option=6, client_order_id="c"), close_a],
    cuts={1},
    turn=1,
    by_size=True,
)
def test_any_cut_into_batches_decides_as_one_at_a_time(market, asked, cuts, turn, by_size):
    customers, options, quote_ids = market
    with transaction.atomic():
        if by_size:
            charge_for_size()
        books = reference(market, by_size=by_size)
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
    TradingStatus.objects.filter(underlying="ETH").update(state="HALTED")
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
