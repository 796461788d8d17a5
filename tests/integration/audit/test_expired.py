"""Options at their end, settled at the real venue: the audit finds nothing there, and each planted error of an end."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.expiring import expiry
from counter.models import Expiry, Option, Position, SyncOrder
from counter.orders.requests import Order
from settlement.models import Conversion
from tests.support import desk
from tests.support.expiring import buy, expiring_option, last_expiry, position_of, record_index
from tests.support.factories import make_customer, place_close
from tests.support.tampering import broken, tampered

# A tenth away from the market, as it may be hours later: no price band of the desk has to do with it.
INDEX = Decimal(81_000)
POSITION, ORDER, OPTION = "counter_position", "counter_syncorder", "counter_option"


@dataclass(frozen=True)
class Ends:
    """Positions by how they ended."""

    paid: Order
    at_fill: Order
    partly_closed: Order
    worthless: Order


@pytest.fixture
def ends(two_systems, venue, settings) -> Ends:
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(500)
    at = last_expiry()
    calls = expiring_option(in_the_money_by=18_000, expires_at=at)
    puts = expiring_option(kind="P", in_the_money_by=-18_000, expires_at=at)
    customer = make_customer(now=at - timedelta(days=1))
    paid, at_fill, partly_closed = (buy(customer, calls, contracts=5) for _ in range(3))
    worthless = buy(make_customer(now=at - timedelta(days=1)), puts, contracts=3)
    desk.run_desk(venue)
    place_close(partly_closed, contracts=2, payout="at_fill", now=at - timedelta(hours=20))
    desk.deliver()
    record_index(price=INDEX, expires_at=at)
    assert expiry.expire_due(now=timezone.now()) == 4
    return Ends(paid, at_fill, partly_closed, worthless)


@pytest.fixture
def settled(ends, venue) -> Ends:
    desk.run_desk(venue)
    expiry.expire_due(now=timezone.now())
    return ends


def test_an_expiry_is_in_order_before_and_after_it_is_settled(ends, check, venue):
    assert [position_of(o).state for o in (ends.paid, ends.at_fill, ends.partly_closed, ends.worthless)] == [
        "EXERCISED",
        "EXERCISED",
        "EXERCISED",
        "EXPIRED",
    ]
    assert broken(check()) == {}
    desk.run_desk(venue)
    expiry.expire_due(now=timezone.now())
    report = check()
    assert (report.broken, report.in_flight, report.unchecked) == (0, 0, [])


def test_exercises_are_one_sale_and_those_at_fill_get_what_it_really_brought(settled):
    sale = Conversion.objects.latest("id")
    assert (sale.side, sale.state, sale.order_count) == ("sell", "BOOKED", 4)
    late = SyncOrder.objects.get(kind="EXERCISE", position_id=settled.at_fill.position_id)
    assert late.settlement_price > INDEX
    assert late.amount == late.settlement_due > late.fair
    assert position_of(settled.at_fill).proceeds == late.amount
    assert set(Option.objects.values_list("state", flat=True)) == {"SETTLED"}
    assert set(Expiry.objects.values_list("state", flat=True)) == {"SETTLED"}


@pytest.mark.parametrize(
    ("table", "change", "rule"),
    [
        (POSITION, "SET state = 'EXPIRED' WHERE state = 'EXERCISED'", "position does not fit its orders"),
        (POSITION, "SET state = 'EXERCISED' WHERE state = 'EXPIRED'", "position does not fit its orders"),
        (POSITION, "SET remaining = 1 WHERE state = 'EXPIRED'", "position does not fit its orders"),
        (
            POSITION,
            "SET proceeds = proceeds + 1 WHERE state = 'EXERCISED'",
            "position does not fit its orders",
        ),
        (
            POSITION,
            "SET state = 'OPEN', remaining = 3, closed_at = NULL WHERE state = 'EXPIRED'",
            "position is open in a settled option",
        ),
        (OPTION, "SET settlement_index = 80000", "option does not fit its expiry"),
        (OPTION, "SET settlement_index = 80000", "exercise is not the option's payoff"),
        (OPTION, "SET state = 'LISTED'", "option does not fit its expiry"),
        (OPTION, "SET strike = strike - 1 WHERE kind = 'C'", "exercise is not the option's payoff"),
        (OPTION, "SET strike = 200000 WHERE kind = 'P'", "position in the money expired at zero"),
        (
            ORDER,
            "SET coin = coin + 0.00000001 WHERE kind = 'EXERCISE'",
            "exercise is not the option's payoff",
        ),
        (
            ORDER,
            "SET coin = coin - 0.00000001 WHERE kind = 'EXERCISE'",
            "exercise is not the option's payoff",
        ),
        ("counter_settlementindex", "SET price = price + 1", "option does not fit its expiry"),
    ],
)
def test_an_end_that_is_not_what_it_should_be_is_found(settled, check, table, change, rule):
    with tampered("default", table, f"UPDATE {table} {change}"):
        assert rule in {what for what, _ in broken(check()).get(7, set())}


def test_a_position_that_nobody_exercises_is_broken_and_one_that_waits_for_its_index_is_a_persons(
    two_systems, check, venue
):
    at = last_expiry()
    opening = buy(make_customer(now=at - timedelta(days=1)), expiring_option(expires_at=at))
    desk.run_desk(venue)
    assert {where for _, where in broken(check())[8]} == {f"option {opening.symbol}"}
    expiry.expire_due(now=timezone.now())
    report = check()
    assert broken(report) == {}
    [waits] = [each for each in report.result(8).in_flight.listed if each.where.startswith("expiry BTC")]
    assert "owned by a person who enters the index" in waits.detail
    Expiry.objects.update(why="", taken_at=timezone.now() - timedelta(seconds=121))
    assert {where[:10] for _, where in broken(check())[8]} == {"expiry BTC"}
    Expiry.objects.update(
        state="EXERCISING", taken_at=timezone.now(), indexed_at=timezone.now() - timedelta(seconds=301)
    )
    assert Position.objects.get().state == "OPEN"
    assert {where[:10] for _, where in broken(check())[8]} == {"expiry BTC"}
