"""An order of the desk that counter never placed, and what counter says of an order.

A forged order, or one of a time that counter has lost by a restore, was perhaps converted already: that is a fact, and
stays with its conversion. What counter would owe for it, and the coin of an option that nobody holds, go to suspense.
"""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db.models import F

from acceptance import counter_client
from acceptance.counter_client import CounterError
from acceptance.models import AcceptedOrder
from acceptance.order_history import move_orders
from counter.contracts import SyncEvent
from infra.db.lifecycles import moves
from settlement.book.chart import COUNTER, OPTIONS, SUSPENSE, USDT
from settlement.book.legs import Legs
from settlement.models import Allocation, ReconciliationBreak
from settlement.reconciliation.clearing import DIFFERS, NO_CLEARING, NOT_HERE
from settlement.venues.state_history import MovedMeanwhile

KIND = "disown"  # of its legs
CORRECTED = (NOT_HERE, NO_CLEARING, DIFFERS)  # breaks of the clearing of one order
MAX_SOURCE = 32


class CounterSilent(Exception):
    """Counter did not say what it has."""


@moves(AcceptedOrder.disown)
def disown(order: AcceptedOrder, *, now: datetime) -> None:
    """Take an order out of what is compared with counter; joins the caller's transaction.

    Its source then names its row, so that counter's own order of that id can be taken in.

    Raises: MovedMeanwhile.
    """
    freed = f"~{order.pk} {order.source}"[:MAX_SOURCE]
    as_read = AcceptedOrder.objects.filter(pk=order.pk, state=order.state).select_for_update()
    if not move_orders(as_read, AcceptedOrder.disown, at=now, same={"source": freed}, source=order.state):
        raise MovedMeanwhile(f"order {order.pk} is no longer {order.state}")
    share = Allocation.objects.filter(order_id=order.pk).first()
    if share is None:
        return
    sign = 1 if order.kind == "OPEN" else -1
    legs = Legs(now=now)
    corrected = _forget_corrections(order)
    legs.add(KIND, USDT, debit=SUSPENSE, credit=COUNTER, amount=sign * share.due + corrected)
    legs.add(KIND, order.underlying, debit=OPTIONS, credit=SUSPENSE, amount=sign * order.coin)
    legs.post()


def _forget_corrections(order: AcceptedOrder) -> Decimal:
    """What breaks of its clearing have moved the mirror by: it goes with the order, and not twice."""
    if order.source != settings.COUNTER_SOURCE:
        return Decimal(0)
    rows = ReconciliationBreak.objects.select_for_update().filter(what__in=CORRECTED, order_id=order.order_id)
    corrected = sum((row.corrected for row in rows), Decimal(0))
    rows.exclude(corrected=0).update(corrected=0, version=F("version") + 1)
    return corrected


def at_counter(order_id: int) -> SyncEvent | None:
    """The order as counter has it under this id; None if it has none.

    Raises: CounterSilent.
    """
    try:
        found = counter_client.order_history(after_id=order_id - 1, limit=1).events
    except CounterError as error:
        raise CounterSilent(f"counter does not say what it has: {error}") from error
    return found[0] if found and found[0].order_id == order_id else None
