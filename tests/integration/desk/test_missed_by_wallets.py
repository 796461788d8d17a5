"""What the wallet says of an order that the venue does not know: coin that may be its own keeps it from a miss."""

from decimal import Decimal

import pytest
from django.utils import timezone

from settlement.funds import transfers
from settlement.models import Attempt, Conversion, FundsTransfer
from settlement.venues import error_table, state_history
from tests.support.desk_bench import (
    POST,
    Desk,
    assert_books_agree,
    assert_settled_once,
    event,
    states,
    take_in,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


BLIND = {"kind": "stale_reads", "path": "/api/v3/(order|myTrades)", "method": "GET", "lag_ms": 3_600_000}


def ask_often(desk: Desk) -> None:
    """More often and for longer than would do for a miss."""
    for step in range(1, 3 + error_table.MISSES_TO_BE_SURE):
        desk.resume(after=error_table.MISSED_AFTER_SECONDS * step)


@pytest.mark.parametrize("kind", ["OPEN", "CLOSE"])
@pytest.mark.parametrize("burns_bnb", ["true", "false"])
def test_coin_in_the_wallet_that_may_be_its_own_keeps_an_order_from_being_missed(desk, kind, burns_bnb):
    desk.venue.real._exchange().sapiPostBnbBurn({"spotBNBBurn": burns_bnb})
    desk.paper.add_fault("reply_lost", **POST)
    desk.paper.add_fault(**BLIND)  # neither the order nor its trades, but the balance they left
    take_in(event(kind=kind))
    desk.convert()
    ask_often(desk)
    assert states() == ["UNKNOWN"]
    answers = set(Attempt.objects.filter(call="ask").values_list("answer", flat=True))
    assert answers == {"no such order", "no such order, but coin in the wallet that may be its own"}

    desk.paper.clear_faults()
    desk.resume(after=3600)
    assert_settled_once(desk, venue_orders=1)


@pytest.mark.parametrize(("kind", "foreign"), [("OPEN", "1"), ("CLOSE", "0.004")])
def test_coin_in_the_wallet_that_cannot_be_its_own_does_not_keep_an_order_unknown(desk, kind, foreign):
    desk.paper.add_fault("request_lost", **POST)
    take_in(event(kind=kind))
    desk.convert()
    desk.paper.fund(
        account=desk.account, asset="BTC", amount=foreign
    )  # more than it wanted, or the other way
    ask_often(desk)
    assert states() == ["MISSED"]


def test_what_others_have_filled_and_not_booked_yet_is_told_from_its_own(desk):
    desk.paper.add_fault("request_lost", **POST)
    take_in(event())
    lost = desk.convert()
    for seconds in (10, 25):
        desk.resume(after=seconds)
    take_in(event(coin="0.003"))
    assert desk.convert().state == "FILLED"
    desk.resume(after=3600)
    lost.refresh_from_db()
    assert lost.state == "MISSED"


def test_of_two_lost_orders_each_of_which_may_be_the_one_that_was_executed_neither_is_missed(desk):
    desk.paper.add_fault(**BLIND)
    for fault in ("reply_lost", "request_lost"):
        desk.paper.add_fault(fault, **POST)
        take_in(event())
        desk.convert()
    ask_often(desk)
    assert states() == ["UNKNOWN", "UNKNOWN"]
    desk.paper.clear_faults()
    for step in range(1, 2 + error_table.MISSES_TO_BE_SURE):
        desk.resume(after=3600 * step)
    assert states() == ["BOOKED", "MISSED"]
    assert len(desk.venue.submissions) == 2


@pytest.mark.parametrize("second", [{}, {"kind": "CLOSE", "coin": "0.02"}])
def test_of_two_lost_orders_that_were_both_executed_neither_is_missed(desk, second):
    """Together they have left more in the wallet than either alone, or hide a part of what the other has left."""
    desk.paper.add_fault(**BLIND)
    for order in ({}, second):
        desk.paper.add_fault("reply_lost", **POST)
        take_in(event(**order))
        desk.convert()
    ask_often(desk)
    assert states() == ["UNKNOWN", "UNKNOWN"]
    desk.paper.clear_faults()
    desk.resume(after=3600)
    assert states() == ["BOOKED", "BOOKED"]
    assert len(desk.venue.submissions) == 2
    assert_books_agree(desk)


def test_an_order_in_a_persons_hands_may_have_left_its_part_too(desk):
    desk.paper.add_fault(**BLIND)
    for _ in range(2):
        desk.paper.add_fault("reply_lost", **POST)
        take_in(event())
        made = desk.convert()
    state_history.advance(made, Conversion.hand_over, at=timezone.now(), by="somebody", why="by hand")
    ask_often(desk)
    assert states() == ["UNKNOWN", "MANUAL"]


def test_a_transfer_under_way_that_hides_the_coin_keeps_an_order_from_being_missed(desk):
    desk.paper.add_fault(**BLIND)
    desk.paper.add_fault("reply_lost", **POST)
    take_in(event())
    desk.convert()
    desk.paper.add_fault("stale_reads", path="/sapi/v1/asset/transfer", method="GET", lag_ms=3_600_000)
    desk.paper.add_fault("reply_lost", path="/sapi/v1/asset/transfer", method="POST", count=1)
    transfers.start(
        asset="BTC",
        amount=Decimal(1),
        direction=FundsTransfer.Direction.TO_RESERVE,
        venue=desk.venue,
        now=timezone.now(),
    )
    ask_often(desk)
    assert states() == ["UNKNOWN"]
    assert FundsTransfer.objects.get().state == "UNKNOWN"
    desk.paper.clear_faults()
    desk.resume(after=3600)
    assert_settled_once(desk, venue_orders=1)


def test_a_wallet_that_does_not_hold_still_proves_nothing(desk):
    desk.paper.add_fault("request_lost", **POST)
    take_in(event())
    desk.convert()
    balances, numbers = desk.venue.real.balances, iter(range(1000))

    def traded_meanwhile(wallet: str) -> object:
        desk.venue.real.submit(
            underlying="BTC",
            client_order_id=f"by-hand-{next(numbers)}",
            side="sell",
            quantity=Decimal("0.001"),
            limit_price=Decimal("80000"),
            stamp=desk.venue.stamp(),
        )
        return balances(wallet)

    desk.venue.real.balances = traded_meanwhile
    ask_often(desk)
    assert states() == ["UNKNOWN"]
    desk.venue.real.balances = balances
    for step in range(10, 14):
        desk.resume(after=100 * step)
    assert states() == ["MISSED"]
