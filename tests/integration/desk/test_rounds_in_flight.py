"""More than one round of a coin under way: what each claims, how many there are, and who looks after what is left."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from acceptance.models import AcceptedOrder
from infra.coordination.leader import exclusive, held_of
from settlement.conversions import rounds
from settlement.conversions.rounds import Worked
from settlement.models import Attempt, Carry, Conversion
from settlement.task_triggers import converting, places, settle_soon
from tests.support.desk_bench import POST, Desk, assert_books_agree, event, order_states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


def work_off(desk: Desk) -> Worked:
    return rounds.work_off(underlying="BTC", venue=desk.venue)


def beside(call) -> threading.Thread:
    """Do it on a thread, with connections of its own."""

    def run() -> None:
        try:
            call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@contextmanager
def held(*names: str) -> Iterator[None]:
    """Others are at it."""
    done, taken = threading.Event(), []

    def hold(name: str) -> None:
        with exclusive(name, using="desk") as alone:
            taken.append(alone)
            done.wait(60)

    holders = [beside(lambda name=name: hold(name)) for name in names]
    try:
        deadline = time.monotonic() + 60
        while len(taken) < len(names):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert all(taken)
        yield
    finally:
        done.set()
        for holder in holders:
            holder.join()


@contextmanager
def first_round_at_the_venue(desk: Desk, *, executed: bool) -> Iterator[None]:
    """A round whose order the venue is at, with 0.01 BTC and all that was carried; it ends with the block."""
    at_the_venue, may_end = threading.Event(), threading.Event()
    submit = desk.venue.real.submit

    def submit_slowly(**order: Any) -> Any:
        desk.venue.real.submit = submit  # of the rounds after it
        report = submit(**order) if executed else None
        at_the_venue.set()
        assert may_end.wait(60)
        return report or submit(**order)

    desk.venue.real.submit = submit_slowly
    take_in(event())
    first = beside(lambda: work_off(desk))
    assert at_the_venue.wait(30)
    try:
        yield
    finally:
        may_end.set()
        first.join()
        del desk.venue.real.submit


@pytest.mark.parametrize("executed", [False, True])
def test_the_next_round_is_sent_and_booked_while_the_venue_works_on_the_last(desk, executed):
    carried = desk.settle(event()).carry_out_coin
    assert carried
    with first_round_at_the_venue(desk, executed=executed):
        take_in(event(coin="0.02"), event(kind="CLOSE", coin="0.003"))
        assert work_off(desk).rounds == 1
        first, second = Conversion.objects.order_by("id")[1:]
        assert (first.state, first.place) == ("SUBMITTED", 0)
        assert (second.state, second.place) == ("BOOKED", 1)
        assert (first.carry_in_coin, second.carry_in_coin) == (carried, 0)
    assert order_states() == {"SETTLED"}
    first.refresh_from_db()
    assert Carry.objects.get().coin == first.carry_out_coin + second.carry_out_coin
    assert_books_agree(desk)
    take_in(event())
    work_off(desk)
    assert Conversion.objects.latest("id").carry_in_coin == first.carry_out_coin + second.carry_out_coin
    assert_books_agree(desk)


def test_no_more_rounds_are_under_way_than_may_be(desk, settings):
    take_in(event())
    with held(*places("BTC")):
        assert work_off(desk) == Worked(0, orders_left=False)
    settings.ROUNDS_IN_FLIGHT = 1
    with held(converting("BTC")):
        assert work_off(desk) == Worked(0, orders_left=False)
    assert work_off(desk).rounds == 1


def test_new_orders_call_for_a_further_round_until_as_many_are_under_way_as_may_be(desk, sent):
    with held(places("BTC")[0]):
        settle_soon("BTC")
        assert len(sent) == 1
    with held(*places("BTC")):
        assert held_of(places("BTC"), using="desk") == set(places("BTC"))
        settle_soon("BTC")
        assert len(sent) == 1


def test_the_venues_allowance_decides_whether_there_is_a_further_round(desk, settings):
    settings.VENUE_ORDERS_PER_10S = 100
    take_in(event())
    desk.venue.real._order_count = (time.monotonic(), rounds.FURTHER_BELOW_PERCENT)
    with held(converting("BTC")):
        assert work_off(desk) == Worked(0, orders_left=False)
        assert not Conversion.objects.exists()
        desk.venue.real._order_count = (time.monotonic(), 0)
        assert work_off(desk).rounds == 1


def test_while_the_allowance_runs_low_nobody_is_called_for_a_further_round(desk, settings):
    settings.VENUE_ORDERS_PER_10S = 100
    desk.venue.real._order_count = (time.monotonic(), rounds.FURTHER_BELOW_PERCENT)
    take_in(event())
    under_way: list[set[str]] = []
    desk.venue.before_submit = lambda _: under_way.append(held_of(places("BTC"), using="desk"))
    assert work_off(desk).rounds == 1
    assert under_way == [set(places("BTC"))]
    assert held_of(places("BTC"), using="desk") == set()


def test_orders_that_missed_are_the_first_rounds_to_chase(desk):
    desk.paper.set_price("BTCUSDT", "90000")
    take_in(event())
    desk.venue.before_submit = lambda _: desk.paper.set_price("BTCUSDT", "91000")
    assert desk.convert().state == "MISSED"
    desk.venue.before_submit = None
    with held(converting("BTC")):
        assert work_off(desk) == Worked(0, orders_left=False), "the first round looks after it"
        assert order_states() == {"RECEIVED"}
    assert work_off(desk).rounds == 1
    assert_books_agree(desk)


def test_a_further_round_that_misses_leaves_its_orders_to_the_first(desk):
    desk.paper.set_price("BTCUSDT", "90000")
    take_in(event())
    desk.venue.before_submit = lambda _: desk.paper.set_price("BTCUSDT", "91000")
    with held(converting("BTC")):
        assert work_off(desk) == Worked(0, orders_left=True)
        assert len(desk.venue.submissions) == 1, "it is not chased here"
    desk.venue.before_submit = None
    assert work_off(desk).rounds == 1
    assert_books_agree(desk)


@pytest.mark.parametrize("place", [0, 1])
def test_what_a_dead_round_has_sent_is_asked_for_at_once_while_the_other_lives(desk, place):
    def die(_: str) -> None:
        raise KeyboardInterrupt

    desk.venue.before_submit = die
    take_in(event())
    names = places("BTC")
    with held(*names[:place]), pytest.raises(KeyboardInterrupt):
        work_off(desk)
    made = Conversion.objects.get()
    assert (made.state, made.place) == ("SUBMITTED", place)
    asked = Attempt.objects.filter(call=Attempt.Call.ASK)
    with held(names[place]):
        desk.resume()
        assert not asked.exists()
    with held(names[1 - place]):
        desk.resume()
        assert asked.count() == 1
    assert len(desk.venue.submissions) == 1


def test_many_rounds_beside_each_other_settle_each_order_once(desk):
    """Two workers at the coin all the while orders come in, and partial fills carry coin on."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            work_off(desk)

    workers = [beside(work) for _ in range(2)]
    try:
        for number in range(30):
            if number % 7 == 3:
                desk.paper.add_fault("thin_book", **POST, factor="0.01")
            take_in(event(coin="0.013"), event(kind="CLOSE", coin=f"0.00{number % 9 + 1}"))
        deadline = time.monotonic() + 30
        while AcceptedOrder.objects.exclude(state="SETTLED").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        stopping.set()
        for worker in workers:
            worker.join()
    desk.resume(after=60)
    assert order_states() == {"SETTLED"}
    assert sum(made.order_count for made in Conversion.objects.filter(state="BOOKED")) == 60
    assert_books_agree(desk)
    assert timezone.now() > AcceptedOrder.objects.latest("id").settled_at
