"""Balancing: shares add up to the fill exactly, the legs close, and a conversion is in the book once."""

from decimal import Decimal

import pytest
from django.db import DatabaseError, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from acceptance.models import AcceptedOrder
from settlement.book.chart import COUNTER, FEES, OPTIONS, PNL, ROUNDING, TRADING
from settlement.conversions import balancing, converting
from settlement.models import Allocation, Attempt, Carry, Conversion, DeskTransfer, Fill
from settlement.netting import net
from settlement.venues import state_history
from tests.support.desk_bench import (
    Desk,
    assert_books_agree,
    at_once,
    book_balances,
    event,
    order_states,
    states,
    take_in,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

ZERO = Decimal(0)


def pay_fees_in_bnb(desk: Desk) -> None:
    desk.venue.real._exchange().sapiPostBnbBurn({"spotBNBBurn": "true"})


def total(made: Conversion, column: str, **which: object) -> Decimal:
    rows = made.allocations.filter(**which).values_list(column, flat=True)
    return sum(rows, ZERO)


MIXED = [
    {"coin": "0.0123", "fair": Decimal("1107.5")},
    {"coin": "0.00000007"},
    {"coin": "0.0333", "fair": Decimal("2990.123456")},
    {"coin": "0.0051", "kind": "CLOSE"},
    {"coin": "0.0042", "kind": "CLOSE", "payout": "at_fill"},
    {"coin": "0.0001", "kind": "EXERCISE"},
]


def test_shares_add_up_to_the_fill_and_the_fees_to_the_last_digit(desk):
    made = desk.settle(*(event(**changes) for changes in MIXED))

    opens, closes = (
        total(made, "value", order__kind="OPEN"),
        total(made, "value") - total(made, "value", order__kind="OPEN"),
    )
    fills = list(made.fills.all())
    assert len(fills) >= 1
    usdt = sum((fill.usdt for fill in fills), ZERO)
    fee_value = sum((fill.fee for fill in fills), ZERO) * made.price
    difference = opens - closes - usdt - made.carry_out_usdt + fee_value
    assert abs(difference) < Decimal("0.0000001")  # price_rounding: the average price has 8 decimals
    assert total(made, "fee") == made.fee_usdt
    assert made.allocations.count() == len(MIXED)
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


def test_the_book_says_what_each_part_of_the_result_was(desk):
    made = desk.settle(*(event(**changes) for changes in MIXED))
    books = book_balances()

    due_opens = total(made, "due", order__kind="OPEN")
    due_closes = total(made, "due") - due_opens
    assert books[COUNTER, "USDT"] == due_opens - due_closes
    assert books[OPTIONS, "BTC"] == made.bought - made.sold
    assert books[PNL, "USDT"] == total(made, "slippage")
    assert books[FEES, "USDT"] == made.fee_usdt - total(made, "fee", order__payout="at_fill")
    assert abs(books.get((ROUNDING, "USDT"), ZERO) - total(made, "rounding")) < Decimal("0.0000001")
    assert books[TRADING, "BTC"] == Carry.objects.get().coin


def test_an_instant_order_is_due_its_quoted_value_at_any_fill(desk):
    desk.paper.set_price("BTCUSDT", "90333.33")
    made = desk.settle(event(coin="0.01", fair=Decimal("900.1")), event(coin="0.02", kind="CLOSE"))
    assert set(made.allocations.values_list("due", flat=True)) == {Decimal("900.1"), Decimal("1800")}


def test_a_payout_at_fill_is_due_what_the_coin_brought_less_its_fee(desk):
    desk.paper.set_price("BTCUSDT", "88888.88")
    made = desk.settle(event(coin="0.0123", kind="CLOSE", payout="at_fill", index_price="90000"))
    share = made.allocations.get()
    (fill,) = made.fills.all()
    assert share.value == fill.usdt == Decimal("0.0123") * Decimal("88888.88")
    assert share.fee == fill.fee == made.fee_usdt > 0
    assert share.due == (share.value - share.fee).quantize(Decimal("0.000001"), "ROUND_DOWN")
    assert share.rounding == share.value - share.fee - share.due
    assert (FEES, "USDT") not in book_balances()  # the customer bore it
    assert_books_agree(desk)


def test_booking_twice_or_by_two_at_once_has_the_effect_of_once(desk):
    take_in(event(), event(coin="0.02"))
    made = desk.convert()
    booked = at_once(*[lambda: balancing.book(Conversion.objects.get(pk=made.pk), now=timezone.now())] * 4)
    assert sorted(booked) == [False, False, False, True]
    legs = DeskTransfer.objects.count()

    assert balancing.book(Conversion.objects.get(pk=made.pk), now=timezone.now()) is False
    assert balancing.balance_filled(now=timezone.now()) == 0
    assert DeskTransfer.objects.count() == legs
    assert Allocation.objects.count() == 2
    assert_books_agree(desk)


def test_a_booking_that_fails_leaves_nothing_and_stops_no_other(desk, monkeypatch):
    take_in(event())
    first = desk.convert()
    take_in(event())
    second = desk.convert()
    AcceptedOrder.objects.filter(conversion_id=first.pk).update(state="SETTLED")  # cannot be settled again
    legs = DeskTransfer.objects.count()

    assert balancing.balance_filled(now=timezone.now()) == 1
    assert states() == ["FILLED", "BOOKED"]
    assert not Allocation.objects.filter(conversion=first).exists()
    assert not DeskTransfer.objects.filter(conversion_id=first.pk).exists()
    assert DeskTransfer.objects.count() > legs
    assert Allocation.objects.get().conversion_id == second.pk
    first.refresh_from_db()
    assert first.reason == "cannot be booked: 1 orders to settle, 0 settled"


@pytest.mark.parametrize("kind", ["OPEN", "CLOSE"])
def test_a_fee_in_a_third_asset_is_valued_shared_out_and_taken_from_its_wallet(desk, kind):
    pay_fees_in_bnb(desk)
    desk.paper.set_price("BNBUSDT", "900")
    made = desk.settle(event(coin="0.01", kind=kind), event(coin="0.02", kind=kind))
    (fill,) = made.fills.all()
    assert fill.fee_asset == "BNB"
    assert fill.fee_usdt == (fill.fee * Decimal("900.005")).quantize(Decimal("0.00000001"))
    assert made.fee_usdt == total(made, "fee") == fill.fee_usdt
    assert made.carry_out_coin == 0
    assert_books_agree(desk)


def test_many_conversions_of_both_coins_end_with_books_that_agree(desk):
    for number in range(6):
        coin = ["BTC", "ETH"][number % 2]
        changes = {"underlying": coin, "kind": "CLOSE" if number in (2, 3) else "OPEN"}
        if number == 4:
            pay_fees_in_bnb(desk)
        desk.settle(*(event(coin=f"0.0{number + 1}{digit}", **changes) for digit in range(1, 4)))
    assert states() == ["BOOKED"] * 6
    assert Allocation.objects.count() == 18
    assert_books_agree(desk)


@pytest.mark.parametrize("table", [DeskTransfer, Allocation, Fill])
def test_the_database_refuses_to_change_what_was_booked(desk, table):
    desk.settle(event())
    name = table._meta.db_table
    for sql in (f"DELETE FROM {name}", f"UPDATE {name} SET {table._meta.pk.column} = 0"):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(using="desk"),
            connections["desk"].cursor() as cursor,
        ):
            cursor.execute(sql)


