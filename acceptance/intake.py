"""The one door of the desk: events come in, each order is stored once, by any way and however often it comes.

An order id that comes again with other content, or an event that cannot be settled, is kept aside as a conflict: it
never touches what is stored, and never keeps another event from being stored.
"""

import hashlib
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import connections, transaction

from acceptance.event_validation import MAX_BIGINT, MAX_SOURCE, can_be_settled, storable_text
from acceptance.models import AcceptedOrder, Conflict
from acceptance.new_order_hooks import orders_came_in
from counter.contracts import SyncEvent, encode
from infra.coordination.leadership import Term
from infra.db.after_commit import after_commit
from infra.db.arrays import array, columns
from infra.db.engine.replication import answer_for_what_was_read
from infra.db.lifecycles import initial_state
from infra.observability import correlation

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
# Valid events have one source, which is bound once.
INSERT = f"""
    WITH received AS (
        INSERT INTO acceptance_acceptedorder ({", ".join(CONTENT)}, door, state, version, received_at)
        SELECT %s, v.*, %s, '{initial_state(AcceptedOrder)}', 1, %s FROM unnest(
            %s::bigint[], %s::varchar[], %s::varchar[], %s::varchar[], %s::int[], %s::numeric[], %s::numeric[],
            %s::numeric[], %s::varchar[], %s::timestamptz[]) AS v
        ON CONFLICT (source, order_id) DO NOTHING
        RETURNING order_id, id, version, state, received_at
    ), logged AS (
        INSERT INTO acceptance_orderstep (order_id, number, from_state, to_state, at)
        SELECT id, version, '', state, received_at FROM received
    )
    SELECT order_id, id FROM received
"""  # noqa: S608 - the columns are our own

HELD = f"""
    SELECT {", ".join(CONTENT)} FROM acceptance_acceptedorder WHERE source = %s AND order_id = ANY(%s::bigint[])
"""  # noqa: S608 - the columns are our own
# Of the coins that new orders came for, those whose older orders wait already are settled by what was called for these.
# The oldest that waits is one entry of the index, in any plan: asked whether older ones exist, a planner that thinks
# that few wait reads them all, and the further the desk is behind the longer that takes.
UNCALLED = """
    SELECT new.underlying FROM unnest(%s::varchar[], %s::bigint[]) AS new(underlying, first_id)
    WHERE coalesce(new.first_id <= (
        SELECT o.id FROM acceptance_acceptedorder AS o
        WHERE o.underlying = new.underlying AND o.state = 'RECEIVED' ORDER BY o.id LIMIT 1), true)
"""

