"""At every step of an order's way the audit calls it in flight, never broken, and says how old it is."""

from datetime import timedelta

import pytest
from django.utils import timezone

import audit
from settlement.conversions import converting, sweep
from settlement.funds import treasury
from settlement.models import Conversion, FundsTransfer
from tests.support import desk
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.tampering import broken


def in_flight(report) -> dict[int, int]:
    """How many things are in flight, by invariant."""
    return {result.number: result.in_flight.total for result in report.results if result.in_flight.total}


def test_order_is_in_flight_at_every_step_and_broken_at_none(past, check, venue):
    put, bob = make_option(kind="P"), make_customer()
    place_open(bob, put, contracts=100)
    place_close(past.opened, payout="at_fill")
    expected = {
        "placed": {3: 2, 6: 1, 8: 2},
        "delivered": {4: 2, 6: 1, 8: 2},
        "converted": {4: 2, 6: 1, 8: 3},
        "balanced": {6: 1, 8: 2},
        "reported": {},
    }
    steps = {
        "placed": lambda: None,
        "delivered": desk.deliver,
        "converted": lambda: desk.convert(venue),
        "balanced": desk.balance,
        "reported": desk.report,
    }
    for name, step in steps.items():
        step()
        report = check()
        assert broken(report) == {}, name
        found = in_flight(report)
        found.pop(5, None)  # a trade not booked yet: only where one is made, see below
        assert found == expected[name], name
        assert all(finding.age_s >= 0 for result in report.results for finding in result.in_flight.listed)


def test_trade_of_a_filled_conversion_is_stored_and_the_wallets_are_exact(past, check, venue):
    place_open(past.customer, past.option, contracts=100)
    desk.deliver()
    desk.convert(venue)
    assert Conversion.objects.latest("id").state == "FILLED"
    report = check()
    assert report.result(5).state == "ok"
    assert report.result(5).checked


def test_executed_conversion_whose_answer_was_lost_is_in_flight_and_the_wallets_are_exact(
    past, check, venue, paper_venue, settings
):
    settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0  # its trade is known by its order, not by its youth
    place_open(past.customer, past.option, contracts=100)
    desk.deliver()
    paper_venue.add_fault("reply_lost", method="POST", path="/api/v3/order", count=1)
    desk.convert(venue)
    unknown = Conversion.objects.latest("id")
    assert unknown.state == "UNKNOWN"
    report = check()
    assert broken(report) == {}
    trades = report.result(5).in_flight.listed
    assert trades
    assert {finding.what for finding in trades} == {"trade is not stored yet"}
    assert all(finding.detail.startswith(f"conversion {unknown.pk} UNKNOWN") for finding in trades)
    later = timezone.now() + timedelta(seconds=60)
    sweep.resume(venue=venue, now=later)
    desk.report(now=later + timedelta(seconds=10))
    report = check()
    assert (broken(report), report.in_flight) == ({}, 0)


@pytest.mark.parametrize("asset", ["USDT", "BTC"])
def test_wallet_transfer_whose_answer_was_lost_is_in_flight(past, check, venue, paper_venue, settings, asset):
    settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0
    paper_venue.add_fault("reply_lost", method="POST", path="/sapi/v1/asset/transfer", count=1)
    treasury.start(
        asset=asset,
        amount=settings.WALLET_BANDS[asset]["low"],
        direction=FundsTransfer.Direction.TO_RESERVE,
        venue=venue,
        now=timezone.now(),
    )
    assert FundsTransfer.objects.get().state == "UNKNOWN"
    report = check()
    assert broken(report) == {}
    assert [finding.what for finding in report.result(5).in_flight.listed] == [
        "wallet transfer is not booked yet"
    ]
    sweep.resume(venue=venue, now=timezone.now() + timedelta(seconds=60))
    assert FundsTransfer.objects.get().state == "CONFIRMED"
    report = check()
    assert (broken(report), report.in_flight) == ({}, 0)


def test_manual_conversion_is_listed_with_its_owner_and_not_broken_however_old(past, venue):
    from settlement.venues import state_history

    place_open(past.customer, past.option, contracts=100)
    desk.deliver()
    planned, _, _ = converting.plan(
        underlying="BTC", market=venue.market("BTC"), top=venue.top_of_book("BTC"), now=timezone.now()
    )
    state_history.advance(
        planned, Conversion.hand_over, at=timezone.now(), by="test", reason="the market is gone"
    )
    report = audit.run(now=timezone.now() + timedelta(days=1), venue=venue)
    assert broken(report) == {}
    details = {finding.where: finding.detail for finding in report.result(8).in_flight.listed}
    assert details[f"conversion {planned.pk}"] == "MANUAL, owned by a person, the market is gone"


@pytest.mark.django_db(transaction=True, databases=["default", "desk"])
def test_books_that_are_not_opened_yet_are_no_break(venue):
    report = audit.run(now=timezone.now(), venue=venue)
    assert broken(report) == {}
    assert in_flight(report) == {5: 1}
