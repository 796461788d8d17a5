"""Announcing what has happened: the events of webhooks, written in the transaction that makes them true.

An event is a row for each endpoint that hears it (`WebhookDelivery`), and none where no endpoint does. It is written as
a part of a statement that is sent in any case: where nobody listens, looking for endpoints is all that it costs, and no
row is locked that others need.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings

from infra.db.composing import answered, together
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

# The endpoints of the customers concerned, and the exchange's, are looked up once for all events of the statement, by
# index; where there are none, the rest is not worked on.
_HEARD = """
    INSERT INTO counter_webhookdelivery
        (type, subject_id, endpoint_id, customer_id, happened_at, due_at, retry_until)
    WITH hearing AS MATERIALIZED (
        SELECT id, customer_id, types FROM counter_webhookendpoint
        WHERE customer_id = ANY(ARRAY(SELECT DISTINCT customer_id FROM ({events}) AS concerned))
            AND disabled = '' AND deleted_at IS NULL
        UNION ALL
        SELECT id, NULL, types FROM counter_webhookendpoint
        WHERE customer_id IS NULL AND disabled = '' AND deleted_at IS NULL
    )
    SELECT t.type, t.id, t.endpoint_id, t.customer_id, %s::timestamptz, %s::timestamptz, %s::timestamptz
    FROM (
        SELECT e.*, h.id AS endpoint_id, h.types FROM hearing AS h JOIN ({events}) AS e USING (customer_id)
        UNION ALL
        SELECT e.*, h.id, h.types FROM hearing AS h CROSS JOIN ({events}) AS e WHERE h.customer_id IS NULL
    ) AS t WHERE t.types = '{{}}' OR t.type = ANY(t.types)
    ON CONFLICT DO NOTHING
"""

# Whether any endpoint hears what is told of these customers. To look costs a tenth of telling nobody. One that is made
# between the look and the write hears of the next event.
IS_HEARD = """
    SELECT EXISTS (SELECT FROM counter_webhookendpoint
        WHERE customer_id = ANY(%s::bigint[]) AND disabled = '' AND deleted_at IS NULL)
    OR EXISTS (SELECT FROM counter_webhookendpoint
        WHERE customer_id IS NULL AND disabled = '' AND deleted_at IS NULL)
"""


def telling(events: Mapping[str, str], now: datetime) -> Statement:
    """The part of a statement (`infra.db.composing`) that announces, to the endpoints there are.

    `events` has for each type the name of another part, and a condition after it if there is one. That part returns the
    `id` of the row that an event is about and its `customer_id`. It is tried until WEBHOOK_RETRY_DAYS are over.
    """
    selected = (f"SELECT '{name}' AS type, id, customer_id FROM {rows}" for name, rows in events.items())  # noqa: S608
    retry_until = now + timedelta(days=settings.WEBHOOK_RETRY_DAYS)
    return Statement(_HEARD.format(events=" UNION ALL ".join(selected)), [now, now, retry_until])


def tell(name: str, *, subject_id: int, customer_id: int, now: datetime) -> None:
    """Announce one event of a customer by a statement of its own, in the caller's transaction."""
    row = Statement("SELECT %s::bigint AS id, %s::bigint AS customer_id", [subject_id, customer_id])
    _tell(name, row, now)


def tell_newest_credit(name: str, *, account_id: int, customer_id: int, now: datetime) -> None:
    """Announce the newest transfer to a customer's account, which the caller's transaction has locked and written."""
    row = Statement(
        "SELECT max(id) AS id, %s::bigint AS customer_id FROM counter_transfer"
        " WHERE credit_account_id = %s AND credit_account_id >= 1000",
        [customer_id, account_id],
    )
    _tell(name, row, now)


def _tell(name: str, row: Statement, now: datetime) -> None:
    statement = together({"event": [row], "told": [telling({name: "event"}, now)]}, "SELECT id FROM event")
    answered("default", statement)
