"""Every list of the admin as CSV: what its filters leave, exact, in constant memory, for those who may see it."""

import csv
import io
import tracemalloc
from decimal import Decimal

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from counter.models import Transfer
from counter.models.accounts import Account
from infra.admin import csv_export
from infra.admin.readonly import ReadOnlyAdmin
from tests.support.factories import make_customer, make_option, place_open
from tests.support.history import write_history
from tests.support.staff import staff

pytestmark = pytest.mark.django_db(databases=["default", "desk"])


def rows_of(client, name, **query):
    answer = client.get(reverse(f"admin:{name}_csv"), query)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/csv")
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_every_list_can_be_had_as_csv_and_leads_there(two_systems, venue):
    write_history(venue)
    root = staff("root", superuser=True)
    filled = 0
    lists = [model for model, each in admin.site._registry.items() if isinstance(each, ReadOnlyAdmin)]
    assert len(lists) > 40
    for model in lists:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        assert 'href="export.csv' in root.get(reverse(f"admin:{name}_changelist")).content.decode(), name
        filled += bool(rows_of(root, name))
    assert filled > 15


def test_a_list_of_columns_alone_says_what_one_of_models_says(two_systems, venue, monkeypatch):
    write_history(venue)
    root = staff("root", superuser=True)
    lists = [model for model, each in admin.site._registry.items() if isinstance(each, ReadOnlyAdmin)]
    names = [f"{model._meta.app_label}_{model._meta.model_name}" for model in lists]
    quick = [rows_of(root, name) for name in names]
    columns = [csv_export._column(model, name) for model in lists for name in ("id", "state", "nothing")]
    assert {"pk", "state", None} <= set(columns)
    monkeypatch.setattr(csv_export, "_column", lambda model, name: None)
    assert [rows_of(root, name) for name in names] == quick
    assert sum(bool(rows) for rows in quick) > 15


def test_amounts_are_exact_and_filters_are_kept():
    customer, option = make_customer(balance="1234.567891"), make_option()
    make_customer(balance="5")
    order = place_open(customer, option, contracts=2)
    viewer = staff("vic", role="viewer")
    found = rows_of(viewer, "counter_syncorder")
    assert [row["id"] for row in found] == [str(order.id)]
    assert rows_of(viewer, "counter_syncorder", state__exact="REPORTED") == []
    balances = {row["id"]: row for row in rows_of(viewer, "counter_account")}
    mine = Account.objects.get(customer=customer)
    assert Decimal(balances[str(mine.pk)]["balance"]) == mine.balance


def test_a_text_is_no_formula():
    make_customer()
    Account.objects.filter(customer__isnull=False).update(code="=1+1")
    [row] = [row for row in rows_of(staff("vic", role="viewer"), "counter_account") if "1+1" in row["code"]]
    assert row["code"] == "'=1+1"
    assert csv_export.text_of(Decimal("-1.50")) == "-1.50"


def test_any_number_of_rows_takes_the_same_memory_and_short_statements(monkeypatch):
    monkeypatch.setattr(csv_export, "ROWS_A_STATEMENT", 100)
    account = Account.objects.get(pk=1)
    other = Account.objects.get(pk=2)
    values = {"debit_account": account, "credit_account": other, "asset": "USDT", "kind": "test"}
    viewer = staff("vic", role="viewer")

    def add(rows):
        legs = [Transfer(**values, amount=Decimal("1.5"), created_at=timezone.now()) for _ in range(rows)]
        Transfer.objects.bulk_create(legs)

    def read():
        answer = viewer.get(reverse("admin:counter_transfer_csv"))
        return sum(part.count(b"\n") for part in answer.streaming_content)

    def peak():
        tracemalloc.start()
        lines = read()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return lines, most

    add(1_000)
    read()  # what is loaded once
    few, little = peak()
    add(7_000)
    many, much = peak()
    assert (few, many) == (1_001, 8_001)
    assert much < 2 * little
    with CaptureQueriesContext(connection) as asked:
        read()
    assert sum("LIMIT 100" in each["sql"] for each in asked) >= 80


def test_who_may_not_see_a_list_gets_no_rows_of_it():
    nobody = staff("eve")
    assert nobody.get(reverse("admin:counter_account_csv")).status_code == 403
