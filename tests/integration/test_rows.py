"""Rows are inserted as they are, or refused as the table refuses them."""

from decimal import Decimal

import pytest
from django.db import DataError, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from infra.db.rows import insert
from settlement.models import Carry, StateChange

pytestmark = pytest.mark.django_db(databases=["desk"])


def change(number: int, **changes) -> StateChange:
    usual = {
        "subject": "conversion",
        "subject_id": number,
        "to_state": "PLANNED",
        "at": timezone.now(),
        "by": "x",
    }
    return StateChange(**usual | changes)


def test_rows_are_inserted_in_order_in_one_statement():
    rows = [change(number, why=f'"{number}"\n') for number in (3, 1, 2)]
    with CaptureQueriesContext(connections["desk"]) as queries:
        insert(rows)
    assert len(queries) == 1
    stored = StateChange.objects.order_by("id")
    assert [(row.subject_id, row.at, row.why) for row in stored] == [
        (row.subject_id, row.at, row.why) for row in rows
    ]


def test_keys_that_rows_have_are_kept():
    insert([Carry(underlying="BTC", coin=Decimal("-0.00000001"), usdt=Decimal(7))])
    carry = Carry.objects.get()
    assert (carry.pk, carry.coin, carry.usdt) == ("BTC", Decimal("-0.00000001"), 7)


def test_text_that_is_too_long_is_refused_and_not_cut():
    with pytest.raises(DataError), transaction.atomic(using="desk"):
        insert([change(1, to_state="X" * 13)])


def test_no_rows_ask_nothing_of_the_database():
    with CaptureQueriesContext(connections["desk"]) as queries:
        insert([])
    assert not queries.captured_queries
