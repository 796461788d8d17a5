"""Telling the desk: sync events are published after their commit, and pulled by the desk if that message gets lost.

The stored order is the truth and the message only news of it: publishing is bounded in time and memory, happens on a
thread of its own and drops rather than waits, because the desk pulls every order that it has not acknowledged.
"""

import atexit
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from kombu import Producer

from counter.contracts import SyncBatch, SyncEvent, encode
from counter.models import SyncOrder
from counter.orders.requests import Order
from counter.orders.sql import ORDER_COLUMNS
from infra.broker.connection import connect, message_queue
from infra.broker.message_signing import SYNC, mac_headers
from infra.coordination import clock
from infra.db.arrays import array
from infra.db.lifecycles import moves
from infra.db.rows import rows_of
from infra.db.transitions import move
from infra.observability import correlation, tracing
from infra.observability.tracing import Span
from infra.observability.troubles import Trouble

log = structlog.get_logger(__name__)
_untraced = Trouble(log, "publishing not traced", over="publishing traced again")

WAITING_BATCHES = 1000
MESSAGE_EVENTS = 1000
# Customers are waiting for their answers at this moment: their threads go first, and what commits meanwhile goes along.
GATHER_SECONDS = 0.001
# A message of few orders costs nearly what one of many does, here and at the desk. The more the last one had the longer
# the next commits are worth waiting for: some milliseconds up to 800 orders a second, as long as may be from 1,000 on.
GATHER_SECONDS_FOR_EACH_EVENT = 0.001
GATHER_AT_MOST_SECONDS = 0.05
RECONNECT_AFTER_SECONDS = 1.0
DATED_AHEAD = timedelta(minutes=1)  # more than the desk lets orders age before it pulls them

# Locked in the order of their ids, as settlement reports lock them. One that somebody holds is offered again by the
# pull: nobody else's acknowledgement waits for it.
PENDING = """
    SELECT id FROM counter_syncorder WHERE id = ANY(%s::bigint[]) AND state = 'PENDING'
    ORDER BY id FOR UPDATE SKIP LOCKED
"""

# In the order of their index: a planner that takes them for many would look for the first of them in the table.
OLDEST_PENDING = "SELECT id FROM counter_syncorder WHERE state = 'PENDING' ORDER BY placed_at, id LIMIT 1"


class Publisher:
    """One thread a process that sends what the commits of that process left in a bounded queue."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Sequence[Order]] = queue.Queue(WAITING_BATCHES)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sent_last = 0

    def put(self, orders: Sequence[Order]) -> None:
        """Hand over one transaction's orders; returns at once, also when they have to be dropped."""
        self._ensure_thread()
        try:
            self._waiting.put_nowait(orders)
        except queue.Full:
            _left_to_the_pull([orders])

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything handed over is sent or dropped; False when that takes too long."""
        deadline = time.monotonic() + timeout_seconds
        while self._waiting.unfinished_tasks:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                with connect() as connection, connection.Producer(auto_declare=False) as producer:
                    message_queue()(connection.default_channel).declare()
                    while True:
                        self._send_one(producer)
            except Exception as error:  # noqa: BLE001 - after any error of the broker the orders are safe in the table
                log.warning("broker unreachable, orders wait for the desk's pull", error=repr(error))
                self._drop_for(RECONNECT_AFTER_SECONDS)

    def _send_one(self, producer: Producer) -> None:
        batches = [self._waiting.get()]
        try:
            time.sleep(self._gather_seconds())
            orders = list(batches[0])
            while len(orders) < MESSAGE_EVENTS and not self._waiting.empty():
                batches.append(self._waiting.get_nowait())
                orders.extend(batches[-1])
            self._sent_last = len(orders)
            events = [order.sync_event(settings.COUNTER_SOURCE) for order in orders]
            batch, body = correlation.new_batch(), encode(SyncBatch(events=events))
            producer.publish(
                body,
                headers=mac_headers(body, purpose=SYNC),
                exchange="",
                routing_key=settings.SYNC_QUEUE,
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=2,
                correlation_id=batch,
                retry=False,
                timeout=settings.BROKER_TIMEOUT_SECONDS,
            )
            log.info("orders published", batch=batch, orders=correlation.runs(order.id for order in orders))
        except Exception:
            _left_to_the_pull(batches)
            raise
        else:
            tracing.attempt(partial(_trace, orders, batch), trouble=_untraced)
        finally:
            for _ in batches:
                self._waiting.task_done()

    def _gather_seconds(self) -> float:
        if self._sent_last >= MESSAGE_EVENTS:  # there is probably more already
            return 0.0
        wanted = self._sent_last * GATHER_SECONDS_FOR_EACH_EVENT
        return min(max(wanted, GATHER_SECONDS), GATHER_AT_MOST_SECONDS)

    def _drop_for(self, seconds: float) -> None:
        """Empty the queue while the broker is away: what waited is old news that the desk's pull will have by then."""
        deadline = time.monotonic() + seconds
        dropped = []
        with suppress(queue.Empty):
            while (left := deadline - time.monotonic()) > 0:
                dropped.append(self._waiting.get(timeout=left))
                self._waiting.task_done()
        _left_to_the_pull(dropped)


