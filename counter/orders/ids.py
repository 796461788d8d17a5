"""Ids are given out once, also by a counter that was restored from a backup and has forgotten some of them.

The desk says which is the highest order id that it has held; counter's sequence is moved past it, and those of all
other rows by more.
"""

import structlog
from django.db import connection, transaction

from counter.orders.sequences import LAST, MOST_AHEAD, MOVE, ORDERS, moved

log = structlog.get_logger(__name__)

LOOK = f"SELECT last_value FROM {ORDERS}"  # noqa: S608 - our own
LOCK = "SELECT pg_advisory_xact_lock(hashtext('counter order ids'))"


class TooFarAhead(Exception):
    """An id that this counter cannot have given out."""


def move_past(order_id: int) -> bool:
    """Have the next ids lie beyond an order id that was given out; whether the sequences had to be moved.

    Raises: TooFarAhead.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOOK)
        if cursor.fetchone()[0] >= order_id:
            return False
        cursor.execute(LOCK)
        cursor.execute(LAST)
        sequences = dict(cursor.fetchall())
        last = sequences[ORDERS]
        if last >= order_id:
            return False
        if order_id - last > MOST_AHEAD:
            raise TooFarAhead(f"order id {order_id} is {order_id - last} ahead of ours")
        for sequence in moved(sequences, known={ORDERS: order_id}).items():
            cursor.execute(MOVE, sequence)
    log.error("ids moved past the desk's: counter has forgotten orders", last=last, desk=order_id)
    return True
