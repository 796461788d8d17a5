"""What fails after a commit undoes nothing of it, and does not look as if it had: an order that is stored is taken."""

from functools import partial

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from acceptance import intake
from acceptance.models import AcceptedOrder
from infra.db.after_commit import after_commit
from tests.support.desk_bench import event

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "desk"])


def test_a_partial_that_fails_is_logged_by_its_name(caplog):
    def fails(text):
        raise OperationalError(text)

    with transaction.atomic(using="desk"):
        after_commit(partial(fails, "the server went away"), using="desk")
    assert "the server went away" in caplog.text
    assert "fails" in caplog.text


def test_an_order_is_taken_in_though_nobody_could_be_called_for_it(two_systems, monkeypatch):
    def fails(rows):
        raise OperationalError("the server went away")

    monkeypatch.setattr(intake, "_call_for", fails)
    order = event()
    taken = intake.ingest(events=[order], door=AcceptedOrder.Door.QUEUE, now=timezone.now())
    assert taken.accepted == [order.order_id]
    assert AcceptedOrder.objects.filter(order_id=order.order_id).exists()
