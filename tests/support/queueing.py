"""An order queue whose writer is kept busy, and orders that meet in it meanwhile."""

import time
from contextlib import contextmanager
from unittest.mock import patch

from counter.orders import queue as queues
from counter.orders.requests import Accepted, OpenRequest
from tests.support.databases import held_account, waiting_for_a_lock
from tests.support.factories import make_customer, unique

SOON = 30.0  # within which everything here is long over


def opening(option, customer=None, **changes):
    customer = customer or make_customer()
    fields = {"client_order_id": unique("queued"), "symbol": option.symbol, "contracts": 1} | changes
    return OpenRequest(customer_id=customer.pk, **fields)


def until(holds):
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def writer_busy(order_queue, pool, option):
    """The writer is committing an order whose account is held; yields that order's future and its request."""
    first = opening(option)
    with patch.object(queues, "LOCK_WITHIN", "20s"), held_account(first.customer_id) as holding:
        future = pool.submit(order_queue.place, [first])
        until(waiting_for_a_lock)
        yield future, first
        holding.rollback()


def accepted(outcomes):
    [outcome] = outcomes
    assert isinstance(outcome, Accepted), outcome
    return outcome.order
