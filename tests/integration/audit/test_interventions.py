"""What people did leaves the books clean, and what they did wrongly is named by the audit until it is put right."""

from decimal import Decimal

import pytest
from django.utils import timezone

from settlement.book.chart import CAPITAL, VENUE
from settlement.book.legs import Legs
from settlement.funds import treasury
from settlement.interventions.terms import HandTrade, OrderTerms
from settlement.models import Conversion, FundsTransfer, StateChange
from tests.support import desk
from tests.support.desk_bench import POST
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.people import ask_for, decide, hand_trades
from tests.support.tampering import broken, tampered


@pytest.fixture(autouse=True)
def _nothing_is_too_early(settings, monkeypatch):
    settings.AUDIT_CLOCK_TOLERANCE_SECONDS = 0
    monkeypatch.setattr("settlement.venues.error_table.MISSED_AFTER_SECONDS", 0.0)


def stuck(venue, paper_venue, fault: str) -> Conversion:
    """The conversion that is left in a person's hands."""
    desk.deliver()
    paper_venue.add_fault(fault, **POST)
    desk.convert(venue)
    made = Conversion.objects.get(state="UNKNOWN")
    decide(made, "take_over", venue)
    return made


@pytest.fixture
def opened(two_systems, venue):
    """A position that is settled."""
    order = place_open(make_customer(), make_option(), contracts=500)
    desk.run_desk(venue)
    return order


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("kind", ["write_off", "release", "retry"])
def test_what_the_venue_never_executed_is_ended_cleanly(opened, check, venue, paper_venue, side, kind):
    if side == "buy":
        place_open(make_customer(), make_option(), contracts=300)
    else:
        place_close(opened, contracts=300, payout="at_fill")
    made = stuck(venue, paper_venue, "request_lost")
    assert made.side == side
    decide(made, kind, venue)
    if kind == "retry":
        from settlement.conversions import sweep

        for _ in range(3):
            Conversion.objects.filter(state="UNKNOWN").update(due_at=timezone.now())
            sweep.resume(venue=venue, now=timezone.now())
    desk.convert(venue)
    desk.balance()
    desk.report()
    report = check()
    assert broken(report) == {}
    assert not any(result.in_flight.total for result in report.results)


def test_what_is_booked_by_hand_is_held_against_the_venues_trades(
    opened, check, venue, paper_venue, venue_account
):
    place_open(make_customer(), make_option(), contracts=300)
    desk.deliver()
    paper_venue.add_fault("stale_reads", path="/api/v3/order", method="GET", lag_ms=3_600_000)
    paper_venue.add_fault("reply_lost", **POST)
    desk.convert(venue)
    made = Conversion.objects.get(state="UNKNOWN")
    decide(made, "take_over", venue)
    trades = paper_venue.state(venue_account[0])["trades"]
    order_id = max(trade["orderId"] for trade in trades)
    fills = hand_trades(trade for trade in trades if trade["orderId"] == order_id)
    decide(made, "book_by_hand", venue, terms=OrderTerms(venue_order_id=str(order_id), trades=fills))
    desk.report()
    assert broken(check()) == {}

    change = "UPDATE settlement_fill SET fee = fee + 0.00000001 WHERE intervention_id IS NOT NULL"
    with tampered("desk", "settlement_fill", change):
        assert {what for what, _ in broken(check())[5]} == {"trade differs from its fill"}


def test_a_trade_booked_by_hand_that_the_venue_never_made_stays_a_break(opened, check, venue, paper_venue):
    place_open(make_customer(), make_option(), contracts=300)
    made = stuck(venue, paper_venue, "request_lost")
    price = made.reference_price
    fill = HandTrade(
        venue_trade_id="987654321",
        price=price,
        coin=made.quantity,
        usdt=price * made.quantity,
        fee=Decimal(0),
        fee_asset="USDT",
        traded_at=timezone.now(),
    )
    decide(made, "book_by_hand", venue, terms=OrderTerms(venue_order_id="987654321", trades=(fill,)))
    desk.report()
    found = broken(check())
    assert ("fill is not among the venue's trades", "venue trade 987654321 BTC/USDT") in found.pop(5)
    assert found == {}


def lost_transfer(venue, paper_venue) -> FundsTransfer:
    paper_venue.add_fault("request_lost", path="/sapi/v1/asset/transfer$", method="POST", count=1)
    direction = FundsTransfer.Direction.TO_RESERVE
    made = treasury.start(
        asset="BTC", amount=Decimal(1), direction=direction, venue=venue, now=timezone.now()
    )
    assert made is not None
    decide(made, "take_over", venue)
    return made


def test_a_transfer_that_left_and_never_came_is_written_off_cleanly(opened, check, venue, paper_venue):
    made = lost_transfer(venue, paper_venue)
    legs = Legs(now=timezone.now())  # a coin that the wallet had once and has no more
    legs.add("capital", "BTC", debit=VENUE, credit=CAPITAL, amount=Decimal(1))
    legs.post()
    missing = {("wallet is not what the book says", "trading wallet BTC")}
    assert broken(check()) == {5: missing}
    decide(made, "write_off", venue)
    assert broken(check()) == {}
    with tampered(
        "desk", "settlement_fundstransfer", "UPDATE settlement_fundstransfer SET state = 'RELEASED'"
    ):
        found = broken(check())[5]
    assert ("funds transfer is not booked as it was made", f"funds transfer {made.pk}") in found


def test_a_transfer_written_off_that_never_left_is_a_break(opened, check, venue, paper_venue):
    made = lost_transfer(venue, paper_venue)
    decide(made, "write_off", venue)
    assert broken(check()) == {5: {("wallet is not what the book says", "trading wallet BTC")}}


def test_a_write_off_in_the_wrong_amount_is_found(opened, check, venue, paper_venue):
    place_open(make_customer(), make_option(), contracts=300)
    made = stuck(venue, paper_venue, "request_lost")
    decide(made, "write_off", venue)
    desk.report()
    change = "UPDATE settlement_conversion SET written_off_coin = written_off_coin + 0.00000001 WHERE id = %s"
    with tampered("desk", "settlement_conversion", change, [made.pk]):
        found = broken(check())[4]
    assert ("conversion does not add up: legs on suspense BTC", f"conversion {made.pk}") in found


def test_a_request_that_waits_is_listed_and_its_path_is_checked(opened, check, venue, paper_venue):
    place_open(make_customer(), make_option(), contracts=300)
    made = stuck(venue, paper_venue, "request_lost")
    ask_for(made, "release", venue)
    report = check()
    assert broken(report) == {}
    waiting = [
        finding for finding in report.result(8).in_flight.listed if finding.where.startswith("intervention")
    ]
    assert [("an approver" in finding.detail) for finding in waiting] == [True]
    step = StateChange.objects.filter(subject="intervention").latest("id")
    change = "DELETE FROM settlement_statechange WHERE id = %s"
    with tampered("desk", "settlement_statechange", change, [step.pk]):
        assert {what for what, _ in broken(check())[7]} == {"history is no legal path"}
