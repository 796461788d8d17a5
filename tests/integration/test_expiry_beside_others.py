"""Options that end while others work on them: several processes, a close, a held account, a coin that is stopped."""

import threading
import time
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import connections

from counter.expiring import expiry
from counter.expiring.settlement_index import settle_at_average
from counter.market import feed
from counter.models import (
    Expiry,
    Position,
    SettlementIndex,
    SyncOrder,
    TradingSwitch,
)
from counter.orders.placing import place_orders
from counter.orders.requests import CloseRequest
from counter.trading.switches import throw
from infra.coordination.leader import exclusive
from tests.support.databases import held_account
from tests.support.expiring import (
    AFTER,
    BEFORE,
    EXPIRES_AT,
    LATER,
    SECOND,
    balance_of,
    buy,
    exercises,
    expiring_option,
    last_expiry,
    position_of,
    record_index,
)
from tests.support.factories import make_customer
from tests.support.threads import at_once
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db


def test_while_a_person_has_stopped_all_of_a_coin_its_positions_wait():
    customer = make_customer()
    bitcoin = buy(customer, expiring_option())
    ether = buy(customer, expiring_option(underlying="ETH", in_the_money_by=300))
    record_index("BTC")
    record_index("ETH")
    stop = {"underlying": "BTC", "reason": "its index is wrong", "by": "ann", "now": EXPIRES_AT}
    throw(to=TradingSwitch.State.ALL_STOPPED, **stop)
    expiry.expire_due(now=AFTER)
    assert (position_of(bitcoin).state, position_of(ether).state) == ("OPEN", "EXERCISED")
    throw(to=TradingSwitch.State.RUNNING, **stop)
    expiry.expire_due(now=AFTER + SECOND)
    assert position_of(bitcoin).state == "EXERCISED"


def test_one_that_is_stopped_with_its_index_known_waits_too():
    opening = buy(make_customer(), expiring_option())
    record_index()
    stop = {"underlying": "*", "reason": "wait", "by": "ann", "now": AFTER}
    expiry.expire_due(now=EXPIRES_AT)
    settle_at_average(expiry_id=Expiry.objects.get().pk, now=AFTER)
    throw(to=TradingSwitch.State.ALL_STOPPED, **stop)
    expiry.expire_due(now=LATER)
    assert (position_of(opening).state, Expiry.objects.get().state) == ("OPEN", "EXERCISING")
    throw(to=TradingSwitch.State.OPENS_STOPPED, **stop)
    expiry.expire_due(now=LATER)
    assert position_of(opening).state == "EXERCISED"


def test_a_coin_that_is_stopped_in_the_middle_is_ended_no_further(monkeypatch):
    monkeypatch.setattr(expiry, "CHUNK_POSITIONS", 2)
    option, customer = expiring_option(), make_customer()
    openings = [buy(customer, option) for _ in range(5)]
    record_index()
    exercise = expiry.exercise_apart

    def exercise_then_stop(**asked):
        done = exercise(**asked)
        throw(underlying="BTC", to=TradingSwitch.State.ALL_STOPPED, reason="wrong index", by="ann", now=AFTER)
        return done

    monkeypatch.setattr(expiry, "exercise_apart", exercise_then_stop)
    expiry.expire_due(now=AFTER)
    ended = [position_of(opening).state for opening in openings]
    assert ended == ["EXERCISED"] * 2 + ["OPEN"] * 3


@pytest.mark.django_db(transaction=True)
def test_an_account_that_somebody_holds_holds_up_nobody_elses_expiry():
    option, customers = expiring_option(), [make_customer() for _ in range(6)]
    openings = [buy(customer, option) for customer in customers]
    record_index()
    held = openings[4]
    with held_account(customers[4].pk):
        expiry.expire_due(now=AFTER)
        states = [position_of(opening).state for opening in openings]
    assert states == ["OPEN" if opening is held else "EXERCISED" for opening in openings]
    expiry.expire_due(now=AFTER)
    assert position_of(held).state == "EXERCISED"


@pytest.mark.django_db(transaction=True)
def test_of_many_that_run_it_at_once_each_position_is_paid_once_and_the_limit_holds(settings):
    settings.EXPIRY_INSTANT_PAYOUT_USDT = Decimal(1000)
    option, customers = expiring_option(), [make_customer() for _ in range(5)]
    openings = [buy(customers[number % 5], option) for number in range(20)]
    before = sum(map(balance_of, customers))
    record_index()
    at_once([partial(expiry.expire_due, now=AFTER)] * 4)
    assert {position_of(opening).state for opening in openings} == {"EXERCISED"}
    payouts = [order.payout for order in exercises()]
    assert payouts == ["instant"] * 11 + ["at_fill"] * 9
    assert sum(map(balance_of, customers)) == before + 11 * 90
    assert SettlementIndex.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_close_and_the_expiry_at_the_same_time_end_each_position_once():
    option, customer = expiring_option(), make_customer()
    openings = [buy(customer, option) for _ in range(12)]
    record_index()
    before = balance_of(customer)
    close = [
        partial(
            place_orders,
            requests=[
                CloseRequest(
                    customer_id=customer.pk, client_order_id=f"c-{n}", position_id=opening.position_id
                )
            ],
            now=BEFORE,  # decided by the clock of before, committed whenever it may be
        )
        for n, opening in enumerate(openings)
    ]
    at_once([*close[:6], partial(expiry.expire_due, now=AFTER), *close[6:]])
    orders = SyncOrder.objects.exclude(kind="OPEN")
    assert sorted(orders.values_list("position_id", flat=True)) == [o.position_id for o in openings]
    assert balance_of(customer) == before + sum(order.amount for order in orders)
    ended = Position.objects.values_list("state", flat=True)
    assert {state: list(ended).count(state) for state in set(ended)} == {
        state: count
        for state, kind in (("CLOSED", "CLOSE"), ("EXERCISED", "EXERCISE"))
        if (count := orders.filter(kind=kind).count())
    }


@pytest.mark.django_db(transaction=True)
def test_a_feed_ends_what_beat_and_workers_do_not(monkeypatch):
    at = last_expiry()
    opening = buy(make_customer(now=at - timedelta(days=1)), expiring_option(expires_at=at))
    record_index(expires_at=at)
    monkeypatch.setattr(feed, "EXPIRE_EVERY_SECONDS", 0.05)
    stopping = threading.Event()
    thread = threading.Thread(target=feed._expire_on, args=[stopping])
    with exclusive("expire", using="default"):
        thread.start()
        time.sleep(0.3)
        assert position_of(opening).state == "OPEN"  # somebody is at it
    assert wait_until(lambda: position_of(opening).state == "EXERCISED", within_seconds=60)
    stopping.set()
    thread.join(timeout=10)
    connections.close_all()
    assert not thread.is_alive()
