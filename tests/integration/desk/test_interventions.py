"""People end what the desk cannot: by two of them where money is booked, with the venue and the books agreeing after.

Conversions are stuck by the faults of the real paper venue, and what the venue executed is its own state's to say.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from acceptance.models import AcceptedOrder
from settlement.book.chart import SUSPENSE, USDT
from settlement.interventions import asking, deciding
from settlement.interventions.terms import HandTrade, OrderTerms, Refused, Terms
from settlement.models import (
    DeskTransfer,
    Fill,
    Intervention,
    ReconciliationBreak,
    StateChange,
)
from settlement.models.history import Subject
from tests.support.desk_bench import (
    assert_books_agree,
    assert_settled_once,
    book_balances,
    event,
    order_states,
    states,
    take_in,
)
from tests.support.intervening import (
    LATER,
    approve,
    ask,
    executed,
    refused_for_good,
    stuck,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


def test_what_the_venue_executed_and_hides_is_booked_by_two_people(desk):
    made = stuck(desk, hidden=True)
    waiting = ask(desk, made, "book_by_hand", executed(desk))
    assert (waiting.state, states(), order_states()) == ("REQUESTED", ["MANUAL"], {"CONVERTING"})

    done = approve(desk, waiting)
    assert (done.state, done.decided_by, states()) == ("APPLIED", "bob", ["BOOKED"])
    assert "knows no such order" in done.decision
    assert set(Fill.objects.values_list("intervention_id", flat=True)) == {done.pk}
    step = StateChange.objects.get(subject="conversion", to_state="FILLED")
    assert (step.by, f"intervention {done.pk}, asked for by ann" in step.why) == ("bob", True)
    assert_settled_once(desk, venue_orders=1)


def test_what_cannot_be_booked_is_told_why_and_booked_when_that_is_mended(desk):
    take_in(event())
    made = desk.convert()
    AcceptedOrder.objects.update(state="SETTLED")  # somebody's hand
    with pytest.raises(Refused, match="1 orders to settle, 0 settled"):
        ask(desk, made, "retry")
    retry = deciding.OPERATIONS[Subject.CONVERSION, "retry"]
    with pytest.raises(Refused, match="cannot be booked"):
        deciding.preview(operation=retry, row_id=made.pk, terms=Terms(), now=timezone.now())
    assert (states(), Intervention.objects.count()) == (["FILLED"], 0)
    AcceptedOrder.objects.update(state="CONVERTING")
    assert ask(desk, made, "retry").state == "APPLIED"
    assert (states(), DeskTransfer.objects.filter(conversion_id=made.pk).count()) == (["FILLED"], 0)
    desk.resume()
    assert_settled_once(desk, venue_orders=1)


def test_the_venues_trades_are_proposed_and_others_are_refused(desk):
    made = stuck(desk)
    proposed = asking.propose(made, desk.venue, timezone.now())
    assert [trade.venue_trade_id for trade in proposed.trades] == [
        trade.venue_trade_id for trade in executed(desk).trades
    ]
    other = OrderTerms(venue_order_id="77", trades=proposed.trades)
    with pytest.raises(Refused, match="shows other trades"):
        ask(desk, made, "book_by_hand", other)
    approve(desk, ask(desk, made, "book_by_hand", proposed))
    assert_settled_once(desk, venue_orders=1)


WRONG = {
    "the price is beyond the limit": {"price": Decimal(99_000), "usdt": Decimal("990.00")},
    "USDT is not price times coin": {"usdt": Decimal("900000")},
    "more than was ordered": {"coin": Decimal(5), "usdt": Decimal(450_000), "price": Decimal(90_000)},
    "no id": {"venue_trade_id": " "},
    "the fee is the trade": {"fee": Decimal("0.01"), "fee_asset": "BTC"},
    "a third asset's fee without its worth": {"fee_asset": "BNB", "fee": Decimal(1)},
    "a fee of nothing that is worth something": {
        "fee_asset": "BNB",
        "fee": Decimal(0),
        "fee_usdt": Decimal(5),
    },
    "a fee that is worth a gain": {"fee_asset": "BNB", "fee": Decimal(1), "fee_usdt": Decimal(-5)},
    "a third asset's fee worth more than the trade": {
        "fee_asset": "BNB",
        "fee": Decimal(1),
        "fee_usdt": Decimal(900_000),
    },
    "a rebate of more than the trade": {"fee": Decimal(-1), "fee_asset": "BTC"},
    "before the order": {"traded_at": timezone.now() - timedelta(days=2)},
    "nothing bought": {"coin": Decimal(0)},
    "nine decimals": {"fee": Decimal("0.000000001")},
    "no number": {"coin": Decimal("NaN")},
}


@pytest.mark.parametrize("slip", WRONG.values(), ids=WRONG)
def test_a_slip_of_the_hand_is_refused(desk, slip):
    made = stuck(desk, hidden=True)
    right = executed(desk).trades[0]
    values = {name: getattr(right, name) for name in right.__struct_fields__} | slip
    with pytest.raises(Refused):
        ask(desk, made, "book_by_hand", OrderTerms(venue_order_id="1", trades=(HandTrade(**values),)))
    assert not Intervention.objects.filter(kind="book_by_hand").exists()


def test_a_trade_is_booked_once(desk):
    booked = desk.settle(event())
    made = stuck(desk, hidden=True)
    terms = OrderTerms(venue_order_id=booked.venue_order_id, trades=executed(desk).trades[:1])
    with pytest.raises(Refused, match="booked already"):
        ask(desk, made, "book_by_hand", terms)


def test_a_trade_that_two_people_took_into_the_book_as_nobodys_is_not_booked_by_hand_again(desk):
    made = stuck(desk, hidden=True)
    terms = executed(desk)
    break_at(
        what="trade belongs to no conversion",
        symbol="BTC/USDT",
        venue_trade_id=terms.trades[0].venue_trade_id,
    )
    with pytest.raises(Refused, match="booked already"):
        ask(desk, made, "book_by_hand", terms)


def break_at(**columns) -> ReconciliationBreak:
    """A break that is written off."""
    now = timezone.now()
    moments = {"since": now, "found_at": now, "seen_at": now, "written_off_at": now}
    return ReconciliationBreak.objects.create(where="there", detail="", **moments, **columns)


def test_retry_books_what_the_venue_has_and_sends_nothing(desk):
    made = stuck(desk)
    assert ask(desk, made, "retry", now=timezone.now()).state == "APPLIED"
    desk.resume()
    assert states() == ["BOOKED"]
    assert_settled_once(desk, venue_orders=1)


def test_retry_converts_anew_what_the_venue_certainly_has_not(desk):
    made = refused_for_good(desk)
    ask(desk, made, "retry", now=timezone.now())
    sent = len(desk.venue.submissions)
    for step in range(1, 4):
        assert (states(), len(desk.venue.submissions)) == (["UNKNOWN"], sent)
        desk.resume(after=40 * step)
    assert (states(), order_states()) == (["MISSED"], {"RECEIVED"})
    assert desk.convert().state == "FILLED"
    desk.resume()
    assert_settled_once(desk, venue_orders=1)


def test_released_orders_go_into_a_conversion_of_their_own(desk):
    made = stuck(desk, "request_lost")
    approve(desk, ask(desk, made, "release"))
    assert (states(), order_states()) == (["RELEASED"], {"RECEIVED"})
    assert desk.convert().state == "FILLED"
    desk.resume()
    assert_settled_once(desk, venue_orders=1)


@pytest.mark.parametrize("kind", ["release", "write_off"])
def test_what_the_venue_shows_as_executed_is_not_undone(desk, kind):
    made = stuck(desk, hidden=True)
    waiting = ask(desk, made, kind)
    desk.paper.clear_faults()  # between request and approval the venue's reads have caught up
    with pytest.raises(Refused, match="executed"):
        ask(desk, made, kind)
    with pytest.raises(Refused, match="executed"):
        approve(desk, waiting)
    assert states() == ["MANUAL"]
    ask(desk, made, "retry", now=timezone.now())
    desk.resume()
    waiting.refresh_from_db()
    assert waiting.state == "VOID"
    assert_settled_once(desk, venue_orders=1)


def test_what_may_still_arrive_is_not_released(desk):
    made = stuck(desk, "request_lost")
    with pytest.raises(Refused, match="may still arrive"):
        ask(desk, made, "release", now=timezone.now())


def test_what_is_written_off_settles_its_orders_and_lies_in_suspense(desk):
    made = stuck(desk, "request_lost", coin="0.02")
    approve(desk, ask(desk, made, "write_off"))
    made.refresh_from_db()
    assert (made.state, made.filled_coin, made.price) == ("BOOKED", 0, made.reference_price)
    books = book_balances()
    assert books[SUSPENSE, "BTC"] == made.quantity
    assert books[SUSPENSE, USDT] == -made.written_off_usdt == -(made.quantity * made.reference_price)
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


@pytest.mark.parametrize("kind", ["book_by_hand", "write_off", "release"])
def test_what_is_shown_before_is_what_is_done_after_and_showing_changes_nothing(desk, kind):
    made = stuck(desk, "reply_lost" if kind == "book_by_hand" else "request_lost")
    terms = executed(desk) if kind == "book_by_hand" else Terms()
    operation = deciding.OPERATIONS[Subject.CONVERSION, kind]
    before = book_balances()
    shown = deciding.preview(operation=operation, row_id=made.pk, terms=terms, now=timezone.now() + LATER)
    assert (book_balances(), states(), order_states()) == (before, ["MANUAL"], {"CONVERTING"})

    approve(desk, ask(desk, made, kind, terms))
    legs = {
        (leg.kind, leg.debit_account.code, leg.credit_account.code, leg.asset): leg.amount
        for leg in DeskTransfer.objects.filter(conversion_id=made.pk)
    }
    assert {(leg.kind, leg.debit, leg.credit, leg.asset): leg.amount for leg in shown.legs} == legs
    after = {change.what: change.after for change in shown.changes}
    assert not any("E" in change.before + change.after for change in shown.changes if "BTC" in change.what)
    made.refresh_from_db()
    assert after["state"] == made.state
    assert after["orders"] == f"1 {AcceptedOrder.objects.get().state}"
