"""Booked conversions are entered beside their benchmarks, and the venue tells the minutes: known, none, or awaited."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connections, transaction
from django.utils import timezone

from infra.db.rows import rows_of
from settlement.conversions.execution import measuring, minutes
from settlement.models import Attempt, Execution, ExecutionsRead, StateChange
from settlement.venues.protocol import MinuteOfTrades, VenueError
from tests.support.desk_bench import POST, event, take_in
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def enter():
    """Two runs, so far from each other that what the first has seen is decided."""
    now = timezone.now()
    measuring.enter_booked(clock=lambda: now)
    return enter_decided(now + measuring.DECIDED_AFTER)


def enter_decided(now):
    """Another run, once what ran beside the last one has ended."""
    wait_for_others()
    return measuring.enter_booked(clock=lambda: now)


def wait_for_others():
    """Transactions in other databases of the server count, too: other tests' may take long."""
    seen_xid = ExecutionsRead.objects.get().seen_xid
    assert wait_until(lambda: rows_of("desk", measuring.RUNNING)[0][0] >= seen_xid, within_seconds=300)


def awaited(number, minute=NOON, **changes):
    """A row as it waits for its minute."""
    usual = {
        "conversion_id": number,
        "underlying": "BTC",
        "side": "buy",
        "coin": Decimal(1),
        "usdt": Decimal(90_000),
        "minute": minute,
        "due_at": minute,
    }
    return Execution.objects.create(**usual | changes)


class Told:
    """A venue that tells the minutes it is given, or raises; it notes what it was asked."""

    name = "binance"

    def __init__(self, *told, error=None):
        self.told, self.error, self.asked = list(told), error, []

    def minutes(self, *, underlying, first, count):
        assert not connections["desk"].in_atomic_block
        self.asked.append((underlying, first, count))
        if self.error is not None:
            raise self.error
        return [each for each in self.told if first <= each.begins_at < first + count * MINUTE]


def candle(begins_at=NOON, coin="4", usdt="360200", low="90000", high="90100"):
    return MinuteOfTrades(begins_at, Decimal(coin), Decimal(usdt), Decimal(low), Decimal(high))


def ask(venue, now=NOON + 2 * MINUTE):
    return minutes.ask_awaited(venue=venue, clock=lambda: now)


def test_a_conversion_is_entered_once_with_the_prices_of_its_orders_and_of_its_sending(desk):
    # (0.01 * 90,000 + 0.03 * 90,400) / 0.04 = 90,300: the close is of the other side and not in it.
    made = desk.settle(
        event(coin="0.01", index_price="90000"),
        event(coin="0.03", index_price="90400"),
        event(kind="CLOSE", coin="0.002", index_price="70000"),
    )
    assert enter() == 1
    assert enter() == 0
    row = Execution.objects.get()
    assert (row.conversion_id, row.underlying, row.side) == (made.pk, "BTC", "buy")
    assert row.venue == "binance"
    assert (row.coin, row.usdt) == (made.filled_coin, made.filled_usdt)
    assert row.order_price == Decimal("90300.00000000")
    assert row.sent_price == made.reference_price
    traded_at = made.fills.earliest("traded_at").traded_at
    assert row.minute == traded_at.replace(second=0, microsecond=0)
    assert (row.answer, row.minute_price) == ("AWAITED", None)


def test_what_was_sent_again_is_measured_by_the_price_of_the_last_sending(desk):
    desk.paper.add_fault("rate_limit", **POST, retry_after_seconds=5)
    take_in(event())
    made = desk.convert()
    assert made.state == "RETRY_WAIT"
    moved = (made.reference_price * Decimal("1.01")).quantize(Decimal(1))
    desk.paper.set_price("BTCUSDT", moved)
    try:
        desk.resume(after=10)
    finally:
        desk.paper.set_price("BTCUSDT", made.reference_price)
    made.refresh_from_db()
    assert (made.state, made.attempts) == ("BOOKED", 2)
    enter()
    row = Execution.objects.get()
    assert abs(row.sent_price / moved - 1) < Decimal("0.001")
    assert Attempt.objects.filter(call="submit").latest("id").request["mid"] == str(row.sent_price)


def test_a_price_at_sending_that_nobody_noted_is_none(desk):
    """The release before noted none: the price of the plan is that of the sending only where it was sent once."""
    once, twice = desk.settle(event()), desk.settle(event())
    for attempt in Attempt.objects.filter(call="submit"):
        del attempt.request["mid"]
        attempt.save()
    again = Attempt.objects.get(subject_id=twice.pk, call="submit")
    again.pk, again._state.adding, again.request_id = None, True, None
    again.save()
    enter()
    assert Execution.objects.get(pk=once.pk).sent_price == once.reference_price
    assert Execution.objects.get(pk=twice.pk).sent_price is None


