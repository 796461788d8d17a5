"""An order that was kept aside is resolved by people: ours stands, or theirs comes in by the one door."""

import pytest

from acceptance.models import AcceptedOrder, Conflict
from settlement.interventions.terms import Refused
from settlement.models import Intervention
from tests.support import people
from tests.support.desk_bench import Desk, event, order_states, take_in

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])


def ask(desk: Desk, kind: str) -> Intervention:
    return people.ask_for(Conflict.objects.get(), kind, desk.venue)


def approve(desk: Desk, made: Intervention) -> Intervention:
    return people.approve(made, desk.venue)


def test_ours_is_kept_by_one_and_nothing_changes(desk):
    order = event()
    desk.settle(order)
    take_in(event(order_id=order.order_id, coin="7"))
    before = AcceptedOrder.objects.values().get()
    assert ask(desk, "keep_ours").state == "APPLIED"
    row = Conflict.objects.get()
    assert (row.resolved_at is not None, "ann" in row.resolution) == (True, True)
    assert AcceptedOrder.objects.values().get() == before
    with pytest.raises(Refused, match="it is RESOLVED"):
        ask(desk, "keep_ours")


def test_an_order_that_the_desk_holds_is_not_disowned_without_counters_word(desk):
    order = event()
    desk.settle(order)
    take_in(event(order_id=order.order_id, coin="7"))
    with pytest.raises(Refused, match="counter does not say"):
        ask(desk, "take_theirs")


def test_an_order_that_could_not_be_settled_is_taken_in_once_it_can(desk, settings):
    coins = settings.COINS
    settings.COINS = {"ETH": coins["ETH"]}
    order = event()
    take_in(order)
    with pytest.raises(Refused, match="still cannot be settled"):
        ask(desk, "take_theirs")
    settings.COINS = coins
    approve(desk, ask(desk, "take_theirs"))
    row = AcceptedOrder.objects.get()
    assert (row.order_id, row.coin, row.door) == (order.order_id, order.coin, "import")
    assert Conflict.objects.get().resolved_at is not None
    desk.convert()
    desk.resume()
    assert order_states() == {"SETTLED"}


def test_what_was_resolved_meanwhile_makes_the_request_void(desk, settings):
    coins = settings.COINS
    settings.COINS = {"ETH": coins["ETH"]}
    take_in(event())
    settings.COINS = coins
    waiting = ask(desk, "take_theirs")
    ask(desk, "keep_ours")
    with pytest.raises(Refused, match="VOID"):
        approve(desk, waiting)
    assert not AcceptedOrder.objects.exists()
