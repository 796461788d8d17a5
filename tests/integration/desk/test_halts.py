"""A venue that refuses us, bans us, is closed or does not answer is sent nothing new until it answers again."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from settlement.conversions import converting
from settlement.funds import transfers, treasury
from settlement.models import Attempt, Conversion, FundsTransfer, VenueHalt
from settlement.venues import error_table, halts
from settlement.venues.halts import VenueHalted
from tests.support.desk_bench import Desk, assert_books_agree, event, order_states, states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

POST = {"path": "/api/v3/order$", "method": "POST"}
REFUSED_KEY: dict[str, Any] = {"kind": "error_before", "status": 401, "code": -2014}
HALTING = {
    "a refused key": REFUSED_KEY,
    "a refused signature": {"kind": "error_before", "status": 400, "code": -1022},
    "a ban": {"kind": "rate_limit", "status": 418},
    "maintenance": {"kind": "maintenance"},
    "maintenance, said in a refusal": {"kind": "error_before", "status": 400, "code": -1016},
}
EVERYTHING = {"path": "/(api/v3/(order|account)|sapi)"}


def standing() -> VenueHalt:
    return VenueHalt.objects.get(lifted_at=None)


def halted(desk: Desk, **fault: Any) -> Conversion:
    """A conversion whose answer halted the venue, and which nothing else has met since."""
    desk.paper.add_fault(**(fault or REFUSED_KEY), **POST, count=1)
    take_in(event())
    made = desk.convert()
    assert standing().reason.endswith(made.reason.partition(": ")[2])
    return made


@pytest.mark.parametrize("fault", HALTING.values(), ids=HALTING)
def test_a_halted_venue_gets_nothing_new_until_it_answers_and_then_everything_goes_on(desk, fault):
    made = halted(desk, **fault)
    assert made.state in ("MISSED", "UNKNOWN")
    take_in(event(underlying="ETH", coin="1"), event())

    asked_before = Attempt.objects.count()
    with pytest.raises(VenueHalted):
        desk.convert("ETH")
    desk.resume(after=error_table.HALT_SECONDS[0] - 1)
    assert Attempt.objects.count() == asked_before  # nothing sent, nothing asked
    assert len(desk.venue.submissions) == 1
    assert order_states() <= {"CONVERTING", "RECEIVED"}

    for step in range(1, 8):
        desk.resume(after=20 * step)
    assert VenueHalt.objects.get().lifted_by == "settlement"
    assert states()[0] in ("BOOKED", "MISSED")
    for coin in ("BTC", "ETH"):
        if converting.orders_wait(coin, now=timezone.now()):
            desk.convert(coin)
    desk.resume()
    assert order_states() == {"SETTLED"}
    assert_books_agree(desk)


def test_a_venue_that_does_not_answer_yet_stays_halted_and_is_asked_at_growing_intervals(desk):
    halted(desk)
    desk.paper.add_fault("error_before", **EVERYTHING)
    pauses, after = [], 0.0
    for asked in range(1, 6):
        before = standing().ask_at
        after = (before - timezone.now()).total_seconds() + 1
        desk.resume(after=after)
        assert standing().asked == asked
        pauses.append((standing().ask_at - before).total_seconds())
    assert pauses[0] < pauses[1] < pauses[2] < pauses[3]
    assert max(pauses) <= error_table.HALT_SECONDS[-1] * (1 + error_table.JITTER_RATE) + 2
    assert len(desk.venue.submissions) == 1

    desk.paper.clear_faults()
    desk.resume(after=after + 400)
    assert not VenueHalt.objects.filter(lifted_at=None).exists()
    assert desk.convert().state == "FILLED"
    desk.resume()
    assert_books_agree(desk)


def test_a_ban_is_waited_for_as_long_as_the_venue_says(desk):
    halted(desk, kind="rate_limit", status=418, retry_after_seconds=3000)
    assert standing().ask_at >= timezone.now() + timedelta(seconds=2990)
    desk.paper.add_fault("rate_limit", **EVERYTHING, count=1, status=418, retry_after_seconds=5000)
    desk.resume(after=3000 * 1.25)
    assert standing().ask_at >= timezone.now() + timedelta(seconds=7990)


def test_what_was_due_while_the_venue_is_halted_shows_until_when_it_waits(desk):
    desk.paper.add_fault("rate_limit", **POST, count=1, retry_after_seconds=0)
    take_in(event(underlying="ETH", coin="1"))
    waiting = desk.convert("ETH")
    halted(desk)
    Conversion.objects.filter(pk=waiting.pk).update(due_at=timezone.now())
    desk.resume()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.due_at) == ("RETRY_WAIT", standing().ask_at)


def test_an_order_that_was_put_off_often_is_no_persons_at_the_first_ban(desk):
    desk.paper.add_fault("rate_limit", **POST, count=5)
    take_in(event())
    made = desk.convert()
    for step in range(1, 5):
        desk.resume(after=20 * step)
    made.refresh_from_db()
    assert (made.state, made.attempts) == ("RETRY_WAIT", 5)
    desk.paper.add_fault("rate_limit", **POST, count=1, status=418)
    desk.resume(after=200)
    made.refresh_from_db()
    assert (made.state, standing().reason[:6]) == ("MISSED", "Banned")
    desk.resume(after=400)
    assert desk.convert().state == "FILLED"
    desk.resume()
    assert_books_agree(desk)


def test_many_calls_in_a_row_without_an_answer_halt_the_venue_and_one_answer_among_them_does_not(desk):
    desk.paper.add_fault("request_lost", **POST, count=1)
    take_in(event())
    desk.convert()
    desk.paper.add_fault("request_lost", path="/api/v3/order$", method="GET")
    for asked in range(1, error_table.FAILURES_TO_HALT - 1):
        desk.resume(after=20 * asked)
    desk.paper.clear_faults()
    desk.resume(after=400)
    assert Attempt.objects.latest("id").code == "OrderNotFound"

    desk.paper.add_fault("request_lost", path="/api/v3/order$", method="GET")
    for asked in range(1, error_table.FAILURES_TO_HALT):
        desk.resume(after=400 + 20 * asked)
    assert not VenueHalt.objects.exists()
    desk.resume(after=800)
    assert standing().reason.startswith(f"{error_table.FAILURES_TO_HALT} calls in a row had no answer")


def test_the_failures_of_before_a_halt_do_not_count_again_once_it_is_lifted(desk):
    desk.paper.add_fault("request_lost", **POST, count=1)
    take_in(event())
    desk.convert()
    desk.paper.add_fault("request_lost", path="/api/v3/order$", method="GET")
    for asked in range(1, error_table.FAILURES_TO_HALT):
        desk.resume(after=20 * asked)
    halts.lift(
        VenueHalt.objects.filter(pk=standing().pk), by="alice", now=timezone.now() + timedelta(seconds=200)
    )
    desk.resume(after=400)
    assert not VenueHalt.objects.filter(lifted_at=None).exists()


def test_a_halted_venue_is_sent_no_transfer_either(desk, settings):
    settings.WALLET_BANDS = {"ETH": {"low": 1000, "target": 2000, "high": 3000}}
    halted(desk)
    with pytest.raises(VenueHalted):
        treasury.rebalance(venue=desk.venue, now=timezone.now())
    assert not FundsTransfer.objects.exists()
    assert desk.venue_has("transfers") == []
    desk.resume(after=60)
    (made,) = treasury.rebalance(venue=desk.venue, now=timezone.now())
    assert made.state == "CONFIRMED"


def test_a_transfer_that_halts_the_venue_is_not_sent_again(desk):
    desk.paper.add_fault(**REFUSED_KEY, path="/sapi/v1/asset/transfer", method="POST", count=1)
    made = transfers.start(
        asset="ETH",
        amount=1,
        direction=FundsTransfer.Direction.TO_TRADING,
        venue=desk.venue,
        now=timezone.now(),
    )
    assert (made.state, standing().reason) == ("RELEASED", made.reason)
    desk.resume(after=60)
    assert desk.venue_has("transfers") == []


def test_the_first_halt_in_a_sweep_ends_it(desk):
    for _ in range(3):
        desk.paper.add_fault("request_lost", **POST, count=1)
        take_in(event())
        desk.convert()
    desk.paper.add_fault("rate_limit", path="/api/v3/order$", method="GET", status=418)
    desk.resume(after=5)
    assert Attempt.objects.filter(call="ask").count() == 1
    assert standing().reason.startswith("Banned -1003")


def test_one_halt_stands_at_a_time_and_a_second_reason_makes_it_no_shorter(desk):
    now = timezone.now()
    halts.begin(venue="binance", reason="first", now=now, asked_for=500)
    halts.begin(venue="binance", reason="second", now=now)
    assert (standing().reason, standing().ask_at >= now + timedelta(seconds=500)) == ("first", True)
    halts.begin(venue="binance", reason="third", now=now, asked_for=1000)
    assert standing().ask_at >= now + timedelta(seconds=1000)
    assert VenueHalt.objects.count() == 1


def test_the_database_keeps_every_halt_as_it_was(desk):
    halts.begin(venue="binance", reason="the key was refused", now=timezone.now())
    rows = VenueHalt.objects.all()
    for change in (lambda: rows.update(reason="nothing"), rows.delete):
        with pytest.raises(DatabaseError, match="keeps what happened"):
            change()
    halts.lift(rows, by="alice", now=timezone.now())
    for change in (lambda: rows.update(lifted_at=None), lambda: rows.update(lifted_by="bob"), rows.delete):
        with pytest.raises(DatabaseError, match="keeps what happened"):
            change()
