"""Order ids are given out once, also by a counter that was restored from a backup and has forgotten some of them.

The desk says which is the highest that it has held; counter's sequence is moved past it.
"""

import structlog
from django.db import connection, transaction

log = structlog.get_logger(__name__)

# Far beyond what other processes may take from the sequence between the look at it and the move.
GAP = 100_000
MOST_AHEAD = 10**9  # beyond it somebody errs: ids are not to be used up
LOOK = "SELECT last_value FROM counter_syncorder_id_seq"
MOVE = "SELECT setval('counter_syncorder_id_seq', %s)"
LOCK = "SELECT pg_advisory_xact_lock(hashtext('counter order ids'))"


class TooFarAhead(Exception):
    """An id that this counter cannot have given out."""


def move_past(order_id: int) -> bool:
    """Have the next order ids lie beyond one that was given out; whether the sequence had to be moved.

    Raises: TooFarAhead.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOOK)
        if cursor.fetchone()[0] >= order_id:
            return False
        cursor.execute(LOCK)
        cursor.execute(LOOK)
        last = cursor.fetchone()[0]
        if last >= order_id:
            return False
        if order_id - last > MOST_AHEAD:
            raise TooFarAhead(f"order id {order_id} is {order_id - last} ahead of ours")
        cursor.execute(MOVE, [order_id + GAP])
    log.error("order ids moved past the desk's: counter has forgotten orders", last=last, desk=order_id)
    return True
