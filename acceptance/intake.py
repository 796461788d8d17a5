"""The one door of the desk: events come in, each order is stored once, whatever way and however often it comes.

An order id that comes again with other content, or an event that cannot be settled, is kept aside as a conflict: it
never touches what is stored, and never keeps another event from being stored.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
import structlog
from django.db import connections, transaction

from acceptance.models import AcceptedOrder, Conflict
from acceptance.validity import MAX_BIGINT, MAX_SOURCE, can_be_settled, storable_text
from config.broker import dispatcher
from config.leader import is_held
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
    RETURNING source, order_id, id, underlying
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
    valid: list[SyncEvent] = []
    invalid: list[SyncEvent] = []
    for event in events:
        (valid if can_be_settled(event) else invalid).append(event)
    first: dict[Key, SyncEvent] = {}
    # In the order of their keys: two batches that share some wait for each other instead of in a circle.
    for event in sorted(valid, key=lambda event: (event.source, event.order_id)):
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
        for underlying, first_id in sorted(_first_ids(inserted).items()):
            transaction.on_commit(partial(_call_for, underlying, first_id), using="desk", robust=True)
    return Intake(
        accepted=[order_id for _, order_id in inserted],
        known=sorted({event.order_id for event in known}),
        conflicts=[event.order_id for event in [*other, *invalid]],
    )


def converting(underlying: str) -> str:
    """The lock that a conversion of this coin holds from its planning until the venue has answered."""
    return f"convert {underlying}"


def _first_ids(inserted: Mapping[Key, tuple[int, str]]) -> dict[str, int]:
    first: dict[str, int] = {}
    for row_id, underlying in inserted.values():
        first[underlying] = min(row_id, first.get(underlying, row_id))
    return first


def _call_for(underlying: str, first_id: int) -> None:
    """Have a coin's new orders settled, unless older ones still wait: the chain sent for those takes these along.

    Should that chain be lost, the sweep calls for all of them.
    """
    waiting = AcceptedOrder.objects.filter(
        underlying=underlying, state=AcceptedOrder.State.RECEIVED, id__lt=first_id
    )
    if not waiting.exists():
        settle_soon(underlying)


def settle_soon(underlying: str) -> None:
    """Enqueue convert | balance | report for one coin, once its orders are committed.

    Not while a conversion of the coin is under way: it looks for waiting orders again after it has freed the lock,
    so one more chain would find nothing to do.
    """
    if is_held(converting(underlying), using="desk"):
        return
    dispatcher.send(
        [("settlement.convert", [underlying]), ("settlement.balance", []), ("settlement.report", [])]
    )


def _insert(
    events: Sequence[SyncEvent], door: AcceptedOrder.Door, now: datetime
) -> dict[Key, tuple[int, str]]:
    """What was new: row id and coin by key."""
    if not events:
        return {}
    columns = [[getattr(event, name) for event in events] for name in CONTENT]
    with connections["desk"].cursor() as cursor:
        cursor.execute(INSERT, [door.value, now, *columns])
        return {(row[0], row[1]): (row[2], row[3]) for row in cursor.fetchall()}


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
    """Note each once, however often it comes; the first time is the one that is alerted."""
    by_digest = {hashlib.sha256(encode(event)).hexdigest(): event for event in events}
    for digest in Conflict.objects.filter(digest__in=by_digest).values_list("digest", flat=True):
        del by_digest[digest]
    for event in by_digest.values():
        log.error("order kept aside", order_id=event.order_id, source=event.source, reason=reason.value)
    Conflict.objects.bulk_create(
        [
            Conflict(
                source=storable_text(event.source)[:MAX_SOURCE],
                order_id=event.order_id if -MAX_BIGINT <= event.order_id <= MAX_BIGINT else 0,
                reason=reason,
                received={
                    name: storable_text(value) if isinstance(value, str) else value
                    for name, value in msgspec.to_builtins(event).items()
                },
                digest=digest,
                door=door,
                noted_at=now,
            )
            for digest, event in by_digest.items()
        ],
        ignore_conflicts=True,
    )