def test_what_cannot_be_booked_with_its_fills_is_stored_without(desk, monkeypatch):
    take_in(event(), event())
    real = net.settle
    refuses = iter([True])

    def settle(**what):
        if next(refuses, False):
            raise ValueError("not this time")
        return real(**what)

    monkeypatch.setattr(net, "settle", settle)
    made = converting.convert_waiting(underlying="BTC", venue=desk.venue, now=timezone.now(), books=True)
    assert (made.state, made.fills.count()) == ("FILLED", 1)
    assert states() == ["FILLED"]
    assert order_states() == {"CONVERTING"}
    assert balancing.book(made, now=timezone.now())
    assert_books_agree(desk)


def test_a_conversion_that_moved_under_way_keeps_its_answer_and_nothing_else(desk):
    take_in(event())

    def take_over(client_order_id):
        row = Conversion.objects.get(client_order_id=client_order_id)
        state_history.advance(row, Conversion.hand_over, at=timezone.now(), by="somebody", why="by hand")

    desk.venue.before_submit = take_over
    converting.convert_waiting(underlying="BTC", venue=desk.venue, now=timezone.now(), books=True)
    assert states() == ["MANUAL"]
    assert Attempt.objects.get().outcome == "done"
    assert not Fill.objects.exists()
    assert not Allocation.objects.exists()


def test_a_round_is_a_transaction_that_plans_and_one_that_books(desk):
    """A round costs the same number of statements with any content: each one more is paid by every round."""
    desk.settle(event())
    take_in(event(), event(), event(kind="CLOSE"))
    with CaptureQueriesContext(connections["desk"]) as asked:
        converting.convert_waiting(underlying="BTC", venue=desk.venue, now=timezone.now(), books=True)
    statements = [one["sql"] for one in asked if not one["sql"].startswith(("BEGIN", "COMMIT"))]
    assert len(statements) == 5, statements  # how it stands; claimed, planned; answered, booked
    assert states() == ["BOOKED", "BOOKED"]
    assert_books_agree(desk)
