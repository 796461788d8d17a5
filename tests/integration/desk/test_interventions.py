"""People end what the desk cannot: by two of them where money is booked, with the venue and the books agreeing after.

Conversions are stuck by the faults of the real paper venue, and what the venue executed is its own state's to say.
"""

import time
from datetime import timedelta
from decimal import Decimal
from threading import Thread

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.utils import timezone

from acceptance.models import AcceptedOrder
from settlement import treasury
from settlement.chart import SUSPENSE, USDT
from settlement.interventions import asking, deciding
from settlement.interventions.operations import Person, state_of
from settlement.interventions.terms import FoundTerms, HandTrade, OrderTerms, Refused, Terms
from settlement.models import (
    Conversion,
    DeskTransfer,
    Fill,
    FundsTransfer,
    Intervention,
    ReconciliationBreak,
    StateChange,
)
from settlement.models.history import Subject
from tests.support.desk_bench import (
    POST,
    Desk,
    assert_books_agree,
    assert_settled_once,
    book_balances,
    event,
    order_states,
    states,
    take_in,
)
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])
ANN, BOB, EVE = Person(1, "ann"), Person(2, "bob"), Person(3, "eve")
LATER = timedelta(minutes=5)  # all that was sent has arrived or never will
HIDDEN = {"path": "/api/v3/(order|myTrades|allOrders)", "method": "GET", "lag_ms": 3_600_000}
TRANSFER = {"path": "/sapi/v1/asset/transfer$", "method": "POST", "count": 1}


def ask(
    desk: Desk, row, kind: str, terms: Terms | None = None, *, by: Person = ANN, **changes
) -> Intervention:
    """Request an operation on a row as it is now."""
    row.refresh_from_db()
    subject = {Conversion: Subject.CONVERSION, FundsTransfer: Subject.FUNDS_TRANSFER}[type(row)]
    return deciding.request(
        **{
            "operation": deciding.OPERATIONS[subject, kind],
            "row_id": row.pk,
            "seen": state_of(row),
            "terms": terms or Terms(),
            "reason": "the venue is silent",
            "evidence": "ticket 4711",
            "by": by,
            "venue": desk.venue,
            "now": timezone.now() + LATER,
            **changes,
        }
    )


def approve(desk: Desk, made: Intervention, *, by: Person = BOB) -> Intervention:
    return deciding.approve(
        intervention_id=made.pk, by=by, note="seen", venue=desk.venue, now=timezone.now() + LATER
    )


def stuck(desk: Desk, fault: str = "reply_lost", *, hidden: bool = False, **order) -> Conversion:
    """A conversion out of sight that a person has taken over; with `reply_lost` the venue has executed it.

    One that is `hidden` the venue denies, as long as its faults stand.
    """
    if hidden:
        desk.paper.add_fault("stale_reads", **HIDDEN)
    desk.paper.add_fault(fault, **POST)
    take_in(event(**order))
    made = desk.convert()
    assert made.state == "UNKNOWN"
    ask(desk, made, "take_over")
    made.refresh_from_db()
    assert made.state == "MANUAL"
    return made


def refused_by_filter(desk: Desk) -> Conversion:
    """A conversion that the venue certainly has not: its filter said no."""
    desk.paper.add_fault("error_before", **POST, status=400, code=-1013, message="Filter failure: LOT_SIZE")
    take_in(event())
    made = desk.convert()
    assert made.state == "MANUAL"
    return made


def executed(desk: Desk) -> OrderTerms:
    """What the venue executed, read off its own state as a person would read it off the venue's web page."""
    trades = desk.venue_has("trades")
    return OrderTerms(
        venue_order_id=str(trades[0]["orderId"]),
        trades=tuple(
            HandTrade(
                venue_trade_id=str(trade["id"]),
                price=Decimal(trade["price"]),
                coin=Decimal(trade["qty"]),
                usdt=Decimal(trade["quoteQty"]),
                fee=Decimal(trade["commission"]),
                fee_asset=trade["commissionAsset"],
                traded_at=timezone.now(),
            )
            for trade in trades
        ),
    )


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
    made = refused_by_filter(desk)
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


def test_a_request_is_void_once_its_row_has_moved(desk):
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")
    Conversion.objects.filter(pk=made.pk).update(version=made.version + 1)
    with pytest.raises(Refused, match="void"):
        approve(desk, waiting)
    waiting.refresh_from_db()
    assert (waiting.state, states()) == ("VOID", ["MANUAL"])
    approve(desk, ask(desk, made, "release"))
    assert states() == ["RELEASED"]


def test_what_was_seen_in_another_state_is_not_requested(desk):
    made = stuck(desk, "request_lost")
    with pytest.raises(Refused, match="moved"):
        ask(desk, made, "release", seen=("MANUAL", made.version - 1))
    with pytest.raises(Refused, match="is for UNKNOWN"):
        ask(desk, made, "take_over")


def test_whoever_asked_cannot_approve_and_the_database_says_so_too(desk):
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")
    with pytest.raises(Refused, match="another person"):
        approve(desk, waiting, by=ANN)
    with pytest.raises(IntegrityError, match="maker_is_not_checker"), transaction.atomic(using="desk"):
        Intervention.objects.filter(pk=waiting.pk).update(
            state="APPLIED", decided_by_id=ANN.id, decided_by="ann", decided_at=timezone.now()
        )
    assert states() == ["MANUAL"]


