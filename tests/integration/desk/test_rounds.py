"""Working a coin off: rounds that book what they convert, one worker at a time, within the venue's allowance."""

import threading
import time

import pytest
from django.db import connections

from acceptance.intake import converting
from config.leader import exclusive
from settlement import rounds
from settlement.models import Carry, Conversion
from settlement.venues.ccxt_venue import ORDER_COUNT_WINDOW_SECONDS, CcxtVenue
from tests.support.desk_bench import assert_books_agree, event, order_states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


def test_a_round_books_what_it_converts(desk):
    take_in(event(), event())
    worked = rounds.work_off(underlying="BTC", venue=desk.venue)
    assert (worked.rounds, worked.orders_left) == (1, False)
    assert set(order_states()) == {"SETTLED"}
    assert_books_agree(desk)


def test_what_arrives_during_a_round_is_the_next_one_and_nets_what_was_carried(desk, monkeypatch):
    take_in(event())
    late = iter([event()])
    place = desk.venue.real.submit

    def submit_and_receive(**order):
        report = place(**order)
        for one in late:
            take_in(one)
        return report

    monkeypatch.setattr(desk.venue.real, "submit", submit_and_receive)
    worked = rounds.work_off(underlying="BTC", venue=desk.venue)
    assert (worked.rounds, worked.orders_left) == (2, False)
    first, second = Conversion.objects.order_by("id")
    assert second.carry_in_coin == first.carry_out_coin
    assert Carry.objects.get(pk="BTC").coin == second.carry_out_coin


def test_nobody_works_off_a_coin_that_somebody_is_at(desk):
    take_in(event())
    held, done = threading.Event(), threading.Event()

    def hold():
        with exclusive(converting("BTC"), using="desk") as alone:
            assert alone
            held.set()
            done.wait(10)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        assert rounds.work_off(underlying="BTC", venue=desk.venue) == rounds.Worked(0, orders_left=False)
    finally:
        done.set()
        holder.join()
    assert rounds.work_off(underlying="BTC", venue=desk.venue).rounds == 1


def test_rounds_draw_apart_as_the_allowance_runs_out(desk, settings):
    settings.VENUE_ORDERS_PER_10S = 100
    venue: CcxtVenue = desk.venue.real
    assert venue.pace_seconds() == 0
    take_in(event())
    rounds.work_off(underlying="BTC", venue=desk.venue)
    assert venue._order_count[1] >= 1, "the venue's header was read"
    paces = []
    for count in (0, 50, 60, 80, 100):
        venue._order_count = (time.monotonic(), count)
        paces.append(venue.pace_seconds())
    assert paces[:2] == [0, 0]
    assert paces == sorted(paces)
    assert paces[-1] > len(settings.COINS) * ORDER_COUNT_WINDOW_SECONDS / 100, (
        "slower than the allowance comes back"
    )
    venue._order_count = (time.monotonic() - ORDER_COUNT_WINDOW_SECONDS - 1, 100)
    assert venue.pace_seconds() == 0
