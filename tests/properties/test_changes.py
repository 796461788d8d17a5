"""Wherever a listener leaves and comes again, it ends up knowing what is stored."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from counter.models import Account, Position, SyncOrder
from counter.stream.changes import Change, Following, Mark, Told, begin
from tests.support.examples import examples
from tests.support.factories import make_customer, make_option, place_close, place_open
from tests.support.settling import settle

STEPS = (
    "open",
    "close",
    "close at fill",
    "settle",
    "sync",
    "expire",
    "read",
    "go",
    "come",
    "one more begins",
    "joins",
)


@dataclass
class Ear:
    """What one listener knows, by what it was told."""

    orders: dict[int, str] = field(default_factory=dict)
    positions: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    balance: Any = None

    def hear(self, change: Change) -> None:
        self.orders |= {order.pk: order.state for order in change.orders}
        self.positions |= {each.pk: (each.state, each.remaining, each.unpaid) for each in change.positions}
        self.balance = self.balance if change.balance is None else change.balance


class Market:
    """Two customers, of whom the first is listened to; what happens is chosen by number."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.customer, self.other = (make_customer(balance="10000000", now=self.now) for _ in range(2))
        self.options = [make_option(days=days, now=self.now) for days in (20, 40)]
        self.placed: list[Any] = []

    def do(self, step: str, number: int) -> None:
        customer = self.customer if number % 4 else self.other
        own = [order for order in self.placed if order.customer_id == customer.pk]
        left = Position.objects.filter(customer=customer, state="OPEN", remaining__gt=0)
        unsettled = [order for order in own if SyncOrder.objects.get(pk=order.id).state != "SETTLED"]
        if step == "open":
            order = place_open(customer, self.options[number % 2], contracts=1 + number % 3, now=self.now)
            self.placed.append(order)
        elif step.startswith("close") and (opens := [o for o in own if left.filter(pk=o.id).exists()]):
            payout = "at_fill" if step.endswith("fill") else "instant"
            self.placed.append(
                place_close(opens[number % len(opens)], contracts=1, payout=payout, now=self.now)
            )
        elif step == "settle" and unsettled:
            settle(unsettled[number % len(unsettled)], now=self.now)
        elif step == "sync" and unsettled:
            ids = [unsettled[number % len(unsettled)].id]
            SyncOrder.objects.filter(pk__in=ids, state="PENDING").update(state="SYNCED", synced_at=self.now)
        elif step == "expire" and (position := left.filter(option=self.options[0]).first()):
            Position.objects.filter(pk=position.pk).update(state="EXPIRED", closed_at=self.now)


@pytest.mark.django_db
@hypothesis_settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example([("open", 1), ("read", 1), ("go", 1), ("settle", 1), ("come", 1)])
@example([("open", 2), ("settle", 2), ("read", 1), ("go", 1), ("expire", 2), ("come", 1)])
@example([("open", 1), ("one more begins", 1), ("settle", 1), ("read", 1), ("joins", 1)])
@example([("one more begins", 1), ("open", 1), ("read", 1), ("joins", 1)])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 11)), max_size=40))
def test_a_listener_ends_up_knowing_what_is_stored(steps):
    with transaction.atomic():
        _check(steps)
        transaction.set_rollback(True)


def _check(steps: list[tuple[str, int]]) -> None:
    market, following = Market(), Following()
    customer_id = market.customer.pk
    after_expiry = market.options[0].expires_at + timedelta(seconds=1)
    ears, gone, mark = [Ear()], False, None
    begun: list[tuple[Ear, Told]] = []

    def hear_first(ear: Ear, since: Mark | None) -> Told:
        start, told = begin(customer_id=customer_id, since=since)
        ear.hear(start)
        return told

    def join() -> None:
        for ear, told in begun:
            following.follow(told)
            ears.append(ear)
        begun.clear()

    def read() -> None:
        found = following.read(now=after_expiry)
        assert found.keys() <= {customer_id}
        for ear in ears:
            ear.hear(found.get(customer_id, Change()))

    following.follow(hear_first(ears[0], None))
    for step, number in steps:
        if step == "read" and not gone:
            read()
        elif step == "go" and not gone:
            # It has been told what was read, and misses what happens from here on.
            mark, gone, ears = following.mark(customer_id, market.now), True, ears[:1]
            begun.clear()
            following.leave(customer_id)
        elif step == "come" and gone:
            following.follow(hear_first(ears[0], mark))
            gone = False
        elif step == "one more begins" and not gone:
            begun.append((ear := Ear(), hear_first(ear, None)))
        elif step == "joins" and not gone:
            join()
        else:
            market.do(step, number)
    if gone:
        following.follow(hear_first(ears[0], mark))
    join()
    read()
    assert following.read(now=after_expiry) == {}, "nothing changed, but something was told"
    stored = dict(SyncOrder.objects.filter(customer_id=customer_id).values_list("pk", "state"))
    fields = ("pk", "state", "remaining", "unpaid")
    positions = {
        pk: tuple(rest) for pk, *rest in Position.objects.filter(customer_id=customer_id).values_list(*fields)
    }
    balance = Account.objects.get(customer_id=customer_id).balance
    assert (ears[0].orders, ears[0].positions, ears[0].balance) == (stored, positions, balance)
    for ear in ears[1:]:  # who came later knows nothing of what had ended before
        assert ear.orders.items() <= stored.items()
        assert ear.positions.items() <= positions.items()
        assert ear.balance == balance
        assert {pk for pk, state in stored.items() if state != "SETTLED"} <= ear.orders.keys()
        assert {
            pk for pk, held in positions.items() if held[0] in ("OPEN", "CLOSING")
        } <= ear.positions.keys()
