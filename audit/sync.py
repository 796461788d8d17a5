"""Invariant 3: every sync order is in acceptance exactly once with the same content, and the reverse.

Counter's snapshot is the older one. So what counter calls synced or settled has to be at the desk, and only a pending
order may be missing there, for a while; and an order that the desk has and counter has not is either younger than
counter's snapshot or was never placed.
"""

from datetime import datetime

from django.conf import settings

from acceptance.models import Conflict
from audit.findings import Finding, Result
from audit.orders import BUCKET_ORDERS, CONTENT, Difference, differing_fields
from audit.reading import Reading, where_order
from counter.models import SyncOrder

STRANGERS = """
    SELECT source, order_id, count(*) OVER () FROM acceptance_acceptedorder
    WHERE source <> %s AND state <> 'DISOWNED' ORDER BY id LIMIT 50
"""
CONFLICTS = """
    SELECT source, order_id, reason, noted_at, count(*) OVER () FROM acceptance_conflict
    WHERE resolved_at IS NULL ORDER BY noted_at LIMIT 50
"""


def same_orders(reading: Reading, result: Result) -> None:
    """3: both sides hold the same orders; conflicts nobody has resolved are breaks too."""
    comparison = reading.orders
    result.checked = comparison.counter_orders
    for difference in comparison.differences:
        _judge(difference, reading, result)
    for order_id in comparison.held_twice:
        result.broken.add(Finding("order is at the desk twice", where_order(order_id), "one row is too many"))
    for number in comparison.unopened:
        first = number * BUCKET_ORDERS
        detail = "checksums differ; too many do for their rows to be read"
        where = f"orders {first} to {first + BUCKET_ORDERS - 1}"
        result.broken.add(Finding("orders differ", where, detail))
    result.broken.extend_from(reading.desk.rows(STRANGERS, [settings.COUNTER_SOURCE]), _stranger)
    result.broken.extend_from(reading.desk.rows(CONFLICTS), _conflict)


def _judge(difference: Difference, reading: Reading, result: Result) -> None:
    order_id, ours, theirs = difference
    where = where_order(order_id)
    if ours is not None and theirs is not None:
        if ours.content != theirs.content:
            detail = differing_fields(CONTENT, ours.content, theirs.content)
            result.broken.add(Finding("order has other content at the desk", where, detail))
    elif ours is not None:
        age_s = reading.age_s(ours.since)
        limit_s = settings.AUDIT_AGE_LIMITS_SECONDS["sync_order"][SyncOrder.State.PENDING]
        if ours.state == SyncOrder.State.PENDING and age_s <= limit_s:
            result.in_flight.add(Finding("order is on its way to the desk", where, ours.state, age_s))
        else:
            detail = f"{ours.state} at counter for {age_s:.0f} s"
            result.broken.add(Finding("order is not at the desk", where, detail))
    elif theirs is not None:
        if reading.too_young_for_counter(theirs.since):
            detail = f"{theirs.state}, received as counter's snapshot was taken"
            result.in_flight.add(Finding("order is too young", where, detail, reading.age_s(theirs.since)))
        else:
            result.broken.add(
                Finding("order was never placed at counter", where, f"{theirs.state} at the desk")
            )


def _stranger(source: str, order_id: int) -> Finding:
    return Finding("order is of another source", f"{source}/{order_id}", f"not {settings.COUNTER_SOURCE}")


def _conflict(source: str, order_id: int, reason: str, noted_at: datetime) -> Finding:
    detail = f"{Conflict.Reason(reason).label}, noted at {noted_at.isoformat()}"
    return Finding("order was kept aside and nobody has decided", f"{source}/{order_id}", detail)
