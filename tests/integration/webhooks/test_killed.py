"""Real processes that are killed: a receiver that is away for a day, and a worker in the middle of sending."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from counter.access import webhook_endpoints
from counter.models import WebhookAttempt, WebhookDelivery
from counter.money import accounts
from counter.webhooks import delivering
from infra.coordination.leader import is_held
from tests.support import ending
from tests.support.databases import environment
from tests.support.factories import make_customer, unique
from tools.embedded import valkey
from tools.stack.supervision import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]
MESSAGES = 40
ONE_RUN = """
import django
django.setup()
from django.utils import timezone
from counter.webhooks import delivering
delivering.deliver(clock=timezone.now)
"""


class ReceivingProcess:
    """A receiver with a process of its own; what it got is in a file."""

    def __init__(self, folder: Path) -> None:
        self.port = valkey.free_port()
        self.journal = folder / "got.jsonl"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.receiving", str(self.port), str(self.journal)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        assert wait_until(lambda: not valkey.is_free(self.port), within_seconds=30)

    def kill(self) -> None:
        if self.process is not None:
            ending.kill(self.process)

    def got(self):
        return (
            [json.loads(line) for line in self.journal.read_text().splitlines()]
            if self.journal.exists()
            else []
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
def away(here, tmp_path):
    receiver = ReceivingProcess(tmp_path)
    receiver.start()
    yield receiver
    receiver.kill()


def deposits(customer, count):
    for _ in range(count):
        accounts.deposit(
            customer_id=customer.pk, amount=Decimal(1), reference=unique("deposit"), now=timezone.now()
        )


def test_a_receiver_that_was_killed_for_a_day_gets_everything_once_each_by_id(away):
    customer = make_customer(balance="0")
    made = webhook_endpoints.register(customer_id=customer.pk, url=away.url("ok"), now=timezone.now())
    deposits(customer, 5)
    assert delivering.deliver(clock=timezone.now) == 5
    away.kill()
    deposits(customer, MESSAGES)
    # A day of beat asking now and then, minute after minute, in a moment.
    for minutes in range(0, 24 * 60, 20):
        later = timedelta(minutes=minutes)
        assert delivering.deliver(clock=lambda later=later: timezone.now() + later) == 0
    asked = WebhookAttempt.objects.exclude(outcome="delivered").count()
    assert asked < 5 + 24 * 3 + MESSAGES / 2
    assert WebhookDelivery.objects.filter(due_at__isnull=False).count() == MESSAGES
    away.start()
    back = timedelta(days=1)
    began = time.monotonic()
    while WebhookDelivery.objects.filter(due_at__isnull=False).exists():
        assert time.monotonic() - began < 30
        delivering.deliver(clock=lambda: timezone.now() + back)
    ids = Counter(message["headers"]["webhook-id"] for message in away.got())
    assert len(ids) == 5 + MESSAGES
    assert set(ids.values()) == {1}
    first = away.got()[0]
    assert Webhook(made.secret).verify(first["body"], first["headers"])["type"] == "deposit.credited"


def test_a_worker_that_is_killed_while_it_sends_costs_a_second_message_and_no_event(away):
    customer = make_customer(balance="0")
    webhook_endpoints.register(customer_id=customer.pk, url=away.url("slow/1"), now=timezone.now())
    deposits(customer, 3)
    here = {"WEBHOOK_HTTP": "1", "WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8"}
    worker = subprocess.Popen(
        [sys.executable, "-c", ONE_RUN], cwd=ROOT, env={**os.environ, **environment(), **here}
    )
    assert wait_until(lambda: len(away.got()) == 3, within_seconds=30)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    # The server has yet to notice; until then nobody else delivers.
    assert wait_until(lambda: not is_held(delivering.LOCK, using="default"), within_seconds=30)
    assert not WebhookAttempt.objects.exists()
    assert delivering.deliver(clock=timezone.now) == 0
    after_the_lease = timedelta(minutes=1)
    assert delivering.deliver(clock=lambda: timezone.now() + after_the_lease) == 3
    ids = Counter(message["headers"]["webhook-id"] for message in away.got())
    assert set(ids.values()) == {2}
    assert len(ids) == 3