CHANGES = (
    "UPDATE settlement_intervention SET terms = '{\"venue_order_id\": 1}'",
    "UPDATE settlement_intervention SET subject_version = 0, state = 'VOID', decided_by_id = 9, decided_by = 'x',"
    " decided_at = now()",
    "UPDATE settlement_intervention SET requested_by_id = 9",
    "DELETE FROM settlement_intervention",
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_asked_for_stays(desk, change):
    made = stuck(desk, "request_lost")
    ask(desk, made, "release")
    with pytest.raises(DatabaseError, match="keeps what was asked"), connections["desk"].cursor() as cursor:
        cursor.execute(change)


def test_of_two_who_approve_at_once_one_does_it(desk):
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")

    def try_to(by: Person) -> str:
        try:
            return approve(desk, waiting, by=by).state
        except Refused as refusal:
            return str(refusal)

    outcomes = at_once([lambda: try_to(BOB), lambda: try_to(EVE)])
    assert sum(outcome == "APPLIED" for outcome in outcomes) == 1
    assert sum("was decided by" in outcome for outcome in outcomes) == 1
    assert StateChange.objects.filter(to_state="RELEASED").count() == 1
    assert states() == ["RELEASED"]


def test_whoever_approves_waits_for_the_row_with_the_request_in_nobodys_way(desk):
    """Who asks voids a waiting request while he holds its row: the other way round the two wait in a circle."""
    made = stuck(desk, "request_lost")
    waiting = ask(desk, made, "release")
    with transaction.atomic(using="desk"):
        Conversion.objects.select_for_update().get(pk=made.pk)
        approving = Thread(target=lambda: (approve(desk, waiting), connections.close_all()))
        approving.start()
        until_somebody_waits_for_a_lock()
        Intervention.objects.select_for_update(nowait=True).get(pk=waiting.pk)
    approving.join()
    assert states() == ["RELEASED"]


def until_somebody_waits_for_a_lock() -> None:
    for _ in range(500):
        with connections["desk"].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")


def test_one_request_waits_for_a_row_and_can_be_rejected_or_withdrawn(desk):
    made = stuck(desk, "request_lost")
    first = ask(desk, made, "release")
    with pytest.raises(Refused, match="waits for its decision"):
        ask(desk, made, "write_off", by=EVE)
    no = deciding.reject(intervention_id=first.pk, by=BOB, note="wait for the venue", now=timezone.now())
    assert (no.state, no.decision) == ("REJECTED", "wait for the venue")
    with pytest.raises(Refused, match="REJECTED"):
        approve(desk, first)
    second = ask(desk, made, "write_off", by=EVE)
    assert (
        deciding.reject(intervention_id=second.pk, by=EVE, note="my mistake", now=timezone.now()).state
        == "VOID"
    )
    assert states() == ["MANUAL"]


@pytest.mark.parametrize(("reason", "evidence"), [(" ", "seen"), ("why", " ")])
def test_a_reason_and_evidence_are_asked_for(desk, reason, evidence):
    made = stuck(desk, "request_lost")
    with pytest.raises(Refused, match="needed"):
        ask(desk, made, "release", reason=reason, evidence=evidence)


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


def lost_transfer(desk: Desk, fault: str) -> FundsTransfer:
    """A transfer out of sight that a person has taken over."""
    desk.paper.add_fault(fault, **TRANSFER)
    direction = FundsTransfer.Direction.TO_RESERVE
    made = treasury.start(
        asset="BTC", amount=Decimal(1), direction=direction, venue=desk.venue, now=timezone.now()
    )
    assert made is not None
    assert made.state == "UNKNOWN"
    ask(desk, made, "take_over")
    return made


def test_a_transfer_is_found_again_by_the_venues_history(desk):
    made = lost_transfer(desk, "reply_lost")
    with pytest.raises(Refused, match="the venue shows it as"):
        ask(desk, made, "release")
    with pytest.raises(Refused, match="the venue shows it as"):
        ask(desk, made, "write_off")
    ask(desk, made, "retry", now=timezone.now())
    desk.resume()
    made.refresh_from_db()
    assert made.state == "CONFIRMED"
    assert_books_agree(desk)


def test_a_transfer_that_the_history_hides_is_marked_as_found_by_two(desk):
    desk.paper.add_fault("stale_reads", path="/sapi/v1/asset/transfer", method="GET", lag_ms=3_600_000)
    made = lost_transfer(desk, "reply_lost")
    [known] = desk.venue_has("transfers")
    waiting = ask(desk, made, "mark_found", FoundTerms(venue_transfer_id=str(known["tranId"])))
    assert approve(desk, waiting).state == "APPLIED"
    made.refresh_from_db()
    assert (made.state, made.venue_transfer_id) == ("CONFIRMED", str(known["tranId"]))
    assert_books_agree(desk)


def test_a_transfer_that_was_never_done_is_released_by_two(desk):
    made = lost_transfer(desk, "request_lost")
    approve(desk, ask(desk, made, "release"))
    made.refresh_from_db()
    assert made.state == "RELEASED"
    assert_books_agree(desk)


def test_a_transfer_that_left_and_never_came_lies_in_suspense(desk):
    made = lost_transfer(desk, "request_lost")
    approve(desk, ask(desk, made, "write_off"))
    made.refresh_from_db()
    assert made.state == "WRITTEN_OFF"
    assert book_balances()[SUSPENSE, "BTC"] == 1
    [leg] = DeskTransfer.objects.filter(funds_transfer_id=made.pk)
    assert (leg.credit_account.code, leg.kind) == ("venue", "write_off")