def test_exercises_have_no_price_at_an_order_and_crossings_are_not_entered(desk):
    desk.settle(event(kind="EXERCISE", index_price="88000"))
    crossed = desk.settle(event(), event(kind="CLOSE"))
    assert not crossed.filled_coin
    assert enter() == 1
    assert Execution.objects.get().order_price is None


@contextmanager
def unguarded(table):
    """A table that lets its rows be deleted, as long as this goes on."""
    with connections["desk"].cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_what_people_have_booked_by_hand_is_left_out(desk):
    by_hand, told = desk.settle(event()), desk.settle(event())
    with unguarded("settlement_fill"):
        by_hand.fills.update(intervention_id=7)
    assert enter() == 1
    assert Execution.objects.get().pk == told.pk


def test_a_booking_that_commits_late_is_entered_once_it_does_however_late(desk):
    """Ids come before commits: what commits late has a lower id than a change that is there already."""
    late, there = desk.settle(event()), desk.settle(event())
    row = StateChange.objects.get(subject="conversion", subject_id=late.pk, to_state="BOOKED")
    with unguarded("settlement_statechange"):
        StateChange.objects.filter(pk=row.pk).delete()
    now = timezone.now()
    writing = connections["desk"].copy()
    try:
        writing.set_autocommit(False)
        with writing.cursor() as cursor:
            cursor.execute(
                "INSERT INTO settlement_statechange (id, subject, subject_id, from_state, to_state, at, by, why)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [row.pk, row.subject, late.pk, row.from_state, row.to_state, row.at, row.by, row.why],
            )
        for run in range(3):
            assert measuring.enter_booked(clock=lambda: now + run * timedelta(hours=1)) == 0  # noqa: B023
        writing.commit()
    finally:
        writing.close()
    assert enter_decided(now + timedelta(hours=3)) == 2
    assert set(Execution.objects.values_list("pk", flat=True)) == {late.pk, there.pk}


def test_a_server_that_has_begun_fewer_transactions_makes_it_look_anew(desk):
    desk.settle(event())
    now = timezone.now()
    measuring.enter_booked(clock=lambda: now)
    seen = ExecutionsRead.objects.get().seen_xid
    ExecutionsRead.objects.update(seen_xid=seen + 10**9)
    later = now + measuring.DECIDED_AFTER
    assert measuring.enter_booked(clock=lambda: later) == 0
    assert seen <= ExecutionsRead.objects.get().seen_xid < seen + 10**9
    assert enter_decided(later + measuring.DECIDED_AFTER) == 1


def test_a_run_that_is_undone_is_done_by_the_next(desk):
    desk.settle(event())
    now = timezone.now()
    measuring.enter_booked(clock=lambda: now)
    wait_for_others()
    with transaction.atomic(using="desk"):
        measuring._enter_some(now=now + measuring.DECIDED_AFTER)
        assert Execution.objects.count() == 1
        transaction.set_rollback(True, using="desk")
    assert not Execution.objects.exists()
    assert enter_decided(now + measuring.DECIDED_AFTER) == 1


def test_a_clock_that_was_ahead_makes_it_look_anew(desk):
    desk.settle(event())
    now = timezone.now()
    measuring.enter_booked(clock=lambda: now + timedelta(days=3))
    assert measuring.enter_booked(clock=lambda: now) == 0
    assert ExecutionsRead.objects.get().seen_at == now
    assert enter_decided(now + measuring.DECIDED_AFTER) == 1


def test_the_average_of_a_minute_is_its_usdt_over_its_coin(desk):
    awaited(1)
    assert ask(Told(candle())) == 1
    row = Execution.objects.get()
    # 360,200 / 4
    assert (row.answer, row.minute_price, row.minute_coin) == ("KNOWN", Decimal(90_050), Decimal(4))
    venue = Told(candle(usdt="360000"))
    assert ask(venue) == 0
    assert venue.asked == []
    row.refresh_from_db()
    assert row.minute_price == Decimal(90_050)


def test_a_minute_is_asked_for_when_it_is_over(desk):
    awaited(1)
    venue = Told(candle())
    assert ask(venue, NOON + timedelta(seconds=89)) == 0
    assert venue.asked == []
    assert ask(venue, NOON + timedelta(seconds=90)) == 1


@pytest.mark.parametrize(
    "told", [[], [candle(coin="0", usdt="0")], [candle(usdt="400000")]], ids=["left out", "empty", "absurd"]
)
def test_a_minute_that_the_venue_does_not_have_is_awaited_for_a_day_and_then_none(desk, told):
    awaited(1)
    assert ask(Told(*told)) == 0
    row = Execution.objects.get()
    assert (row.answer, row.due_at) == ("AWAITED", NOON + 2 * MINUTE + minutes.AGAIN_AFTER)
    venue = Told(*told)
    assert ask(venue, NOON + 3 * MINUTE) == 0
    assert venue.asked == []
    assert ask(venue, NOON + timedelta(days=1, minutes=1)) == 1
    row.refresh_from_db()
    assert (row.answer, row.minute_price) == ("NONE", None)


