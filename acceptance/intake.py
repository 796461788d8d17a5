"""The one door of the desk: events come in, each order is stored once, whatever way and however often it comes.

An order id that comes again with other content, or an event that cannot be settled, is kept aside as a conflict and
never touches what is stored.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import connections, transaction

from acceptance.models import AcceptedOrder, Conflict
from config.broker import dispatcher
from counter.contracts import SyncEvent, encode

log = structlog.get_logger(__name__)

CONTENT = (
    "source",
    "order_id",
    "kind",
    "symbol",
    "underlying",
    "contracts",
    "coin",
    "index_price",
    "fair",
    "payout",
    "placed_at",
)
INSERT = f"""
    INSERT INTO acceptance_acceptedorder ({", ".join(CONTENT)}, door, state, received_at)
    SELECT v.*, %s, 'RECEIVED', %s FROM unnest(
        %s::varchar[], %s::bigint[], %s::varchar[], %s::varchar[], %s::varchar[], %s::int[], %s::numeric[],
        %s::numeric[], %s::numeric[], %s::varchar[], %s::timestamptz[]) AS v
    ON CONFLICT (source, order_id) DO NOTHING
    RETURNING source, order_id, underlying
"""  # noqa: S608 - the columns are our own

Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a batch of events: order ids newly stored, stored before with this content, and kept aside."""

    accepted: list[int]
    known: list[int]
    conflicts: list[int]

    @property
    def stored(self) -> list[int]:
        """Ids that the desk holds for good and may acknowledge."""
        return self.accepted + self.known


def ingest(*, events: Sequence[SyncEvent], door: AcceptedOrder.Door, now: datetime) -> Intake:
    """Store events in one transaction; after its commit each coin concerned is converted, balanced and reported.

    Idempotent: an event that is stored already has no effect. Raises only database errors, storing nothing then.
    """
    valid = [event for event in events if _can_be_settled(event)]
    invalid = [event for event in events if not _can_be_settled(event)]
    first: dict[Key, SyncEvent] = {}
    for event in valid:
        first.setdefault((event.source, event.order_id), event)
    with transaction.atomic(using="desk"):
        inserted = _insert(list(first.values()), door, now)
        again = [event for key, event in first.items() if key not in inserted]
        again += [event for event in valid if event is not first[event.source, event.order_id]]
        held = _held({(event.source, event.order_id) for event in again})
        known = [event for event in again if held[event.source, event.order_id] == _content(event)]
        other = [event for event in again if held[event.source, event.order_id] != _content(event)]
        _keep_aside(other, Conflict.Reason.OTHER_CONTENT, door, now)
        _keep_aside(invalid, Conflict.Reason.INVALID, door, now)
        for underlying in sorted(set(inserted.values())):
            transaction.on_commit(lambda coin=underlying: settle_soon(coin), using="desk", robust=True)
    return Intake(
        accepted=[order_id for _, order_id in inserted],
        known=sorted({event.order_id for event in known}),
        conflicts=[event.order_id for event in [*other, *invalid]],
    )


def settle_soon(underlying: str) -> None:
    """Enqueue convert | balance | report for one coin; a chain that finds nothing to do ends at once."""
    dispatcher.send(
        [("settlement.convert", [underlying]), ("settlement.balance", []), ("settlement.report", [])]
    )


def _can_be_settled(event: SyncEvent) -> bool:
    return (
        event.version == 1
        and event.underlying in settings.COINS
        and event.contracts > 0
        and event.coin.is_finite()
        and event.coin > 0
        and event.fair.is_finite()
        and event.fair >= 0
        and event.index_price.is_finite()
        and event.index_price > 0
        and event.placed_at.tzinfo is not None
    )


def _insert(events: Sequence[SyncEvent], door: AcceptedOrder.Door, now: datetime) -> dict[Key, str]:
    if not events:
        return {}
    columns = [[getattr(event, name) for event in events] for name in CONTENT]
    with connections["desk"].cursor() as cursor:
        cursor.execute(INSERT, [door.value, now, *columns])
        return {(source, order_id): underlying for source, order_id, underlying in cursor.fetchall()}


def _content(event: SyncEvent) -> tuple[Any, ...]:
    return tuple(getattr(event, name) for name in CONTENT)


def _held(keys: Iterable[Key]) -> dict[Key, tuple[Any, ...]]:
    wanted = list(keys)
    if not wanted:
        return {}
    rows = AcceptedOrder.objects.filter(
        source__in={source for source, _ in wanted}, order_id__in={order_id for _, order_id in wanted}
    ).values_list(*CONTENT)
    return {(row[0], row[1]): row for row in rows}


def _keep_aside(
    events: Sequence[SyncEvent], reason: Conflict.Reason, door: AcceptedOrder.Door, now: datetime
) -> None:
    for event in events:
        log.error("order kept aside", order_id=event.order_id, source=event.source, reason=reason.value)
    Conflict.objects.bulk_create(
        [
            Conflict(
                source=event.source,
                order_id=event.order_id,
                reason=reason,
                received=msgspec.to_builtins(event),
                digest=hashlib.sha256(encode(event)).hexdigest(),
                door=door,
                noted_at=now,
            )
            for event in events
        ],
        ignore_conflicts=True,
    )
