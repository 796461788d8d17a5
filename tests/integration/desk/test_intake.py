"""The one door: each order once, by every way in; what contradicts or cannot be settled is kept aside."""

import time
from datetime import UTC, datetime
from decimal import Decimal

import hypothesis
import msgspec
import pytest
import redis
from django.conf import settings
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from acceptance.intake import UNCALLED
from acceptance.models import AcceptedOrder, Conflict
from counter.contracts import SyncBatch, SyncEvent, decode, encode
from infra.db.arrays import array
from tests.support.brokers import task_queue
from tests.support.desk_bench import at_once, event, order_states, take_in
from tests.support.examples import examples

pytestmark = pytest.mark.django_db(transaction=True, databases=["desk"])

Door = AcceptedOrder.Door


def changed(original: SyncEvent, **changes: object) -> SyncEvent:
    return msgspec.structs.replace(original, **changes)


def waiting(broker: str, queue: str = "convert") -> int:
    with redis.Redis.from_url(broker) as client:
        return client.llen(task_queue(queue))


def test_an_order_is_stored_once_through_every_door(broker_url):
    order = event()
    first = take_in(order, door=Door.QUEUE)
    again = [take_in(order, door=door) for door in Door]

    assert first.accepted == [order.order_id]
    assert [intake.accepted for intake in again] == [[], [], []]
    assert [intake.known for intake in again] == [[order.order_id]] * 3
    stored = AcceptedOrder.objects.get()
    assert (stored.door, stored.state, stored.coin) == (Door.QUEUE, "RECEIVED", order.coin)
    assert not Conflict.objects.exists()


def test_an_order_twice_in_one_batch_is_stored_once(broker_url):
    order, other = event(), event()
    intake = take_in(order, other, order)
    assert sorted(intake.accepted) == sorted([order.order_id, other.order_id])
    assert intake.conflicts == []
    assert AcceptedOrder.objects.count() == 2


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_other_content_under_a_known_id_is_kept_aside_and_never_applied(broker_url, in_one_batch):
    order = event()
    twin = changed(order, coin=Decimal("0.02"))
    if in_one_batch:
        intake = take_in(order, twin)
    else:
        take_in(order)
        intake = take_in(twin)
        assert intake.stored == []  # so it is not acknowledged either

    assert intake.conflicts == [order.order_id]
    assert AcceptedOrder.objects.get().coin == order.coin
    conflict = Conflict.objects.get()
    assert (conflict.order_id, conflict.reason) == (order.order_id, "other_content")
    assert Decimal(conflict.received["coin"]) == Decimal("0.02")


def test_a_conflict_is_noted_once_however_often_it_comes(broker_url):
    order = event()
    take_in(order)
    for _ in range(3):
        take_in(changed(order, contracts=2))
    assert Conflict.objects.count() == 1


