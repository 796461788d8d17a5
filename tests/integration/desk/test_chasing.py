"""An order that executes nothing is tried again at once, within bounds; then its coin rests and is called for again."""

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from acceptance import intake
from infra.broker import wakeups
from settlement.conversions import chasing, converting, rounds, sweep
from settlement.conversions.chasing import Chase
from settlement.models import Carry, CoinRest, Conversion, FundsTransfer
from settlement.venues.protocol import TopOfBook, VenueError
from tests.support.desk_bench import POST, Desk, assert_books_agree, event, order_states, states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


@pytest.fixture(autouse=True)
def nothing_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No coin has missed a moment ago, and none has been called for."""
    monkeypatch.setattr(chasing, "_missed_at", {})
    monkeypatch.setattr(intake, "_called_at", {})


def price_moves(desk: Desk, *prices: str) -> None:
    """Before each of the next orders arrives the price has moved on."""
    following = iter(prices)

    def move(_: str) -> None:
        if (price := next(following, None)) is not None:
            desk.paper.set_price("BTCUSDT", price)

    desk.venue.before_submit = move


def work_off(desk: Desk) -> rounds.Worked:
    return rounds.work_off(underlying="BTC", venue=desk.venue)


def test_a_miss_is_tried_again_at_once_at_the_price_of_that_moment(desk):
    desk.paper.set_price("BTCUSDT", "90000")
    take_in(event(), event())
    desk.venue.top_of_book("BTC")  # a second old at most, and wrong by then
    price_moves(desk, "91000")
    worked = work_off(desk)
    assert (worked.rounds, worked.orders_left) == (1, False)
    assert states() == ["MISSED", "BOOKED"]
    assert order_states() == {"SETTLED"}
    missed, booked = Conversion.objects.order_by("id")
    assert booked.price < Decimal("91000") * Decimal("1.001") < missed.limit_price * Decimal("1.01")
    assert booked.client_order_id != missed.client_order_id
    assert_books_agree(desk)


def test_orders_that_come_during_a_chase_go_along(desk):
    desk.paper.set_price("BTCUSDT", "90000")
    take_in(event())
    moved = iter(["91000"])

    def move_and_receive(_: str) -> None:
        for price in moved:
            desk.paper.set_price("BTCUSDT", price)
            take_in(event())

    desk.venue.before_submit = move_and_receive
    assert work_off(desk).rounds == 1
    assert list(Conversion.objects.order_by("id").values_list("state", "order_count")) == [
        ("MISSED", 1),
        ("BOOKED", 2),
    ]


def test_tries_are_bounded_and_then_the_coin_rests_and_is_called_for_when_that_is_over(
    desk, settings, sent, monkeypatch
):
    monkeypatch.setattr(wakeups, "_is_on", True)
    settings.CHASE_TRIES, settings.CHASE_BAND_RATE = 3, Decimal("0.5")
    desk.paper.set_price("BTCUSDT", "90000")
    take_in(event())
    sent.clear()
    price_moves(desk, "91000", "92000", "93000", "94000")
    try:
        worked = work_off(desk)
        assert (worked.rounds, worked.orders_left) == (0, False)
        assert states() == ["MISSED"] * 3
        assert order_states() == {"RECEIVED"}
        rest = CoinRest.objects.get()
        assert timedelta(0) < rest.due_at - timezone.now() < timedelta(seconds=1)
        assert not converting.needs_conversion("BTC", now=timezone.now())
        assert converting.needs_conversion("BTC", now=rest.due_at)
        assert sent == []
        until(lambda: sent)
        assert sent[0][0] == ("settlement.convert", ["BTC"])
        assert timezone.now() >= rest.due_at
    finally:
        wakeups.stop()
    desk.venue.before_submit = None
    assert work_off(desk).rounds == 1
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


def until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.timed
def test_tries_are_bounded_in_time(desk, settings):
    settings.CHASE_TRIES, settings.CHASE_SECONDS, settings.CHASE_BAND_RATE = 1000, 0.3, Decimal("0.9")
    desk.paper.set_price("BTCUSDT", "50000")
    take_in(event())
    price_moves(desk, *(str(50_000 + 1_000 * step) for step in range(1, 200)))
    began = time.monotonic()
    work_off(desk)
    assert 0.3 <= time.monotonic() - began < 3
    assert CoinRest.objects.get().why.startswith("tries of 0.3 s")


@pytest.mark.parametrize(("kind", "crash"), [("OPEN", "93000"), ("CLOSE", "87000")])
def test_no_price_beyond_the_chases_band_is_paid_and_after_a_rest_the_price_of_that_moment_is(
    desk, settings, kind, crash
):
    desk.paper.set_price("BTCUSDT", "90000")
    take_in(event(kind=kind))
    price_moves(desk, crash)
    assert work_off(desk).rounds == 0
    assert states() == ["MISSED"]
    assert len(desk.venue.submissions) == 1, "nothing is sent beyond 2 % of the first price"
    assert CoinRest.objects.get().why.startswith("PriceRanAway")
    CoinRest.objects.update(due_at=timezone.now())
    assert work_off(desk).rounds == 1
    assert_books_agree(desk)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_chased_limit_is_the_worse_of_none(side):
    chase = Chase(side, Decimal(100), began_seconds=time.monotonic())
    worst = {"buy": Decimal("102.00"), "sell": Decimal("98.00")}[side]
    assert chase.bounded(worst * 2 if side == "buy" else worst / 2, side, Decimal("0.01")) == worst
    assert chase.bounded(Decimal(100), side, Decimal("0.01")) == 100
    assert not chase.too_far(TopOfBook(bid=Decimal("98.5"), ask=Decimal("101.5")))
    assert chase.too_far(TopOfBook(bid=Decimal("97.9"), ask=Decimal("102.1")))


def test_rests_in_a_row_grow_and_one_after_a_while_is_short_again(desk):
    now, pauses = timezone.now(), []
    for _ in range(5):
        chasing.rest("BTC", why="nothing executed", now=now)
        due_at = CoinRest.objects.get().due_at
        pauses.append((due_at - now).total_seconds())
        now = due_at
    assert pauses == sorted(pauses)
    assert pauses[-1] < chasing.LONGEST_REST.total_seconds()
    chasing.rest("BTC", why="nothing executed", now=now + timedelta(minutes=5))
    assert CoinRest.objects.get().in_a_row == 1


def test_a_rest_that_a_clock_ahead_has_stored_holds_nothing_up(desk):
    take_in(event())
    chasing.rest("BTC", why="nothing executed", now=timezone.now() + timedelta(hours=1))
    assert converting.needs_conversion("BTC", now=timezone.now())


def test_new_orders_call_for_older_ones_that_nobody_is_at(desk, sent, monkeypatch):
    take_in(event())
    assert len(sent) == 1
    take_in(event())
    assert len(sent) == 1, "the chain sent for the older one takes it along"
    monkeypatch.setattr(intake, "CALL_AGAIN_AFTER_SECONDS", 0.0)
    take_in(event())
    assert [chain[0] for chain in sent] == [("settlement.convert", ["BTC"])] * 2


def test_what_a_thin_book_left_over_is_worked_off_and_not_left_to_the_sweep(desk, monkeypatch):
    monkeypatch.setattr(rounds, "ROUNDS_FOR_SECONDS", 0.001)
    desk.paper.add_fault("thin_book", **POST, factor="0.005")
    take_in(event(coin="1"))
    assert work_off(desk) == rounds.Worked(1, orders_left=True)
    while (worked := work_off(desk)).orders_left:
        assert worked.rounds
    assert abs(Carry.objects.get(pk="BTC").coin) < Decimal("0.001") + Decimal("0.001")
    assert_books_agree(desk)


def test_a_carry_that_nothing_can_be_done_with_calls_nobody(desk, settings):
    settings.CARRY_WORTH_CONVERTING_USDT = Decimal(1)
    Carry.objects.create(underlying="BTC", coin=Decimal("0.00002"), usdt=Decimal("1.8"))
    assert work_off(desk) == rounds.Worked(0, orders_left=False)


def test_a_coin_whose_price_cannot_be_had_rests_instead_of_waiting_for_the_sweep(desk):
    take_in(event())
    desk.venue.real._tops.clear()
    desk.paper.add_fault("error_before", path="/api/v3/ticker", count=1)
    with pytest.raises(VenueError, match="ServerError"):
        work_off(desk)
    assert CoinRest.objects.get().due_at - timezone.now() < timedelta(seconds=1)
    CoinRest.objects.update(due_at=timezone.now())
    assert work_off(desk).rounds == 1


def test_funds_that_have_come_are_used_at_once(desk):
    desk.drain("USDT", "spot", leave="100")
    take_in(event())
    made = desk.convert()
    assert FundsTransfer.objects.get(direction="to_trading").state == "CONFIRMED"
    assert (made.state, len(desk.venue.submissions)) == ("FILLED", 2)


def test_confirming_funds_calls_for_what_waits_for_them(desk, sent):
    desk.drain("USDT", "spot", leave="100")
    desk.paper.add_fault("reply_lost", path="/sapi/v1/asset/transfer", method="POST", count=1)
    take_in(event())
    assert desk.convert().state == "RETRY_WAIT"
    sent.clear()
    sweep.resume(venue=desk.venue, now=timezone.now() + timedelta(seconds=2))
    assert [("settlement.resume", [])] in sent


def test_what_is_due_wakes_the_process_that_waits_and_only_once(monkeypatch, sent):
    monkeypatch.setattr(wakeups, "_is_on", True)
    try:
        chain = [("settlement.resume", [])]
        for seconds in (0.3, 0.1, 0.2):
            wakeups.call_in(seconds, chain)
        until(lambda: sent)
        time.sleep(0.4)
        assert sent == [chain]
    finally:
        wakeups.stop()
    wakeups.call_in(0, chain)
    time.sleep(0.05)
    assert sent == [chain]
