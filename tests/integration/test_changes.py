"""What following costs: statements by what has changed, not by who listens; and what is told when there is too much."""

import pytest
from django.utils import timezone

from counter.stream import changes
from counter.stream.changes import Following, begin
from tests.support.factories import make_customer, make_option, place_open
from tests.support.settling import settle

pytestmark = pytest.mark.django_db


def following(customers):
    made = Following()
    for customer in customers:
        made.follow(begin(customer_id=customer.pk, since=None)[1])
    return made


@pytest.mark.parametrize("listeners", [1, 60])
def test_statements_do_not_depend_on_how_many_listen(django_assert_num_queries, listeners):
    customers = [make_customer() for _ in range(listeners)]
    now, option, made = timezone.now(), make_option(), following(customers)
    with django_assert_num_queries(2):  # new orders, balances
        assert made.read(now=now) == {}
    placed = [place_open(customer, option) for customer in customers]
    with django_assert_num_queries(4):  # and the orders and positions that are told
        assert len(made.read(now=now)) == listeners
    with django_assert_num_queries(3):  # and whether unfinished orders have moved
        assert made.read(now=now) == {}
    settle(placed[0])
    with django_assert_num_queries(5):
        assert list(made.read(now=now)) == [customers[0].pk]


def test_who_is_not_followed_any_more_is_not_read(django_assert_num_queries):
    customer = make_customer()
    made = following([customer])
    made.leave(customer.pk)
    with django_assert_num_queries(0):
        assert made.read(now=timezone.now()) == {}


def test_of_too_much_the_newest_is_told_and_all_is_followed(monkeypatch):
    monkeypatch.setattr(changes, "TOLD_AT_ONCE", 3)
    customer, option = make_customer(), make_option()
    placed = [place_open(customer, option) for _ in range(5)]
    start, told = begin(customer_id=customer.pk, since=None)
    assert not start.is_whole
    assert [order.pk for order in start.orders] == [order.id for order in placed[2:]]
    assert [position.pk for position in start.positions] == [order.id for order in placed[2:]]
    made = Following()
    made.follow(told)
    settle(placed[0])
    assert [order.pk for order in made.read(now=timezone.now())[customer.pk].orders] == [placed[0].id]
    assert made.mark(customer.pk, timezone.now()).order_id == placed[1].id


def test_more_than_may_be_asked_about_at_once_take_turns(monkeypatch):
    monkeypatch.setattr(changes, "ASKED_AT_ONCE", 2)
    customer, option = make_customer(), make_option()
    placed = [place_open(customer, option) for _ in range(5)]
    made = following([customer])
    for order in placed:
        settle(order)
    told = [len(made.read(now=timezone.now())[customer.pk].orders) for _ in range(2)]
    while rest := made.read(now=timezone.now()):
        told.append(len(rest[customer.pk].orders))
    assert sum(told) == 5
    assert max(told) <= 2


def test_a_burst_beyond_one_reading_is_told_by_the_next(monkeypatch):
    monkeypatch.setattr(changes, "NEW_ORDERS_AT_ONCE", 2)
    customer, option = make_customer(), make_option()
    made = following([customer])
    placed = [place_open(customer, option).id for _ in range(5)]
    heard = [[order.pk for order in made.read(now=timezone.now())[customer.pk].orders] for _ in range(3)]
    assert heard == [placed[:2], placed[2:4], placed[4:]]