BAD = {
    "another counter's order": {"source": "somebody-else"},
    "a coin that is not traded": {"underlying": "DOGE", "index_price": "1"},
    "a version of tomorrow": {"version": 2},
    "nothing to buy": {"coin": "0"},
    "a negative amount": {"coin": "-1"},
    "finer than its column": {"coin": "0.000000001"},
    "finer than its column, behind many digits": {"coin": "1." + "0" * 40 + "1"},
    "larger than its column": {"coin": "1E+12"},
    "a price of nothing": {"index_price": "0"},
    "a fair value below zero": {"fair": Decimal("-0.000001")},
    "no contracts": {"contracts": 0},
    "more contracts than fit": {"contracts": 2**31},
    "an order id that does not fit": {"order_id": 2**63},
    "a symbol that does not fit": {"symbol": "X" * 33},
    "a character that no text column holds": {"symbol": "BTC\x00"},
    "the same in its source": {"source": "x\x00" * 40},
    "a moment without a zone": {"placed_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the point
    "a moment at the end of time": {"placed_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_what_cannot_be_settled_is_kept_aside_and_stops_no_other(broker_url, changes):
    bad, good = event(**changes), event()
    intake = take_in(bad, good)

    assert intake.accepted == [good.order_id]
    assert intake.conflicts == [bad.order_id]
    assert bad.order_id not in intake.stored
    assert Conflict.objects.get().reason == "invalid"


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False) | st.just(Decimal(1))
EVENTS = st.builds(
    SyncEvent,
    source=st.just(settings.COUNTER_SOURCE) | st.text(max_size=40),
    order_id=st.integers(1, 2**63 - 1),
    kind=st.sampled_from(["OPEN", "CLOSE", "EXERCISE"]),
    symbol=st.text(max_size=40),
    underlying=st.sampled_from(["BTC", "ETH", "btc"]),
    contracts=st.integers(-(2**63), 2**64 - 1) | st.just(1),
    coin=AMOUNTS,
    index_price=AMOUNTS,
    fair=AMOUNTS,
    payout=st.sampled_from(["instant", "at_fill"]),
    placed_at=st.datetimes(timezones=st.just(UTC)),
    version=st.integers(0, 2),
)


@pytest.mark.django_db(databases=["desk"])
@hypothesis.settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batch=st.lists(EVENTS, min_size=1, max_size=5))
def test_each_message_that_can_be_decoded_can_be_taken_in(db, batch):
    intake = take_in(*decode(encode(SyncBatch(events=batch)), SyncBatch).events)
    assert set(intake.stored) | set(intake.conflicts) == {item.order_id for item in batch}
    held = {row.order_id: row for row in AcceptedOrder.objects.filter(order_id__in=intake.accepted)}
    for item in batch:
        if item.order_id in intake.accepted and item.order_id not in intake.conflicts:
            assert held[item.order_id].coin == item.coin


def test_two_doors_at_once_store_each_order_once(broker_url):
    batch = [event() for _ in range(200)]
    first, second, third = at_once(
        lambda: take_in(*batch, door=Door.QUEUE),
        lambda: take_in(*reversed(batch), door=Door.PULL),
        lambda: take_in(*batch[50:150], door=Door.IMPORT),
    )
    ids = {order.order_id for order in batch}
    assert sorted(first.accepted + second.accepted + third.accepted) == sorted(ids)
    assert set(first.stored) == set(second.stored) == ids
    assert AcceptedOrder.objects.count() == 200
    assert not Conflict.objects.exists()


def test_a_chain_for_each_coin_is_sent_after_the_commit_and_not_before(broker_url):
    with transaction.atomic(using="desk"):
        take_in(event(), event(), event(underlying="ETH"))
        assert waiting(broker_url) == 0
    assert waiting(broker_url) == 2


def test_a_batch_that_is_rolled_back_sends_nothing(broker_url):
    with transaction.atomic(using="desk"):
        take_in(event())
        transaction.set_rollback(True, using="desk")
    assert waiting(broker_url) == 0
    assert not AcceptedOrder.objects.exists()


def test_what_is_known_already_sends_no_chain(broker_url):
    order = event()
    take_in(order)
    take_in(order)
    assert waiting(broker_url) == 1


def test_what_is_known_already_is_answered_for_only_once_a_standby_has_it(broker_url):
    order = event()
    for is_known in (False, True):
        with CaptureQueriesContext(connections["desk"]) as asked:
            assert take_in(order).stored == [order.order_id]
        assert any("pg_logical_emit_message" in query["sql"] for query in asked) is is_known


@pytest.mark.timed
def test_orders_are_stored_at_once_when_no_broker_takes_the_chain(broker_url):
    from celery import current_app

    was = current_app.conf.broker_url
    current_app.conf.broker_url = "redis://127.0.0.1:1/0"
    current_app._after_fork()
    started = time.monotonic()
    try:
        assert take_in(event()).accepted
        assert time.monotonic() - started < 1.0
    finally:
        current_app.conf.broker_url = was
        current_app._after_fork()
    assert order_states() == {"RECEIVED"}


def test_a_batch_is_stored_in_the_order_of_its_keys(broker_url):
    """So that batches which overlap wait for each other and never deadlock."""
    batch = [event() for _ in range(3)]
    with connections["desk"].execute_wrapper(ordered := _Ordered()):
        take_in(*reversed(batch))
    assert ordered.ids == sorted(ordered.ids)


class _Ordered:
    """Notes the order ids of the insert as they are sent."""

    ids: list[int]

    def __call__(self, execute, sql, params, many, context):
        if "INSERT INTO acceptance_acceptedorder" in sql:
            self.ids = [int(order_id) for order_id in params[3].strip("{}").split(",")]
        return execute(sql, params, many, context)


def test_a_message_is_taken_in_at_the_same_cost_however_many_orders_wait():
    with connections["desk"].cursor() as cursor:
        cursor.execute("ANALYZE acceptance_acceptedorder")  # while none waits
    take_in(*(event(underlying=coin) for _ in range(1000) for coin in ("BTC", "ETH")))
    newest = AcceptedOrder.objects.latest("pk").pk
    with connections["desk"].cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {UNCALLED}", [array(["BTC", "ETH"]), array([newest, newest])]
        )
        [[[plan]]] = cursor.fetchall()
    assert rows_read(plan["Plan"]) <= 4  # the coins, and an order of each


def rows_read(node):
    here = (node["Actual Rows"] + node.get("Rows Removed by Join Filter", 0)) * node["Actual Loops"]
    return max([here, *map(rows_read, node.get("Plans", ()))])
