"""People end a transfer that the desk cannot: found again, marked as found, released, or written off."""

from decimal import Decimal

import pytest
from django.utils import timezone

from settlement.book.chart import SUSPENSE
from settlement.funds import treasury
from settlement.interventions.terms import FoundTerms, Refused
from settlement.models import (
    DeskTransfer,
    FundsTransfer,
)
from tests.support.desk_bench import (
    Desk,
    assert_books_agree,
    book_balances,
)
from tests.support.intervening import TRANSFER, approve, ask

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


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
