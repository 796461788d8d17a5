"""Announcing what has happened: the events of webhooks, written in the transaction that makes them true.

An event is a row for each endpoint that hears it (`WebhookDelivery`), and none where no endpoint does. It is written as
a part of a statement that is sent in any case: where nobody listens, looking for endpoints is all that it costs, and no
row is locked that others need.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from infra.db.pipeline import Statement

ORDER_SETTLED = "order.settled"
PAYOUT_CREDITED = "payout.credited"
POSITION_EXERCISED = "position.exercised"
POSITION_EXPIRED = "position.expired"
DEPOSIT_CREDITED = "deposit.credited"
WITHDRAWAL_RESERVED = "withdrawal.reserved"
WITHDRAWAL_CONFIRMED = "withdrawal.confirmed"
WITHDRAWAL_RELEASED = "withdrawal.released"
TYPES = (
    *(ORDER_SETTLED, PAYOUT_CREDITED, POSITION_EXERCISED, POSITION_EXPIRED),
    *(DEPOSIT_CREDITED, WITHDRAWAL_RESERVED, WITHDRAWAL_CONFIRMED, WITHDRAWAL_RELEASED),
)
# Of orders, as rows that the rest of a statement returns: paid at once, and paid with their fill.
PAID_AT_ONCE = "payout = 'instant' AND kind <> 'OPEN'"
PAID_AT_FILL = "payout = 'at_fill' AND amount > 0"

# The events come out of what a statement changes, so their number is not known to the planner. Their endpoints are
# looked up for each by index, as those of the customer and those of the exchange, which have no customer.
_HEARD = """
    INSERT INTO counter_webhookdelivery
        (type, subject_id, endpoint_id, customer_id, happened_at, due_at, retry_until)
    SELECT t.type, t.id, e.id, t.customer_id, %s::timestamptz, %s::timestamptz, %s::timestamptz
    FROM ({events}) AS t JOIN counter_webhookendpoint AS e
        ON (e.customer_id = t.customer_id OR e.customer_id IS NULL) AND e.disabled = '' AND e.deleted_at IS NULL
        AND (e.types = '{{}}' OR t.type = ANY(e.types))
    ON CONFLICT DO NOTHING
"""


def telling(events: Mapping[str, str], now: datetime) -> Statement:
    """The part of a statement (`infra.db.composing`) that announces, to the endpoints there are.

    `events` has for each type the name of another part, and a condition after it if there is one. That part returns the
    `id` of the row that an event is about and its `customer_id`.
    """
    return Statement(text_of(events), times(now))


def text_of(events: Mapping[str, str]) -> str:
    """The SQL of that part; its parameters are `times`."""
    selected = (f"SELECT '{name}' AS type, id, customer_id FROM {rows}" for name, rows in events.items())  # noqa: S608
    return _HEARD.format(events=" UNION ALL ".join(selected))


def times(now: datetime) -> list[Any]:
    """When it happened, when it is due, and how long it is tried."""
    return [now, now, now + timedelta(days=settings.WEBHOOK_RETRY_DAYS)]


def tell(name: str, *, subject_id: int, customer_id: int, now: datetime) -> None:
    """Announce one event of a customer by a statement of its own, in the caller's transaction."""
    rows = "(SELECT %s::bigint AS id, %s::bigint AS customer_id) AS told"
    with connection.cursor() as cursor:
        cursor.execute(text_of({name: rows}), [*times(now), subject_id, customer_id])


def tell_newest_credit(name: str, *, account_id: int, customer_id: int, now: datetime) -> None:
    """Announce the newest transfer to a customer's account, which the caller's transaction has locked and written."""
    rows = (
        "(SELECT max(id) AS id, %s::bigint AS customer_id FROM counter_transfer"
        " WHERE credit_account_id = %s AND credit_account_id >= 1000) AS told"
    )
    with connection.cursor() as cursor:
        cursor.execute(text_of({name: rows}), [*times(now), customer_id, account_id])
