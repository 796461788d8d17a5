"""A process that dies while clearing is paid: it is booked once on each side, by the sweep that comes after."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
import requests

from acceptance import counter_client
from counter.models import ClearingPayment as AtCounter
from counter.models import Transfer
from counter.money import clearing_payments as counters
from settlement.book.chart import USDT
from settlement.counter_link import clearing_payments
from settlement.models import ClearingPayment, DeskTransfer
from tests.recovery.dooming import Doomed
from tests.recovery.points import POINTS, Work
from tests.support.clearing import approved, owe
from tools.embedded import valkey
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


@pytest.fixture(scope="module")
def doomed(django_db_setup: None) -> Iterator[Doomed]:
    made = Doomed()
    yield made
    made.stop()


def points(work: Work) -> list[str]:
    return [name for name, point in POINTS.items() if point.work is work]


def assert_paid_once() -> None:
    """30 of the 100 that were owed, by one payment, in one leg on each side."""
    assert (counters.owed(), clearing_payments.owed(USDT)) == (Decimal(70), Decimal(70))
    assert ClearingPayment.objects.get().state == ClearingPayment.State.BOOKED
    assert AtCounter.objects.get().refusal == ""
    assert Transfer.objects.filter(kind=counters.KIND).count() == 1
    assert DeskTransfer.objects.filter(kind=clearing_payments.KIND).count() == 1


@pytest.fixture
def counter(settings: Any) -> Iterator[str]:
    """Where a counter of a process of its own answers the desk."""
    settings.COUNTER_URL = f"http://127.0.0.1:{valkey.free_port()}"
    counter_client._local.__dict__.clear()
    yield settings.COUNTER_URL
    counter_client._session().close()
    counter_client._local.__dict__.clear()


@pytest.mark.parametrize("point", points(Work.PAY))
def test_a_worker_that_dies_while_it_has_a_payment_booked(doomed, live_server, settings, point):
    settings.COUNTER_URL = live_server.url
    counter_client._local.__dict__.clear()
    owe(Decimal(100))
    approved("30")
    doomed.begin(Work.PAY, point, {"COUNTER_URL": live_server.url})
    assert doomed.end() == -signal.SIGKILL

    clearing_payments.pay_approved()
    assert clearing_payments.pay_approved() == 0
    assert_paid_once()


@pytest.mark.parametrize("point", points(Work.PAID))
def test_a_counter_that_dies_while_it_books_a_payment(doomed, counter, point):
    def answers() -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{counter}/healthz", timeout=5).ok
        return False

    owe(Decimal(100))
    approved("30")
    doomed.begin(Work.PAID, point, {"COUNTER_URL": counter})
    assert wait_until(answers, within_seconds=60)
    assert clearing_payments.pay_approved() == 0
    assert doomed.end() == -signal.SIGKILL
    assert ClearingPayment.objects.get().state == ClearingPayment.State.APPROVED

    pid = doomed.begin(Work.PAID, "", {"COUNTER_URL": counter})
    assert wait_until(answers, within_seconds=60)
    assert clearing_payments.pay_approved() == 1
    os.kill(pid, signal.SIGINT)
    assert doomed.end() == 0
    assert_paid_once()
