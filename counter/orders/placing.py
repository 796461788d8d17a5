"""Placing orders: one transaction for a whole batch, with the meaning of one at a time in the order of arrival.

Guards the customer's money: his account's row is locked before anything of his is read, so whatever he sends at once,
through however many processes, is decided on the balance, the orders and the positions that the one before left.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from config.pipeline import Asked
from config.transitions import moving
from counter.models import FirmQuote, Position
from counter.ordering import order_sql, outbox
from counter.ordering.order_batch import OrderBatch
from counter.ordering.order_requests import CloseRequest, OpenRequest, OrderRequest, Outcome
from counter.ordering.order_rows import PositionRow
from counter.trading.limits import default_limits
from counter.trading.trading_status import terms


class BatchTooLarge(Exception):
    """More requests than one transaction takes (`MAX_BATCH_ORDERS`)."""


def place_orders(*, requests: Sequence[OrderRequest], now: datetime) -> list[Outcome]:
    """Decide and commit a batch of orders; the answer has one outcome for each request, in their order.

    Accepted orders are durable when this returns, and their sync events are published after the commit. A request
    whose (customer, client order id) is already stored is answered with that order if its content is the same.

    Raises: BatchTooLarge; database errors, after which nothing of the batch is stored.
    """
    if len(requests) > settings.MAX_BATCH_ORDERS:
        raise BatchTooLarge(f"{len(requests)} orders in one batch, at most {settings.MAX_BATCH_ORDERS}")
    if not requests:
        return []
    with transaction.atomic():
        batch = _read(requests, now)
        outcomes = [batch.decide(request) for request in requests]
        if batch.orders:
            batch.put_down()
            _write(batch)
            transaction.on_commit(lambda: outbox.publish(batch.orders), robust=True)
    return outcomes


def _read(requests: Sequence[OrderRequest], now: datetime) -> OrderBatch:
    """Lock first, then read: what is read after the lock cannot change until the commit."""
    closes = [request for request in requests if isinstance(request, CloseRequest)]
    rows = order_sql.read_batch(
        customer_ids={request.customer_id for request in requests},
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
    )
    return OrderBatch(
        now=now,
        terms=terms(),
        limits=default_limits(),
        rows=rows,
    )


def _write(batch: OrderBatch) -> None:
    finished = [position for position in batch.positions.values() if position.changed and not position.is_new]
    quoted = [order for order in batch.orders if order.quote_id is not None]
    order_sql.write(
        accounts=batch.accounts.values(),
        orders=batch.orders,
        positions=batch.positions.values(),
        transfers=batch.transfers,
        now=batch.now,
        moves=[
            *_moved(Position.begin_closing, finished, Position.State.CLOSING, batch.now),
            *_moved(Position.close, finished, Position.State.CLOSED, batch.now),
            *moving(
                FirmQuote,
                FirmQuote.use,
                [order.quote_id for order in quoted if order.quote_id is not None],
                each={"order_id": [order.id for order in quoted]},
            ),
        ],
    )


def _moved(transition: Any, positions: Iterable[PositionRow], state: str, now: datetime) -> list[Asked]:
    """What moves the positions that have arrived at a state."""
    ids = [position.id for position in positions if position.state == state]
    return moving(Position, transition, ids, same={"closed_at": now})