# New orders call for a coin whose older ones still wait at most so often, from each process.
CALL_AGAIN_AFTER_SECONDS = 0.25
_called_at: dict[str, float] = {}  # by coin, on the monotonic clock


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a batch of events: order ids newly stored, stored before with this content, and kept aside."""

    accepted: list[int]
    known: list[int]
    conflicts: list[int]

    @property
    def stored(self) -> list[int]:
        """Ids that the desk holds durably and may acknowledge."""
        return self.accepted + self.known


def ingest(
    *, events: Sequence[SyncEvent], door: AcceptedOrder.Door, now: datetime, term: Term | None = None
) -> Intake:
    """Store events in one transaction; after its commit each coin concerned is announced.

    Idempotent: an event that is stored already has no effect. Taking in as a leader gives its `term`.

    Raises: LeadershipLost and database errors only, storing nothing then.
    """
    valid: list[SyncEvent] = []
    invalid: list[SyncEvent] = []
    for event in events:
        (valid if can_be_settled(event) else invalid).append(event)
    first: dict[int, SyncEvent] = {}  # by order id: valid events are of one source
    # In the order of their ids: two batches that share some wait for each other instead of in a circle.
    for event in sorted(valid, key=attrgetter("order_id")):
        first.setdefault(event.order_id, event)
    with transaction.atomic(using="desk"):
        if term is not None:
            term.fence()
        inserted = _insert(list(first.values()), door, now)
        again = [
            event for event in valid if event.order_id not in inserted or event is not first[event.order_id]
        ]
        held = _held({event.order_id for event in again}, alone=not inserted)
        known = [event for event in again if held[event.order_id] == _content(event)]
        other = [event for event in again if held[event.order_id] != _content(event)]
        _keep_aside(other, Conflict.Reason.OTHER_CONTENT, door, now)
        _keep_aside(invalid, Conflict.Reason.INVALID, door, now)
        if inserted:
            called_for = partial(_call_for, _first_rows(first, inserted))
            after_commit(called_for, using="desk")
    if inserted:
        log.info("orders taken in", door=door.value, orders=correlation.runs(inserted))
    return Intake(
        accepted=list(inserted),
        known=sorted({event.order_id for event in known}),
        conflicts=[event.order_id for event in [*other, *invalid]],
    )


def _first_rows(events: Mapping[int, SyncEvent], inserted: Mapping[int, int]) -> dict[str, int]:
    """The lowest new row id of each coin."""
    first: dict[str, int] = {}
    for order_id, row_id in inserted.items():
        underlying = events[order_id].underlying
        first[underlying] = min(row_id, first.get(underlying, row_id))
    return first


def _call_for(first_rows: Mapping[str, int]) -> None:
    """Announce the new orders of these coins, unless older ones wait: what was called for those takes these along.

    It may be lost, or have left them behind: coins with older orders are announced as well, now and then.
    """
    with connections["desk"].cursor() as cursor:
        cursor.execute(UNCALLED, [array(list(first_rows)), array(list(first_rows.values()))])
        uncalled = {underlying for (underlying,) in cursor.fetchall()}
    for underlying in sorted(first_rows):
        if underlying in uncalled or _called_long_ago(underlying):
            _called_at[underlying] = time.monotonic()
            orders_came_in(underlying)


def _called_long_ago(underlying: str) -> bool:
    called_at = _called_at.get(underlying)
    return called_at is None or time.monotonic() - called_at > CALL_AGAIN_AFTER_SECONDS


def _insert(events: Sequence[SyncEvent], door: AcceptedOrder.Door, now: datetime) -> dict[int, int]:
    """What was new: row id by order id."""
    if not events:
        return {}
    with connections["desk"].cursor() as cursor:
        cursor.execute(INSERT, [events[0].source, door.value, now, *columns(events, CONTENT[1:])])
        return dict(cursor.fetchall())


_content = attrgetter(*CONTENT)


def _held(order_ids: Collection[int], *, alone: bool) -> dict[int, tuple[Any, ...]]:
    """The content that is stored under these order ids, for sure; `alone` in a transaction that has written nothing."""
    if not order_ids:
        return {}
    with connections["desk"].cursor() as cursor:
        if alone:
            answer_for_what_was_read(cursor)
        cursor.execute(HELD, [settings.COUNTER_SOURCE, array(list(order_ids))])
        return {row[1]: row for row in cursor.fetchall()}


def _keep_aside(
    events: Sequence[SyncEvent], reason: Conflict.Reason, door: AcceptedOrder.Door, now: datetime
) -> None:
    """Note each once, however often it comes; the first time is the one that is alerted."""
    if not events:
        return
    by_digest = {hashlib.sha256(encode(event)).hexdigest(): event for event in events}
    known = Conflict.objects.filter(digest__in=by_digest)
    if door is AcceptedOrder.Door.PULL:
        # Counter has it in spite of the decision: its customer's order would never be settled.
        for again in known.filter(resolved_at__isnull=False):
            log.error("order kept aside again: counter has it", order_id=again.order_id, conflict=again.pk)
            Conflict.objects.filter(pk=again.pk).update(
                resolved_at=None, resolution=f"{again.resolution}; counter has it, so this is open again"
            )
    for digest in known.values_list("digest", flat=True):
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