def _trace(orders: Sequence[Order], batch: str) -> None:
    """Tell when they were sent, in the trace that the desk ends."""
    if (now := clock.of("default").known()) is None:
        return
    for order in orders:
        step = Span("publish", order.placed_at, now, {"order_id": order.id, "batch": batch})
        tracing.tell(tracing.of_order(settings.COUNTER_SOURCE, order.id), steps=[step])


def _left_to_the_pull(batches: Sequence[Sequence[Order]]) -> None:
    if batches:
        orders = correlation.runs(order.id for batch in batches for order in batch)
        log.warning("orders left to the desk's pull", orders=orders)


publisher = Publisher()
atexit.register(publisher.flush, 1.0)


def publish(orders: Sequence[Order]) -> None:
    """Publish the sync events of one transaction's orders; call it after the commit."""
    publisher.put(orders)


def unsynced(*, placed_before: datetime, limit: int, after_id: int = 0) -> list[SyncEvent]:
    """Events of orders that the desk has not acknowledged, oldest first: what its recovery pull asks for.

    `after_id` is the last order of the page before this one; 0, or an id that is not known, begins with the oldest.
    Nearly always there is none, and it is asked each second: that costs one statement.
    """
    if not rows_of("default", OLDEST_PENDING):
        return []
    pending = SyncOrder.objects.filter(state=SyncOrder.State.PENDING)
    after = (
        SyncOrder.objects.filter(pk=after_id).values_list("placed_at", flat=True).first()
        if after_id
        else None
    )
    if after is not None:
        pending = pending.filter(
            Q(placed_at__gt=after) | Q(placed_at=after, pk__gt=after_id), placed_at__gte=after
        )
    in_order = pending.order_by("placed_at", "id").values_list(*ORDER_COLUMNS)
    rows = list(in_order.filter(placed_at__lte=placed_before)[:limit])
    if (
        len(rows) < limit
    ):  # a wrong clock has dated these into the future, and they wait for it no longer than others
        rows += in_order.filter(placed_at__gt=placed_before + DATED_AHEAD)[: limit - len(rows)]
    return [Order(*row).sync_event(settings.COUNTER_SOURCE) for row in rows]


@moves(SyncOrder.sync)
def acknowledge(*, order_ids: Sequence[int], now: datetime) -> int:
    """Mark orders that the desk has stored; how many were not marked before. One that is settled is left as it is."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PENDING, [array(order_ids)])
        marked = move(SyncOrder, SyncOrder.sync, [row[0] for row in cursor], same={"synced_at": now})
    log.info("orders acknowledged", orders=correlation.runs(order_ids))
    return len(marked)