@pytest.mark.parametrize("first", [[], VenueError(kind="NetworkError")], ids=["left out", "no answer"])
def test_a_minute_of_long_ago_is_asked_for_twice_before_it_is_none(desk, first):
    """After days without this program the venue's first answer may be a bad one."""
    awaited(1)
    late = NOON + timedelta(days=3)
    ask(Told(error=first) if isinstance(first, VenueError) else Told(*first), late)
    awaited(2)  # entered meanwhile
    again = late + minutes.AGAIN_AFTER
    assert ask(Told(), again) == (first == [])
    answers = dict(Execution.objects.values_list("pk", "answer"))
    assert answers == {1: "NONE" if first == [] else "AWAITED", 2: "AWAITED"}
    assert ask(Told(candle()), again + minutes.AGAIN_AFTER) == 1
    assert Execution.objects.get(pk=2).answer == "KNOWN"


def test_a_venue_that_does_not_answer_is_asked_again_however_late_it_is(desk):
    awaited(1)
    awaited(2, underlying="ETH")
    venue = Told(error=VenueError(kind="NetworkError"))
    late = NOON + timedelta(days=30)
    assert ask(venue, late) == 0
    assert [coin for coin, *_ in venue.asked] == ["BTC", "ETH"]
    assert set(Execution.objects.values_list("answer", flat=True)) == {"AWAITED"}
    assert ask(Told(candle()), late + minutes.AGAIN_AFTER) == 2
    assert set(Execution.objects.values_list("answer", flat=True)) == {"KNOWN"}


def test_minutes_are_asked_for_together_as_far_as_one_call_reaches(desk):
    far = NOON + 500 * MINUTE
    for number, minute in enumerate((NOON, NOON, NOON + 2 * MINUTE, far), start=1):
        awaited(number, minute)
    venue = Told(candle(), candle(NOON + 2 * MINUTE), candle(far))
    assert ask(venue, far + 2 * MINUTE) == 3
    assert venue.asked == [("BTC", NOON, 3), ("BTC", far, 1)]
    assert set(Execution.objects.values_list("answer", flat=True)) == {"KNOWN"}


def test_the_real_adapter_reads_the_venues_minutes(desk):
    desk.settle(event())
    enter()
    row = Execution.objects.get()
    # The past of the venue's books is there from its start on.
    told = desk.venue.minutes(underlying="BTC", first=row.minute - 3 * MINUTE, count=4)
    assert [each.begins_at for each in told] == [row.minute - back * MINUTE for back in (3, 2, 1, 0)]
    assert all(each.coin > 0 and minutes.average(each) for each in told[:3])
    assert told[3].coin >= row.coin
    with pytest.raises(VenueError):
        desk.venue.minutes(underlying="BTC", first=row.minute, count=501)
    assert ask(desk.venue, row.minute + 2 * MINUTE) == 1
    row.refresh_from_db()
    assert row.answer == "KNOWN"
    assert row.minute_price == minutes.average(told[3]) or row.minute_coin >= told[3].coin


def test_a_venue_without_usdt_in_its_candles_is_not_guessed_at(desk, monkeypatch):
    monkeypatch.setattr(desk.venue.real._exchange(), "id", "other")
    with pytest.raises(VenueError) as refused:
        desk.venue.minutes(underlying="BTC", first=NOON, count=1)
    assert refused.value.kind == minutes.NO_MINUTES


def test_minutes_that_no_venue_is_asked_for_are_none(desk, settings):
    awaited(1, venue="binance")
    awaited(2, venue="other")
    awaited(3, underlying="OLD")
    venue = Told(error=VenueError(kind="NetworkError"))
    assert ask(venue) == 0
    assert [coin for coin, *_ in venue.asked] == ["BTC"]
    assert dict(Execution.objects.values_list("pk", "answer")) == {1: "AWAITED", 2: "NONE", 3: "NONE"}


@pytest.mark.parametrize(("kind", "answer"), [(minutes.NO_MINUTES, "NONE"), ("NotSupported", "AWAITED")])
def test_a_venue_that_has_no_averages_ends_the_waiting(desk, kind, answer):
    awaited(1)
    awaited(2, NOON + timedelta(hours=9))  # not due
    ask(Told(error=VenueError(kind=kind)))
    assert set(Execution.objects.values_list("answer", flat=True)) == {answer}
