"""The rows behind a day's close: both formats say the same, and the journals sum to the trial balance exactly."""

import csv
import io
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from django.core.management import CommandError, call_command
from django.db import connections, router
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pyarrow import parquet

from cockpit import day_files, day_parquet, days, days_page
from cockpit.day_files import TABLES
from cockpit.models import DayStatement
from counter.models import CashMovement, SyncOrder, Transfer
from counter.money.accounts import deposit
from ledger.decimals import EXACT
from settlement.models import Conversion, DeskTransfer, Fill, FundsTransfer
from tests.support.staff import staff as staff_of

JOURNALS = {"counter": "counter-journal", "desk": "desk-journal"}


def read_parquet(table, day):
    return parquet.read_table(pa.BufferReader(b"".join(day_parquet.parquet_of(table, day, about={}))))


def read_csv(table, day):
    return list(csv.DictReader(io.StringIO("".join(day_files.csv_of(table, day)))))


def add(totals, key, side, amount):
    both = totals.setdefault(key, [Decimal(0), Decimal(0)])
    both[side] = EXACT.add(both[side], amount)


@pytest.mark.parametrize("book", JOURNALS)
def test_the_parquet_sums_to_the_trial_balance_to_the_last_digit(today, book):
    """Debits and credits of each account and of each asset, from the file alone."""
    content = days.add_up(today)
    by_account, by_asset = {}, {}
    for row in read_parquet(TABLES[JOURNALS[book]], today).to_pylist():
        for side, of in enumerate(("debit", "credit")):
            add(by_account, (row[f"{of}_account_code"], row["asset"]), side, row["amount"])
            add(by_asset, row["asset"], side, row["amount"])
    assert by_account == {
        (code, asset): [Decimal(each) for each in moved]
        for of, code, asset, _, *moved, _, _ in content["accounts"]
        if of == book and any(map(Decimal, moved))
    }
    assert by_asset == {
        asset: [Decimal(each) for each in moved]
        for of, asset, *moved, _ in content["trial"]
        if of == book and any(map(Decimal, moved))
    }


def test_types_are_exact_and_times_are_utc(today):
    schema = read_parquet(TABLES["counter-journal"], today).schema
    assert schema.field("amount").type == pa.decimal128(28, 8)
    assert schema.field("created_at").type == pa.timestamp("us", tz="UTC")
    orders = read_parquet(TABLES["orders"], today).schema
    assert orders.field("premium").type == pa.decimal128(12, 6)
    assert orders.field("limit").type == pa.decimal128(20, 6)
    fills = read_parquet(TABLES["fills"], today)
    assert fills.schema.field("fee_usdt").type == pa.decimal128(28, 8)
    newest = Fill.objects.latest("id")
    row = {each["id"]: each for each in fills.to_pylist()}[newest.pk]
    assert (row["price"], row["fee"], row["traded_at"]) == (newest.price, newest.fee, newest.traded_at)


@pytest.mark.parametrize("name", TABLES)
def test_both_formats_say_the_same(today, name, monkeypatch):
    """In pages of two rows and groups of some pages, too: nothing is lost between them, and nothing comes twice."""
    monkeypatch.setattr(day_files, "ROWS_A_STATEMENT", 2)
    monkeypatch.setattr(day_parquet, "PAGES_A_GROUP", 2)
    table = TABLES[name]
    told, rows = read_csv(table, today), read_parquet(table, today).to_pylist()
    assert [
        {key: "" if value is None else day_files.cell_of(value) for key, value in row.items()} for row in rows
    ] == told
    assert len({row["id"] for row in rows}) == len(rows)
    counts = {
        "counter-journal": Transfer.objects.count(),
        "desk-journal": DeskTransfer.objects.count(),
        "orders": SyncOrder.objects.count(),
        "fills": Fill.objects.count(),
        "venue-trades": Fill.objects.count(),  # which the venue has told alike
        "cash": CashMovement.objects.count(),
        "transfers": FundsTransfer.objects.filter(state="CONFIRMED").count(),
    }
    assert len(rows) == counts[name]


@pytest.mark.parametrize("name", TABLES)
def test_an_empty_day_is_a_file_without_rows(today, name):
    before = today - timedelta(days=3)
    empty = read_parquet(TABLES[name], before)
    assert (empty.num_rows, empty.schema.names) == (0, TABLES[name].heading)
    assert read_csv(TABLES[name], before) == []


def test_a_fill_that_came_late_is_in_the_day_that_booked_it(today):
    fill = Fill.objects.latest("id")
    booked_at = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)
    before = read_parquet(TABLES["fills"], today).num_rows
    Conversion.objects.filter(pk=fill.conversion_id).update(booked_at=booked_at)
    leg = DeskTransfer.objects.filter(conversion_id=fill.conversion_id).latest("id")
    leg.pk, leg.created_at = None, booked_at  # a booking dates its legs as itself
    leg.save(force_insert=True)
    of_conversion = Fill.objects.filter(conversion_id=fill.conversion_id).count()
    assert read_parquet(TABLES["fills"], today).num_rows == before - of_conversion
    late = read_parquet(TABLES["fills"], today + timedelta(days=1)).to_pylist()
    assert {row["id"] for row in late} == set(
        Fill.objects.filter(conversion_id=fill.conversion_id).values_list("id", flat=True)
    )
    assert all(row["traded_at"] < row["conversion_booked_at"] for row in late)


