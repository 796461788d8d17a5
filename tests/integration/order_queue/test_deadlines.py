"""An attempt to place an order lives for a moment and ends with its client: after it nothing is placed."""

import asyncio
import os
import signal
import time
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import transaction
from django.utils import timezone

from counter.api.codes import CODES
from counter.market import firm_quotes
from counter.market.firm_quotes import OpenQuoteRequest
from counter.models import FirmQuote, Option, SyncOrder
from counter.orders import queue as queues
from counter.orders.deadlines import COMMIT_WITHIN_SECONDS
from counter.orders.placing import place_orders
from counter.orders.queue import OrderQueue, OutcomeUnknown, QueueFull
from counter.orders.requests import Rejected
from infra.coordination.group_queue import is_stuck
from tests.support.databases import held_account, waiting_for_a_lock
from tests.support.factories import make_customer, make_option
from tests.support.queueing import SOON, accepted, opening, until, writer_busy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("promised_deadline")]

ENDS_AFTER = timedelta(seconds=1)


def in_seconds(seconds):
    return time.monotonic() + seconds


def test_an_order_that_was_not_begun_in_time_is_dropped_and_those_behind_it_are_placed(
    order_queue, pool, option
):
    late, early = opening(option), opening(option)
    with writer_busy(order_queue, pool, option) as (first, _):
        dropped = pool.submit(order_queue.place, [late], until=in_seconds(0.1))
        behind = pool.submit(order_queue.place, [early])
        until(lambda: order_queue._queue.weight == 2)
        time.sleep(0.2)
    with pytest.raises(QueueFull):
        dropped.result(SOON)
    accepted(first.result(SOON))
    accepted(behind.result(SOON))
    order_queue.stop()
    assert not SyncOrder.objects.filter(client_order_id=late.client_order_id).exists()


def test_of_a_batch_that_was_begun_only_what_is_in_time_is_placed(pool, option):
    """Its accounts are locked when the time of one is over, which is divided from the others."""
    late, early = opening(option), opening(option)
    batches = []

    def place(*, requests, now, until):
        batches.append(len(requests))
        if len(requests) == 2:
            time.sleep(1)
        return place_orders(requests=requests, now=now, until=until)

    order_queue = OrderQueue(place=place)
    with writer_busy(order_queue, pool, option) as (first, _):
        waiting = [
            pool.submit(order_queue.place, [late], until=in_seconds(0.6)),
            pool.submit(order_queue.place, [early], until=in_seconds(5)),
        ]
        until(lambda: order_queue._queue.weight == 2)
    accepted(first.result(SOON))
    with pytest.raises(QueueFull):
        waiting[0].result(SOON)
    accepted(waiting[1].result(SOON))
    order_queue.stop()
    assert batches == [1, 2, 1]
    assert not SyncOrder.objects.filter(client_order_id=late.client_order_id).exists()


def test_a_commit_that_is_on_its_way_for_long_is_not_carried_out(option):
    """As when the process is stopped, or the connection cut off, after everything is written."""

    def place(*, requests, now, until):
        with transaction.atomic():
            outcomes = place_orders(requests=requests, now=now)
            if len(asked) == 1:
                time.sleep(COMMIT_WITHIN_SECONDS + 0.3)
            return outcomes

    request, asked = opening(option), [1]
    order_queue = OrderQueue(place=place)
    with pytest.raises(OutcomeUnknown):
        order_queue.place([request])
    assert not SyncOrder.objects.exists()
    asked.append(2)
    accepted(order_queue.place([request]))
    order_queue.stop()


@pytest.mark.timed
def test_an_order_ends_with_its_client(order_queue, pool, option):
    request = opening(option)

    async def leave():
        async def client_gone():
            await asyncio.sleep(0.05)

        with pytest.raises(QueueFull):
            await order_queue.place_soon([request], client_gone=client_gone)

    with writer_busy(order_queue, pool, option) as (first, _):
        started = time.monotonic()
        asyncio.run(leave())
        assert time.monotonic() - started < 1
        assert order_queue._queue.weight == 0
    accepted(first.result(SOON))
    order_queue.stop()
    assert SyncOrder.objects.count() == 1


def test_a_writer_that_hears_nothing_is_left_and_another_one_goes_on(order_queue, pool, option):
    """Its server process is stopped: what it was asked is answered long after, and comes to nothing."""
    with writer_busy(order_queue, pool, option) as (first, request):
        [pid] = waiting_for_a_lock()
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(OutcomeUnknown):
                first.result(SOON)
            until(lambda: is_stuck(order_queue._queue._worker, order_queue._queue._bounds))
            accepted(order_queue.place([opening(option)]))
            [left] = order_queue._queue._left
        finally:
            os.kill(pid, signal.SIGCONT)
    left.join(SOON)
    assert not left.is_alive()
    assert not SyncOrder.objects.filter(client_order_id=request.client_order_id).exists()


@pytest.mark.parametrize("what", ["quote", "option"])
def test_who_waited_for_the_account_meets_what_another_attempt_was_told_is_final(
    order_queue, pool, what, settings
):
    """Both have the same id; the first began before the end of the quote or option, and locks after the second."""
    now = timezone.now()
    option = make_option()
    customer, quote_id = make_customer(), None
    if what == "quote":
        quote = firm_quotes.give(request=OpenQuoteRequest(customer.pk, option.symbol, 1), now=now)
        quote_id = quote.pk
        FirmQuote.objects.update(expires_at=now + ENDS_AFTER)
    else:
        settings.OPENS_END_BEFORE_EXPIRY_SECONDS = 0
        Option.objects.update(expires_at=now + ENDS_AFTER)
    order = opening(option, customer, quote_id=quote_id)
    with patch.object(queues, "LOCK_WITHIN", "20s"), held_account(customer.pk) as holding:
        first = pool.submit(order_queue.place, [order], until=in_seconds(5))
        until(waiting_for_a_lock)
        assert timezone.now() < now + ENDS_AFTER, "too slow: try again"
        time.sleep((now + ENDS_AFTER - timezone.now()).total_seconds() + 0.1)
        holding.rollback()
    [outcome] = first.result(SOON)
    assert isinstance(outcome, Rejected)
    assert CODES[outcome.code].final
    assert not SyncOrder.objects.exists()
