"""Placing orders: one transaction for a whole batch, with the meaning of one at a time in the order of arrival.

Guards the customer's money: the account's row is locked before anything of theirs is read, so all that is sent at once,
through however many processes, is decided on the balance, the orders and the positions that the one before left.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from counter.limits.in_force import default_limits
from counter.models import FirmQuote, Position
from counter.orders import deadlines, outbox, writing
from counter.orders import sql as order_sql
from counter.orders.batch import OrderBatch
from counter.orders.requests import CloseRequest, OpenRequest, OrderRequest, Outcome
from counter.orders.rows import BatchRows
from counter.orders.throttle import throttle
from counter.trading.status import terms
from infra.db.lifecycles import moves
from infra.db.transitions import moving


class _Charging:
    """The coins that charged for size when a batch of this process read their options last."""

    def __init__(self) -> None:
        self.coins: set[str] = set()


_charging = _Charging()


class BatchTooLarge(Exception):
    """More requests than one transaction takes (`MAX_BATCH_ORDERS`)."""


def place_orders(
    *, requests: Sequence[OrderRequest], now: datetime, until: float | None = None
) -> list[Outcome]:
    """Decide and commit a batch of orders; the answer has one outcome for each request, in their order.

    Accepted orders are durable when this returns, and their sync events are published after the commit. A request
    whose (customer, client order id) is already stored is answered with that order if its content is the same.

    No COMMIT is sent after `until` (`counter.orders.deadlines`); with it `now` goes on while accounts are waited for.

    Raises: BatchTooLarge; TooLate and database errors, after which nothing of the batch is stored.
    """
    if len(requests) > settings.MAX_BATCH_ORDERS:
        raise BatchTooLarge(f"{len(requests)} orders in one batch, at most {settings.MAX_BATCH_ORDERS}")
    if not requests:
        return []
    asked = time.monotonic()
    with transaction.atomic():
        rows = _read(requests, now)
        throttle.hear({option.underlying: option.admitted_permille for option in rows.options})
        if until is not None:
            # By the order of the locks: who waited for an account must not decide by an earlier time than who was told
            # meanwhile that a quote or an option has expired.
            now += timedelta(seconds=time.monotonic() - asked)
        batch = OrderBatch(
            now=now, terms=terms(), limits=default_limits(), rows=rows, admits_close=throttle.admits_close
        )
        deadlines.check(until)  # the accounts may have been held for long
        outcomes = [batch.decide(request) for request in requests]
        if batch.orders:
            batch.put_down()
            _write(batch, tells=rows.is_heard)
            deadlines.check(until)
            transaction.on_commit(lambda: outbox.publish(batch.orders), robust=True)
    return outcomes


def _read(requests: Sequence[OrderRequest], now: datetime) -> BatchRows:
    """Lock first, then read: what is read after the lock cannot change until the commit.

    What customers were promised by firm quotes is read only where size is charged. Each process knows from the batch
    before whether it is, so that it is asked for with the rest; where that was wrong, as it is of the first batch of a
    process, it is asked for by itself, under the same locks.
    """
    closes = [request for request in requests if isinstance(request, CloseRequest)]
    customer_ids = {request.customer_id for request in requests}
    reserved_at = now if _charging.coins else None
    rows = order_sql.read_batch(
        customer_ids=customer_ids,
        client_ids={(request.customer_id, request.client_order_id) for request in requests}
        | (
            opened_by := {
                (close.customer_id, close.opened_by) for close in closes if close.opened_by is not None
            }
        ),
        symbols={request.symbol for request in requests if isinstance(request, OpenRequest)},
        position_ids={close.position_id for close in closes if close.position_id is not None},
        opened_by=opened_by,
        quote_ids={request.quote_id for request in requests if request.quote_id is not None},
        count=len(requests),
        pays=any(close.payout == "instant" for close in closes),
        reserved_at=reserved_at,
    )
    for option in rows.options:
        (_charging.coins.discard if option.book is None else _charging.coins.add)(option.underlying)
    if reserved_at is None and _charging.coins:
        rows = replace(rows, reserved=order_sql.reserved(customer_ids, now=now))
    return rows


@moves(Position.begin_closing)
@moves(Position.close, Position.State.OPEN)
@moves(FirmQuote.use)
def _write(batch: OrderBatch, *, tells: bool) -> None:
    changed = [position for position in batch.positions.values() if position.changed]
    finished = [position for position in changed if not position.remaining]
    quoted = [order for order in batch.orders if order.quote_id is not None]
    moved = writing.write(
        accounts=batch.accounts.values(),
        orders=batch.orders,
        positions=[position for position in changed if position.remaining or position.is_new],
        transfers=batch.transfers,
        now=batch.now,
        flows=batch.flows,
        tells=tells,
        moves=[
            *writing.ending(Position.begin_closing, [each for each in finished if each.unpaid], batch.now),
            *writing.ending(Position.close, [each for each in finished if not each.unpaid], batch.now),
            *moving(
                FirmQuote,
                FirmQuote.use,
                [order.quote_id for order in quoted if order.quote_id is not None],
                each={"order_id": [order.id for order in quoted]},
            ),
        ],
    )
    to_move = len(finished) + len(quoted)
    if moved != to_move:  # what is left of a position would be paid for again
        raise RuntimeError(f"{to_move} positions and firm quotes to move, {moved} moved")
