"""What moves orders without logging it, as the version before does during a rolling deployment, leaves no gap.

The database logs it, and marks the step.
"""

import pytest
from django.db import connections
from django.utils import timezone

from acceptance.models import AcceptedOrder, OrderStep
from audit.findings import Result
from audit.order_steps import order_steps
from audit.reading import reading
from settlement.conversions import balancing
from tests.support.desk_bench import event, take_in
from tests.support.tampering import execute

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])

# Of the version before: neither names the version of the order.
INSERT = """
    INSERT INTO acceptance_acceptedorder (source, order_id, kind, symbol, underlying, contracts, coin, index_price,
        fair, payout, placed_at, door, state, received_at)
    SELECT source, order_id + 1000000, kind, symbol, underlying, contracts, coin, index_price, fair, payout, placed_at,
        door, 'RECEIVED', received_at
    FROM acceptance_acceptedorder
    ON CONFLICT (source, order_id) DO NOTHING
"""
REPORT = """
    UPDATE acceptance_acceptedorder AS t SET state = 'REPORTED', reported_at = now()
    FROM unnest(%s::bigint[]) AS v(id) WHERE t.id = v.id AND t.state = 'SETTLED'
"""
RELEASE = """
    UPDATE acceptance_acceptedorder SET state = 'RECEIVED', conversion_id = NULL, converting_at = NULL
    WHERE id = %s AND state = 'CONVERTING'
"""


def told() -> tuple[list[str], list[str]]:
    """What the audit finds broken of the steps, and what it notes."""
    result = Result(7, "steps")
    with reading(now=timezone.now()) as both:
        order_steps(both, result)
    return [finding.where for finding in result.broken.listed], result.notes


def steps(row_id: int) -> list[tuple[int, str, str, bool]]:
    rows = OrderStep.objects.filter(order_id=row_id).order_by("number")
    return list(rows.values_list("number", "from_state", "to_state", "unlogged"))


def noted(count: int) -> list[str]:
    return [f"{count} steps of orders were logged by the database, not by what moved them"]


def test_both_versions_move_one_order_in_turns_and_its_history_is_whole(desk):
    take_in(event())
    assert execute("desk", INSERT) == 1
    assert execute("desk", INSERT.replace("+ 1000000", "+ 0")) == 0  # known: nothing is logged
    ours, theirs = AcceptedOrder.objects.order_by("pk")
    assert steps(theirs.pk) == [(0, "", "RECEIVED", True)]
    assert told() == ([], noted(1))
    made = desk.convert()
    assert made.order_count == 2
    assert execute("desk", RELEASE, [theirs.pk]) == 1
    released = OrderStep.objects.get(order_id=theirs.pk, number=2)
    assert (released.conversion_id, released.to_state) == (made.pk, "RECEIVED")
    assert told() == ([], noted(2))
    execute("desk", "UPDATE acceptance_acceptedorder SET state = 'CONVERTING', conversion_id = %s", [made.pk])
    assert balancing.book(made, now=timezone.now())
    assert execute("desk", REPORT, [[ours.pk, theirs.pk]]) == 2
    assert steps(ours.pk) == [
        (1, "", "RECEIVED", False),
        (2, "RECEIVED", "CONVERTING", False),
        (3, "CONVERTING", "SETTLED", False),
        (4, "SETTLED", "REPORTED", True),
    ]
    assert [step[0] for step in steps(theirs.pk)] == [0, 1, 2, 3, 4, 5]
    assert told() == ([], noted(5))


def test_a_move_past_the_graph_is_logged_and_found(desk):
    take_in(event())
    order = AcceptedOrder.objects.get()
    execute("desk", "UPDATE acceptance_acceptedorder SET state = 'REPORTED'")
    assert steps(order.pk)[-1] == (2, "RECEIVED", "REPORTED", True)
    assert told() == ([f"accepted order {order.pk}"], noted(1))


def test_code_that_raises_the_version_and_logs_nothing_is_found(desk):
    take_in(event())
    order = AcceptedOrder.objects.get()
    execute("desk", "UPDATE acceptance_acceptedorder SET state = 'CONVERTING', version = version + 1")
    assert told() == ([f"accepted order {order.pk}"], [])


def test_orders_that_were_there_before_are_marked_by_the_migration():
    with connections["desk"].cursor() as cursor:
        cursor.execute("SELECT array_agg(after_id) FROM acceptance_orderstepsbegin")
        assert cursor.fetchone() == ([0],)  # these databases were empty then
