"""Working a coin off: rounds that book what they convert, one worker at a time, within the venue's allowance."""

import time
from decimal import Decimal

import pytest

from settlement.conversions import rounds
from settlement.models import Carry, Conversion
from settlement.netting import net
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
    monkeypatch.setattr(rounds, "ROUNDS_FOR_SECONDS", 30.0)  # however slow the machine is
    take_in(event())
    late = iter([event()])
    place = desk.venue.real.submit

    def submit_and_receive(**order):
        report = place(**order)
        for one in late:
            take_in(one)
        return report

    monkeypatch.setattr(desk.venue.real, "submit", submit_and_receive)
    monkeypatch.setattr(rounds, "ROUNDS_FOR_SECONDS", 60.0)  # however busy the machine
    worked = rounds.work_off(underlying="BTC", venue=desk.venue)
    assert (worked.rounds, worked.orders_left) == (2, False)
    first, second = Conversion.objects.order_by("id")
    assert second.carry_in_coin == first.carry_out_coin
    assert Carry.objects.get(pk="BTC").coin == second.carry_out_coin


def test_a_round_that_cannot_be_booked_says_why_and_holds_up_no_other(desk, monkeypatch):
    monkeypatch.setattr(rounds, "ROUNDS_FOR_SECONDS", 60.0)  # however busy the machine
    take_in(event())
    real, late = net.settle, iter([event(coin="0.02")])

    def settle(*, demands, **what):
        if demands[0].coin == Decimal("0.01"):
            raise ValueError("not this one")
        return real(demands=demands, **what)

    monkeypatch.setattr(net, "settle", settle)
    desk.venue.before_submit = lambda _: [take_in(one) for one in late]
    assert not rounds.work_off(underlying="BTC", venue=desk.venue).orders_left
    first, second = Conversion.objects.order_by("id")
    assert (first.state, second.state) == ("FILLED", "BOOKED")
    assert first.reason == "cannot be booked: not this one"


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


@pytest.mark.parametrize(("is_pushed", "calls"), [(False, 2), (True, 1)])
def test_a_round_makes_no_two_calls_that_could_go_side_by_side(desk, monkeypatch, is_pushed, calls):
    """A price, unless it is pushed, and the order, whose limit comes of it."""
    desk.settle(event())  # markets and account are known
    if is_pushed:
        top = desk.venue.top_of_book("BTC", within_seconds=0)
        monkeypatch.setattr(desk.venue.real, "top_of_book", lambda *_, **__: top)
    else:
        desk.venue.real._tops.clear()
    every = desk.paper.add_fault("latency", path="/")
    take_in(event(), event(kind="CLOSE", coin="0.005"))
    assert rounds.work_off(underlying="BTC", venue=desk.venue).rounds == 1
    [told] = [fault for fault in desk.paper.faults() if fault["fault_id"] == every["fault_id"]]
    assert told["struck"] == calls
