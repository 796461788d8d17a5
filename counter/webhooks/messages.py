"""What an event says: its rows as the public API shows them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec
from django.utils.crypto import salted_hmac

from counter import events
from counter.api.ledger_messages import ledger_entry_body
from counter.api.order_messages import stored_order
from counter.api.position_messages import position_body
from counter.api.wallet_messages import withdrawal_body
from counter.api.webhook_events import EVENTS
from counter.models import Position, SyncOrder, Transfer, WebhookDelivery, Withdrawal
from counter.money.statements import LedgerEntry

EVENT_PREFIX = "evt_"
EVENT_DIGITS = 32


def event_id(name: str, subject_id: int) -> str:
    """The id of an event, the same at all endpoints; it tells nothing of how many there are."""
    digest = salted_hmac("crossbook webhook event", f"{name} {subject_id}", algorithm="sha256").hexdigest()
    return EVENT_PREFIX + digest[:EVENT_DIGITS]


def bodies(deliveries: Collection[WebhookDelivery], *, customers: Mapping[int, str]) -> dict[int, str]:
    """The bodies of deliveries by their ids, as of now; one whose row is missing has none.

    `customers` are the references of those customers that the exchange hears of, by the ids of deliveries.
    """
    data: dict[tuple[str, int], Any] = {}
    for name in {delivery.type for delivery in deliveries}:
        wanted = {delivery.subject_id for delivery in deliveries if delivery.type == name}
        data |= {(name, subject_id): body for subject_id, body in _READ[name](wanted)}
    return {
        delivery.pk: msgspec.json.encode(
            EVENTS[delivery.type](
                delivery.type,
                delivery.happened_at,
                data[delivery.type, delivery.subject_id],
                customers.get(delivery.pk),
            )
        ).decode()
        for delivery in deliveries
        if (delivery.type, delivery.subject_id) in data
    }


Found = Iterable[tuple[int, Any]]


def _orders(ids: Collection[int]) -> Found:
    return ((row.pk, stored_order(row)) for row in SyncOrder.objects.filter(pk__in=ids))


def _positions(ids: Collection[int]) -> Found:
    rows = Position.objects.filter(pk__in=ids).select_related("option")
    return ((row.pk, position_body(row)) for row in rows)


def _withdrawals(ids: Collection[int]) -> Found:
    return ((row.pk, withdrawal_body(row)) for row in Withdrawal.objects.filter(pk__in=ids))


def _entries(ids: Collection[int]) -> Found:
    for row in Transfer.objects.filter(pk__in=ids, balance_after__isnull=False):
        after: Any = row.balance_after
        entry = LedgerEntry(row.pk, row.kind, row.amount, after, row.created_at, row.order_id, None)
        yield row.pk, ledger_entry_body(entry)


_READ: dict[str, Callable[[Collection[int]], Found]] = {
    events.ORDER_SETTLED: _orders,
    events.PAYOUT_CREDITED: _orders,
    events.POSITION_EXERCISED: _positions,
    events.POSITION_EXPIRED: _positions,
    events.DEPOSIT_CREDITED: _entries,
    events.WITHDRAWAL_RESERVED: _withdrawals,
    events.WITHDRAWAL_CONFIRMED: _withdrawals,
    events.WITHDRAWAL_RELEASED: _withdrawals,
}
