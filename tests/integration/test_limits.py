"""Limits on a real database: of a customer exactly, for orders sent at once; of series and payouts as measured."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from counter.contracts import SettlementReport
from counter.limits.in_force import (
    LimitRefused,
    Setting,
    limits_of,
    measure_series,
    recount,
    set_customer_limit,
    set_series_limit,
)
from counter.market.firm_quotes import CloseQuoteRequest, give
from counter.models import Account, LimitChange, Position, Quote, TradingStatus
from counter.orders.placing import place_orders
from counter.orders.requests import Accepted, CloseRequest, OpenRequest, RejectCode
from counter.orders.rows import PositionRow
from counter.orders.settlements import take_reports
from counter.trading.watch import Watch
from tests.support.factories import make_customer, make_option, place_close, place_open, unique
from tests.support.staff import staff
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
COST_OF_ONE = Decimal("22.612500")
PROCEEDS_OF_ONE = Decimal("17.910000")


@pytest.fixture
def option():
    return make_option(now=NOW)


@pytest.fixture
def customer():
    return make_customer(now=NOW)


def opening(customer, option, contracts=1):
    return OpenRequest(customer.pk, unique("o"), option.symbol, contracts)


def codes(*requests, now=NOW):
    outcomes = place_orders(requests=requests, now=now)
    return ["accepted" if isinstance(outcome, Accepted) else str(outcome.code) for outcome in outcomes]


def limited(customer, **limits):
    to = Setting(**{"contracts": None, "notional": None} | limits)
    set_customer_limit(customer_id=customer.pk, to=to, reason="a test", by="ann", now=NOW)


def use_of(customer):
    account = Account.objects.get(customer=customer)
    return account.open_contracts, account.open_cost


# --- a customer's ---------------------------------------------------------------------------------------------------


def test_contracts_and_notional_count_what_is_open(customer, option):
    limited(customer, contracts=5)
    opened = place_open(customer, option, contracts=3, now=NOW)
    assert codes(opening(customer, option, 3)) == [RejectCode.CONTRACTS_LIMIT]
    place_close(opened, contracts=1, payout="at_fill", now=NOW)
    assert use_of(customer) == (2, 2 * COST_OF_ONE)
    assert codes(opening(customer, option, 3), opening(customer, option)) == [
        "accepted",
        RejectCode.CONTRACTS_LIMIT,
    ]
    limited(customer, notional=6 * COST_OF_ONE)
    assert codes(opening(customer, option), opening(customer, option)) == [
        "accepted",
        RejectCode.NOTIONAL_LIMIT,
    ]


def test_the_settings_hold_for_a_customer_without_limits(customer, option, settings):
    settings.CUSTOMER_CONTRACTS = 2
    assert codes(opening(customer, option, 3)) == [RejectCode.CONTRACTS_LIMIT]
    settings.CUSTOMER_CONTRACTS, settings.CUSTOMER_NOTIONAL_USDT = 10, COST_OF_ONE
    assert codes(opening(customer, option, 2)) == [RejectCode.NOTIONAL_LIMIT]
    limited(customer, contracts=1)
    limits = limits_of(Account.objects.get(customer=customer))
    assert (limits.contracts, limits.notional) == (1, COST_OF_ONE)
    assert codes(opening(customer, option), opening(customer, option)) == [
        "accepted",
        RejectCode.CONTRACTS_LIMIT,
    ]


def test_a_limit_of_zero_stops_opens_and_lets_closes_through(customer, option):
    opened = place_open(customer, option, now=NOW)
    limited(customer, contracts=0)
    assert codes(opening(customer, option)) == [RejectCode.CONTRACTS_LIMIT]
    place_close(opened, now=NOW)


@given(
    cost=st.decimals(min_value=0, max_value=10**13, places=6).map(lambda cost: cost + 0),
    contracts=st.integers(1, 1_000_000),
    data=st.data(),
)
def test_what_is_left_of_a_cost_is_the_same_here_and_in_the_database(cost, contracts, data):
    remaining = data.draw(st.integers(0, contracts))
    row = PositionRow(1, 1, 1, contracts, remaining, 0, cost, Decimal(0), "OPEN", NOW)
    exact = cost * remaining / contracts if remaining < 1000 and cost < 10**6 else row.open_cost
    assert 0 <= exact - row.open_cost < Decimal("0.000001")
    assert row.open_cost <= cost


def test_burst_over_many_connections_holds_each_limit_exactly(transactional_db):
    option, customer = make_option(now=NOW), make_customer(balance="1000000", now=NOW)
    limited(customer, contracts=37)
    plans = [[opening(customer, option) for _ in range(10)] for _ in range(8)]
    results = at_once(partial(codes, *plan) for plan in plans)
    assert Counter(code for result in results for code in result) == {
        "accepted": 37,
        RejectCode.CONTRACTS_LIMIT: 43,
    }
    assert use_of(customer) == (37, 37 * COST_OF_ONE)
    limited(customer, orders_per_s=3)
    results = at_once(partial(codes, opening(customer, option)) for _ in range(60))
    # Those before it were counted at 200 a second and are 0.185 s of the ten.
    counted = Counter(code for [code] in results)
    assert counted == {"accepted": 29, RejectCode.TOO_MANY_ORDERS: 31}


# --- orders a second ------------------------------------------------------------------------------------------------


def test_so_many_orders_a_second_and_as_many_at_once_as_come_in_ten(customer, option):
    limited(customer, orders_per_s=2)
    at = NOW + timedelta(hours=1)
    make_option(now=at)
    sent = codes(*(opening(customer, option) for _ in range(25)), now=at)
    assert sent == ["accepted"] * 20 + [RejectCode.TOO_MANY_ORDERS] * 5
    for halves in range(1, 4):
        later = at + timedelta(milliseconds=500 * halves)
        assert codes(opening(customer, option), opening(customer, option), now=later) == [
            "accepted",
            RejectCode.TOO_MANY_ORDERS,
        ]
    assert codes(opening(customer, option), now=later + timedelta(milliseconds=499)) == [
        RejectCode.TOO_MANY_ORDERS
    ]


def test_a_replay_and_a_refused_order_count_for_nothing(customer, option):
    limited(customer, orders_per_s=1)
    request = opening(customer, option)
    assert codes(request, *[request] * 20) == ["accepted"] * 21
    beyond = OpenRequest(customer.pk, unique("o"), "BTC-NONE", 1)
    assert set(codes(*[beyond] * 20)) == {"option_not_found"}
    assert codes(*(opening(customer, option) for _ in range(10))) == ["accepted"] * 9 + ["too_many_orders"]


def test_another_customer_is_not_slowed_down(customer, option):
    limited(customer, orders_per_s=1)
    other = make_customer(now=NOW)
    requests = [opening(whose, option) for _ in range(12) for whose in (customer, other)]
    told = codes(*requests)
    assert told[1::2] == ["accepted"] * 12
    assert told[::2].count("accepted") == 10


# --- a series' ------------------------------------------------------------------------------------------------------


def test_a_series_sells_what_was_left_of_it_when_it_was_measured(customer, option, settings):
    settings.SERIES_CONTRACTS = 5
    place_open(customer, option, contracts=2, now=NOW)
    assert codes(opening(customer, option, 9)) == ["accepted"]  # before anybody measures
    Position.objects.filter(contracts=9).update(remaining=0, state="CLOSED")
    measure_series(now=NOW)
    quote = Quote.objects.get(option=option)
    assert (quote.contracts_left, quote.notional_left) == (3, settings.SERIES_NOTIONAL_USDT - 2 * COST_OF_ONE)
    other = make_customer(now=NOW)
    told = codes(opening(other, option, 2), opening(customer, option, 2), opening(customer, option))
    assert told == ["accepted", RejectCode.SERIES_LIMIT, "accepted"]
    # The overshoot: until it is measured again, each batch begins with what was left.
    assert codes(opening(other, option, 3)) == ["accepted"]
    measure_series(now=NOW)
    assert codes(opening(other, option)) == [RejectCode.SERIES_LIMIT]
    assert codes(opening(other, make_option(strike=95_000, now=NOW))) == ["accepted"]


def test_a_series_has_limits_of_its_own(customer, option):
    place_open(customer, option, contracts=2, now=NOW)
    to = Setting(contracts=None, notional=3 * COST_OF_ONE)
    set_series_limit(option_id=option.pk, to=to, reason="thin", by="ann", now=NOW)
    measure_series(now=NOW)
    assert codes(opening(customer, option, 2), opening(customer, option)) == [
        RejectCode.SERIES_LIMIT,
        "accepted",
    ]


# --- the desk's float -----------------------------------------------------------------------------------------------


def test_beyond_the_float_closes_are_paid_at_fill_only_until_the_desk_has_settled(customer, option, settings):
    settings.INSTANT_PAYOUT_FLOAT_USDT = 2 * PROCEEDS_OF_ONE
    opened = place_open(customer, option, contracts=9, now=NOW)
    quote = give(request=CloseQuoteRequest(customer.pk, opened.position_id, 1), now=NOW)
    closes = [place_close(opened, contracts=1, now=NOW) for _ in range(2)]
    watch = Watch(started_at=NOW)
    watch.judge(now=NOW)
    status = TradingStatus.objects.get(underlying="ETH")
    assert (status.payout_float_usdt, status.pays_at_once) == (2 * PROCEEDS_OF_ONE, False)

    def close(**fields):
        return CloseRequest(customer.pk, unique("c"), position_id=opened.position_id, contracts=1, **fields)

    told = codes(close(), close(payout="at_fill"), close(quote_id=quote.pk))
    assert told == [RejectCode.PAYOUT_AT_FILL_ONLY, "accepted", "accepted"]
    asked = CloseQuoteRequest(customer.pk, opened.position_id, 1)
    assert give(request=asked, now=NOW).code == RejectCode.PAYOUT_AT_FILL_ONLY
    reports = [
        SettlementReport(
            order_id=order.id,
            conversion_id=1,
            price=Decimal(90_000),
            value=order.fair,
            fee=Decimal(0),
            due=order.fair,
            settled_at=NOW,
        )
        for order in closes
    ]
    take_reports(reports=reports, now=NOW)
    watch.judge(now=NOW + timedelta(seconds=20))
    assert TradingStatus.objects.get(underlying="BTC").pays_at_once
    assert codes(close()) == ["accepted"]


# --- set by a person, counted anew ----------------------------------------------------------------------------------


def test_who_set_a_limit_when_to_what_and_why_is_kept(customer):
    limited(customer, contracts=5)
    limited(customer, orders_per_s=7)
    own = Account.objects.get(customer=customer)
    assert (own.contracts_limit, own.notional_limit, own.orders_limit) == (None, None, 7)
    changes = LimitChange.objects.order_by("pk").values_list(
        "contracts", "orders_per_s", "by", "reason", "at"
    )
    assert list(changes) == [(5, None, "ann", "a test", NOW), (None, 7, "ann", "a test", NOW)]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({}, " "), ({"contracts": -1}, "r"), ({"notional": Decimal(-1)}, "r"), ({"orders_per_s": 0}, "r")],
)
def test_a_limit_without_meaning_or_reason_is_not_set(customer, limits, reason):
    to = Setting(**{"contracts": None, "notional": None} | limits)
    with pytest.raises(LimitRefused):
        set_customer_limit(customer_id=customer.pk, to=to, reason=reason, by="ann", now=NOW)
    assert not LimitChange.objects.exists()


def test_nobody_has_limits_without_an_account():
    with pytest.raises(LimitRefused):
        set_customer_limit(customer_id=10**9, to=Setting(1, None), reason="r", by="ann", now=NOW)


def test_what_has_drifted_is_counted_anew_and_nothing_else_is_touched(option):
    drifted, right, empty = (make_customer(now=NOW) for _ in range(3))
    opened = place_open(drifted, option, contracts=7, now=NOW)
    place_close(opened, contracts=3, now=NOW)
    place_close(place_open(drifted, option, contracts=2, now=NOW), now=NOW)
    place_open(right, option, now=NOW)
    kept = use_of(drifted)
    assert kept == (4, Decimal(int(7 * COST_OF_ONE * 10**6) * 4 // 7) / 10**6)
    assert recount() == 0
    Account.objects.filter(customer=drifted).update(open_contracts=0, open_cost=0)
    Account.objects.filter(customer=empty).update(open_contracts=-1)
    assert recount() == 2
    assert [use_of(customer) for customer in (drifted, right, empty)] == [
        kept,
        (1, COST_OF_ONE),
        (0, Decimal(0)),
    ]
    assert recount() == 0


# --- in the admin ---------------------------------------------------------------------------------------------------


def pressed(client, model, pk, **fields):
    address = reverse(f"admin:counter_{model}_changelist")
    given = {"action": "set_limits", "_selected_action": [pk], **fields}
    return client.post(address, given, follow=True).content.decode()


def test_operators_set_the_limits_of_customers_and_series_with_a_reason(customer, option):
    operator, viewer = (staff(role, role=role) for role in ("operator", "viewer"))
    account = Account.objects.get(customer=customer)
    system = Account.objects.filter(customer__isnull=True).first()
    assert "Limits of 1 set" in pressed(operator, "account", account.pk, contracts="4", why="new here")
    account.refresh_from_db()
    assert (account.contracts_limit, account.notional_limit, account.orders_limit) == (4, None, None)
    assert "a reason is needed" in pressed(operator, "account", account.pk, contracts="5")
    assert "Not done" in pressed(operator, "account", account.pk, orders_per_s="0", why="r")
    assert "Limits of 0 set" in pressed(operator, "account", system.pk, contracts="5", why="r")
    pressed(viewer, "account", account.pk, contracts="9", why="r")
    assert "Limits of 1 set" in pressed(operator, "quote", option.pk, notional="12.5", why="thin")
    assert list(LimitChange.objects.order_by("pk").values_list("by", "reason", "contracts", "notional")) == [
        ("operator", "new here", 4, None),
        ("operator", "thin", None, Decimal("12.5")),
    ]