@pytest.mark.parametrize("name", [name for name in TABLES if name != "transfers"])
def test_the_keys_of_a_day_are_looked_for_near_the_day_alone(today, name):
    """The ends of its keys are asked of a part of the table, by an index that there is."""
    table = TABLES[name]
    alias = router.db_for_read(table.model)
    with CaptureQueriesContext(connections[alias]) as asked:
        list(day_files.pages(table, today))
    [ends] = [each["sql"] for each in asked if "MIN(" in each["sql"] and "MAX(" in each["sql"]]
    column = {"fills": "conversion_id", "venue-trades": "traded_at"}.get(name, "id")
    bounds = f'"{table.model._meta.db_table}"."{column}"'
    assert f"{bounds} >=" in ends
    assert f"{bounds} <" in ends


def test_ids_that_a_restore_has_put_out_of_order_are_in_the_days_journal(today):
    """A leg of yesterday that was booked anew after today's."""
    leg = DeskTransfer.objects.latest("id")
    leg.pk, leg.created_at = None, leg.created_at - timedelta(days=1)
    leg.save(force_insert=True)
    late = read_parquet(TABLES["desk-journal"], today - timedelta(days=1)).to_pylist()
    assert [row["id"] for row in late] == [leg.pk]
    assert read_parquet(TABLES["desk-journal"], today).num_rows == DeskTransfer.objects.count() - 1


def test_texts_of_customers_are_in_the_files_as_they_are(today):
    """In CSV with a mark before what a spreadsheet would take for a formula; nothing is cut out of them."""
    customer = CashMovement.objects.latest("id").customer
    given = ["-abc", "a <x> b", "<b>1</b>"]
    for reference in given:
        deposit(customer_id=customer.pk, amount=Decimal(1), reference=reference, now=timezone.now())
    written = [row["reference"] for row in read_parquet(TABLES["cash"], today).to_pylist()]
    assert written[-3:] == given
    assert [row["reference"] for row in read_csv(TABLES["cash"], today)][-3:] == ["'-abc", *given[1:]]


def test_the_page_offers_the_files_and_the_pdf(today, later):
    statement = days.state(day=today, by="ann", now=later)
    days.close(statement=statement, by="bob", now=later)
    client = staff_of("vic", role="viewer")
    page = client.get(f"/admin/days/{statement.pk}/").content.decode()
    for name in TABLES:
        for kind in days_page.KINDS:
            address = f"/admin/days/{statement.pk}/rows/{name}.{kind}"
            assert address in page
            answer = client.get(address)
            assert f"{today}-{name}.{kind}" in answer["Content-Disposition"]
            assert b"".join(answer.streaming_content)
    written = b"".join(client.get(f"/admin/days/{statement.pk}/rows/orders.parquet").streaming_content)
    assert parquet.read_metadata(pa.BufferReader(written)).metadata[b"statement"] == statement.digest.encode()
    assert client.get(f"/admin/days/{statement.pk}/rows/secrets.csv").status_code == 404
    assert client.get(f"/admin/days/{statement.pk}/rows/orders.exe").status_code == 404
    assert staff_of("eve").get(f"/admin/days/{statement.pk}/rows/orders.csv").status_code == 403


def test_without_the_extra_the_page_and_the_command_name_it(today, later, tmp_path, monkeypatch):
    statement = days.state(day=today, by="ann", now=later)
    monkeypatch.setattr(day_parquet, "find_spec", lambda name: None)
    monkeypatch.setattr("cockpit.management.commands.day_files.is_there", day_parquet.is_there)
    client = staff_of("vic", role="viewer")
    assert "needs pyarrow" in client.get(f"/admin/days/{statement.pk}/").content.decode()
    refused = client.get(f"/admin/days/{statement.pk}/rows/orders.parquet")
    assert refused.status_code == 501
    assert "needs pyarrow" in refused.content.decode()
    with pytest.raises(CommandError, match="needs pyarrow"):
        call_command("day_files", str(today), str(tmp_path))


@pytest.mark.parametrize("kind", days_page.KINDS)
def test_what_cannot_be_read_is_told_instead_of_half_a_file(today, later, desk_away, kind):
    statement = DayStatement.objects.create(day=today, content={}, digest="d", made_by="ann", made_at=later)
    answer = staff_of("vic", role="viewer").get(f"/admin/days/{statement.pk}/rows/desk-journal.{kind}")
    assert answer.status_code == 503
    assert "manage.py day_files" in answer.content.decode()


def test_the_command_writes_whole_files_or_none(today, tmp_path, monkeypatch, capsys):
    call_command("day_files", str(today), str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {f"{today}-{name}.parquet" for name in TABLES}
    journal = parquet.read_table(tmp_path / f"{today}-desk-journal.parquet")
    assert journal.num_rows == DeskTransfer.objects.count()
    was = (tmp_path / f"{today}-orders.parquet").read_bytes()

    def dies(*asked, **named):
        yield b"PAR1 half of it"
        raise KeyboardInterrupt

    monkeypatch.setattr("cockpit.management.commands.day_files.parquet_of", dies)
    with pytest.raises(KeyboardInterrupt):
        call_command("day_files", str(today), str(tmp_path), "--only", "orders")
    assert (tmp_path / f"{today}-orders.parquet").read_bytes() == was
    assert len(list(tmp_path.iterdir())) == len(TABLES)
    with pytest.raises(CommandError, match="No such file"):
        call_command("day_files", str(today), str(tmp_path / "nowhere"), "--format", "csv")


def test_the_product_starts_without_pyarrow():
    """Nothing of it is imported before a Parquet file is asked for."""
    asked = "import sys, cockpit.day_parquet; print('pyarrow' in sys.modules)"
    code = f"import django; django.setup(); {asked}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "False"
