"""What is under way, what needs a human, and what one reading serves."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.utils import timezone

import audit
from acceptance.models import Conflict
from audit.record import record
from cockpit import snapshot
from cockpit.alerts import CODES, alerts
from cockpit.dashboard import shown
from cockpit.models import QueueDepth
from cockpit.queues import DEAD
from cockpit.sharing import Shared
from cockpit.stakes import Stake
from counter.expiring import expiry
from counter.market.quotes import record_index
from counter.models import Expiry, Position, TradingStatus
from counter.models.switches import ALL_COINS
from counter.money import withdrawals
from counter.trading.switches import State, throw
from counter.trading.watch import Watch
from infra.coordination import clock
from settlement.counter_link import clearing_payments
from settlement.models import Intervention, ReconciliationBreak, ReconciliationRun, VenueHalt
from settlement.venues.halts import RESTORED
from tests.support import desk
from tests.support.clearing import ask_to_pay, owe
from tests.support.cockpit import SECOND
from tests.support.expiring import buy, expiring_option, last_expiry
from tests.support.factories import INDEX, make_customer, make_option, place_open
from tests.support.people import BOB
from tests.support.threads import at_once


def read(after_seconds=0):
    return snapshot.read(now=timezone.now() + after_seconds * SECOND)


def codes(found):
    return {alert.code: alert for alert in alerts(found)}


def under_way(found):
    return {(stage.kind, stage.state): stage.count for stage in found.stages if stage.count}


@pytest.fixture
def order(two_systems):
    return place_open(make_customer(), make_option(), contracts=50)


def test_a_new_installation_has_figures_and_needs_nobody_but_for_its_workers(two_systems):
    found = read()
    assert under_way(found) == {}
    assert found.rates is None
    assert codes(found).keys() == {"workers_silent"}


def test_an_order_is_seen_in_each_state_with_its_age(order, venue, paper_venue):
    placed_at = timezone.now()
    assert under_way(read()) == {("counter_order", "PENDING"): 1}
    stage = read(after_seconds=20).stages[0]
    assert 19 < stage.oldest_seconds < 20 + (timezone.now() - placed_at).total_seconds() + 1
    desk.deliver()
    assert under_way(read()) == {("counter_order", "SYNCED"): 1, ("desk_order", "RECEIVED"): 1}
    paper_venue.add_fault(kind="error_after", status=504, path="/api/v3/order$", method="POST", count=1)
    desk.convert(venue)
    assert under_way(read()) == {
        ("counter_order", "SYNCED"): 1,
        ("desk_order", "CONVERTING"): 1,
        ("conversion", "UNKNOWN"): 1,
    }
    alert = codes(read(after_seconds=90))["conversion_unknown"]
    assert alert.count == 1
    assert alert.url.endswith("?state__exact=UNKNOWN")
    assert alert.stake == Stake(customers=1, usdt=order.fair)
    [(_, extent)] = [each for each in shown(read(after_seconds=90)).alerts if each[0].code == alert.code]
    assert extent.startswith(f"{order.fair:,.2f} USDT of 1 customer, for ")


def test_a_conversion_that_is_executed_and_not_booked_is_said(order, venue):
    desk.deliver()
    desk.convert(venue)
    assert "conversion_filled" not in codes(read())
    alert = codes(read(after_seconds=32))["conversion_filled"]
    assert (alert.count, alert.url.endswith("?state__exact=FILLED")) == (1, True)


def test_orders_that_stay_are_said_to_be_stuck(order):
    assert "orders_stuck" not in codes(read())
    assert "PENDING" in codes(read(after_seconds=31))["orders_stuck"].what


def test_a_withdrawal_that_the_wallet_does_not_end_is_said(two_systems):
    now = timezone.now()
    withdrawals.reserve(customer_id=make_customer().pk, amount=Decimal(1), reference="w-1", now=now)
    assert under_way(read()) == {("withdrawal", "RESERVED"): 1}
    assert "withdrawal_overdue" not in codes(read())
    alert = codes(read(after_seconds=settings.WITHDRAWAL_OVERDUE_AFTER_SECONDS + 1))["withdrawal_overdue"]
    assert (alert.count, alert.url.endswith("?state__exact=RESERVED")) == (1, True)
    assert alert.stake == Stake(customers=1, usdt=Decimal(1))
    withdrawals.confirm(reference="w-1", now=now)
    assert under_way(read()) == {}


def test_each_thing_that_needs_a_human_is_said_with_what_to_do(order):
    now = timezone.now()
    Conflict.objects.create(
        source="x", order_id=1, reason="invalid", received={}, digest="d", door="queue", noted_at=now
    )
    VenueHalt.objects.create(venue=settings.VENUE, reason="a refused key", began_at=now, ask_at=now)
    QueueDepth.objects.create(queue=DEAD, messages=3, at=now)
    Intervention.objects.create(
        kind="release",
        subject="conversion",
        subject_id=1,
        subject_state="MANUAL",
        subject_version=1,
        reason="it never arrived",
        evidence="their support's mail",
        requested_by_id=1,
        requested_by="ann",
        requested_at=now,
    )
    ReconciliationBreak.objects.create(what="w", where="w", detail="d", since=now, found_at=now, seen_at=now)
    found = codes(read())
    assert {"conflict_open", "venue_halted", "dead_letters", "intervention_waiting"} <= found.keys()
    assert found["break_open"].url.endswith("?state__exact=OPEN")
    assert found["dead_letters"].count == 3
    assert all(alert.do and alert.code in CODES for alert in found.values())


def test_a_payment_of_clearing_that_waits_for_a_second_person_is_said_until_it_is_decided(two_systems):
    owe(Decimal(100))
    stated = ask_to_pay("40")
    found = codes(read(after_seconds=60))["clearing_payment_waiting"]
    assert (found.count, found.url.endswith("settlement/clearingpayment/?state__exact=REQUESTED")) == (
        1,
        True,
    )
    assert found.oldest_seconds == pytest.approx(60, abs=30)
    clearing_payments.approve(payment_id=stated.pk, by=BOB, note="seen", now=timezone.now())
    assert "clearing_payment_waiting" not in codes(read())


def test_rows_of_the_future_and_databases_that_differ_are_said(two_systems, monkeypatch):
    assert "clock_wrong" not in codes(read())
    now = timezone.now()
    record_index(prices={"BTC": Decimal(1), "ETH": Decimal(1)}, now=now + timedelta(hours=1))
    assert (codes(read())["clock_wrong"].count, read().clocks.ahead["samples"]) == (2, 2)
    record_index(prices={"BTC": Decimal(1), "ETH": Decimal(1)}, now=now)
    assert "clock_wrong" not in codes(read())
    ahead = clock.of("desk").now() + timedelta(minutes=2)
    monkeypatch.setattr(clock.of("desk"), "known", lambda: ahead)
    found = read()
    assert 110 < found.clocks.desk_ahead_seconds < 121
    assert codes(found)["clock_wrong"].count == 1


def test_a_restored_desk_is_said_to_wait_for_a_person(two_systems):
    now = timezone.now()
    VenueHalt.objects.create(venue=settings.VENUE, reason=RESTORED, began_at=now, ask_at=now)
    assert "after_restore" in codes(read())["venue_halted"].do


def test_a_broken_audit_is_kept_and_shown_until_one_finds_nothing(order, venue):
    run = record(audit.run(now=timezone.now() + 100 * SECOND, venue=venue))
    assert run.broken
    assert codes(read())["audit_broken"].url.endswith(f"/{run.pk}/change/")
    desk.run_desk(venue)
    assert not record(audit.run(now=timezone.now(), venue=venue)).broken
    assert "audit_broken" not in codes(read())


def reconciled(at, *, unchecked=""):
    counts = dict.fromkeys(("checked", "found", "closed", "open", "in_flight"), 0)
    ReconciliationRun.objects.create(
        **counts,
        at=at,
        trades_until=at,
        seconds=1,
        by="beat",
        unchecked=unchecked,
        orders_until=0,
        legs_until=0,
        balances={},
    )


def test_a_reconciliation_that_compared_everything_is_missed_after_half_an_hour(two_systems):
    now = timezone.now()
    reconciled(now)
    reconciled(now + 1000 * SECOND, unchecked="the venue did not answer")
    assert "reconciled_old" not in codes(read(after_seconds=1700))
    assert codes(read(after_seconds=1900))["reconciled_old"].oldest_seconds >= 1800
    reconciled(now + 1100 * SECOND)
    assert "reconciled_old" not in codes(read(after_seconds=1900))


def test_an_audit_that_never_ran_is_missed_after_hours(two_systems):
    assert "audit_old" not in codes(read())
    assert codes(read(after_seconds=4 * 3600))["audit_old"].oldest_seconds >= 4 * 3600


def test_exposure_is_the_one_that_the_coin_is_judged_by(order):
    now = timezone.now()
    Watch(started_at=now).judge(now=now)
    coin = next(coin for coin in read().coins if coin.coin == "BTC")
    assert coin.exposure == TradingStatus.objects.get(underlying="BTC").exposure_usdt
    assert coin.exposure == order.coin * INDEX["BTC"]
    assert coin.halt_from == settings.BREAKER_EXPOSURE_USDT["BTC"][1]


def test_without_the_desks_database_the_rest_is_shown(order, desk_away):
    found = read()
    assert found.desk is None
    assert under_way(found) == {("counter_order", "PENDING"): 1}
    assert "desk_database_down" in codes(found)


def test_many_viewers_cost_one_reading():
    began, may_end = threading.Event(), threading.Event()
    readings = []

    def slow(*, now):
        readings.append(now)
        began.set()
        assert may_end.wait(timeout=30)
        return object()

    shared = Shared(slow)
    threading.Timer(0.2, may_end.set).start()
    seen = at_once([lambda: shared.current(now=timezone.now())] * 8)
    assert began.is_set()
    assert len(readings) == 1
    assert len(set(map(id, seen))) == 1


def test_what_a_person_has_stopped_stays_among_what_needs_a_human_until_it_goes_on(two_systems):
    Watch(started_at=timezone.now()).judge(now=timezone.now())
    make_option()
    Watch(started_at=timezone.now()).judge(now=timezone.now())
    stop = {"underlying": ALL_COINS, "by": "ann", "now": timezone.now()}
    throw(to=State.ALL_STOPPED, reason="the index is wrong", **stop)
    found = codes(read())
    assert "ann has stopped all coins" in found["trading_stopped"].what
    assert "the index is wrong" in found["trading_stopped"].what
    assert "coin_contained" not in found
    throw(to=State.RUNNING, reason="it is right", **stop)
    assert "trading_stopped" not in codes(read())


def test_an_expiry_without_its_index_and_one_that_nobody_takes_on_need_a_human(two_systems):
    at = last_expiry()
    buy(make_customer(now=at - timedelta(days=1)), expiring_option(expires_at=at))
    assert codes(read())["expiry_late"].oldest_seconds > 3600
    expiry.expire_due(now=timezone.now())
    found = codes(read())
    assert "expiry_late" not in found
    missing = found["index_missing"]
    assert missing.count == 1
    assert missing.oldest_seconds > 3600
    assert missing.url == "/admin/counter/expiry/?state__exact=WAITING"
    Expiry.objects.update(state="EXERCISING", indexed_at=timezone.now() - timedelta(seconds=121))
    assert codes(read()).keys() & {"expiry_late", "index_missing"} == {"expiry_late"}
    Position.objects.update(state="EXERCISED")
    assert not codes(read()).keys() & {"expiry_late", "index_missing"}
