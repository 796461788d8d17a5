"""The customer's ledger: between times, as CSV and by the month, each adding up."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from django.utils import timezone

from counter.api.ledger import _Download
from counter.contracts import SettlementReport
from counter.models import Account, Transfer
from counter.money import withdrawals
from counter.money.accounts import deposit
from counter.money.statements import MAX_ID, first_entry_id
from counter.orders.settlements import take_reports
from infra.csv_lines import text_cell
from tests.support.api import Caller, error_of
from tests.support.factories import make_customer, make_option, make_quote, place_close, place_open
from tests.support.kept_rows import once

pytestmark = pytest.mark.django_db(transaction=True)

OCTOBER, NOVEMBER, DECEMBER = (datetime(2025, month, 1, tzinfo=UTC) for month in (10, 11, 12))
MINUTE = timedelta(minutes=1)
FEE = Decimal("0.01000001")


def text(moment):
    return moment.isoformat().replace("+00:00", "Z")


def settle(order, now, due):
    report = SettlementReport(
        order_id=order.id,
        conversion_id=1,
        price=Decimal("89999.5"),
        value=due,
        fee=FEE,
        due=due,
        settled_at=now,
    )
    assert take_reports(reports=[report], now=now).taken == [order.id]


def live_through():
    """A deposit in October; in November orders and withdrawals; in December a last close, which is not settled."""
    customer = make_customer(balance="1000", now=OCTOBER)
    option = make_option(now=OCTOBER, days=150)

    def later(now):
        make_quote(option, now=now)
        return now

    now = later(NOVEMBER)
    opened = place_open(customer, option, contracts=4, now=now)
    settle(opened, now + MINUTE, opened.fair)
    place_close(opened, contracts=1, now=now)
    at_fill = place_close(opened, contracts=1, payout="at_fill", now=now)
    settle(at_fill, now + 2 * MINUTE, Decimal("17.999999"))
    for reference, amount in (("paid", 100), ("back", 50)):
        withdrawals.reserve(
            customer_id=customer.pk, amount=Decimal(amount), reference=reference, now=now + 3 * MINUTE
        )
    withdrawals.confirm(reference="paid", now=now + 4 * MINUTE)
    withdrawals.release(reference="back", now=now + 5 * MINUTE)
    place_close(opened, contracts=1, now=later(DECEMBER))
    return customer


@pytest.fixture
def customer():
    return once(live_through)


@pytest.fixture
def caller(customer):
    return Caller(customer)


def kinds(entries):
    return [entry["kind"] for entry in entries]


# --- between times --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"to": text(NOVEMBER)}, ["deposit"]),
        ({"from": text(DECEMBER)}, ["close"]),
        ({"from": text(DECEMBER + MINUTE)}, []),
        ({"to": text(OCTOBER)}, []),
        (
            {"from": text(NOVEMBER), "to": text(DECEMBER)},
            ["withdrawal_released", "withdrawal", "withdrawal", "payout", "close", "spread", "open"],
        ),
        ({"from": text(NOVEMBER + 5 * MINUTE), "to": text(DECEMBER)}, ["withdrawal_released"]),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-01T00:00:00Z"}, []),
        ({"from": "9999-12-31T23:59:59-23:00"}, []),
        ({"from": text(DECEMBER), "to": text(NOVEMBER)}, []),
    ],
    ids=repr,
)
def test_entries_of_a_time_are_found(caller, query, found):
    assert kinds(caller.get("ledger", **query).json()["results"]) == found


def test_pages_within_a_time_join(caller):
    query = {"from": text(NOVEMBER), "to": text(DECEMBER)}
    whole = caller.get("ledger", **query).json()["results"]
    seen, cursor = [], {}
    while True:
        page = caller.get("ledger", **query, limit=2, **cursor).json()
        seen += page["results"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == whole


def test_each_entry_tells_spread_and_fee_of_its_order(caller):
    entries = caller.get("ledger").json()["results"]
    by_kind = {entry["kind"]: entry["order"] for entry in entries}
    assert by_kind["deposit"] is by_kind["withdrawal"] is None
    assert by_kind["open"] == by_kind["spread"]
    assert (by_kind["open"]["fair"], by_kind["open"]["spread"]) == ("90.000000", "0.450000")
    assert by_kind["open"]["fee"] == "0.01000001"
    assert by_kind["payout"]["spread"] == "0.000000"
    newest = entries[0]
    assert (newest["kind"], newest["order"]["type"], newest["order"]["fee"]) == ("close", "close", None)


@pytest.mark.parametrize(
    "query",
    [{"from": "yesterday"}, {"to": "2025-11-01T00:00:00"}, {"from": "null"}, {"to": "0.5"}, {"from": ""}],
)
def test_times_are_read_strictly(caller, query):
    for path in ("ledger", "ledger.csv"):
        answer = caller.get(path, **({"from": text(NOVEMBER)} | query))
        assert error_of(answer, 400)["code"] == "invalid_request"


def test_a_time_is_found_among_entries_whose_clocks_differ(customer):
    """What was written by a clock that is behind stays where the balance has it."""
    account = Account.objects.get(customer=customer)
    deposit(customer_id=customer.pk, amount=Decimal(1), reference="ahead", now=DECEMBER + 10 * MINUTE)
    deposit(customer_id=customer.pk, amount=Decimal(1), reference="behind", now=DECEMBER + 9 * MINUTE)
    ahead, behind = Transfer.objects.filter(kind="deposit").order_by("-id")[:2][::-1]
    assert first_entry_id(account.pk, DECEMBER + 10 * MINUTE) == ahead.pk
    assert first_entry_id(account.pk, DECEMBER + 9 * MINUTE) == ahead.pk < behind.pk
    assert first_entry_id(account.pk, DECEMBER + 11 * MINUTE) == MAX_ID


# --- as CSV ---------------------------------------------------------------------------------------------------------


def rows(answer):
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


def test_csv_tells_all_entries_oldest_first_and_adds_up(caller):
    found = rows(caller.get("ledger.csv", **{"from": text(OCTOBER), "to": text(DECEMBER + MINUTE)}))
    pages = caller.get("ledger").json()["results"][::-1]
    assert [(row["id"], row["kind"], row["amount"], row["balance"]) for row in found] == [
        (entry["id"], entry["kind"], entry["amount"], entry["balance_after"]) for entry in pages
    ]
    for before, row in pairwise(found):
        assert Decimal(row["balance"]) == Decimal(before["balance"]) + Decimal(row["amount"])
    assert [(row["spread"], row["fee"]) for row in found if row["order_id"]] == [
        ("0.450000", "0.01000001"),  # the open
        ("", ""),  # its spread's own entry
        ("0.090000", ""),
        ("0.000000", "0.01000001"),
        ("0.090000", ""),
    ]
    assert found[0]["time"] == "2025-10-01T00:00:00+00:00"
    assert found[1]["client_order_id"].startswith("open-")
    assert found[1]["symbol"].startswith("BTC-")


def test_csv_is_read_by_pages(caller, monkeypatch):
    query = {"from": text(OCTOBER), "to": text(DECEMBER + MINUTE)}
    whole = caller.get("ledger.csv", **query).getvalue()
    monkeypatch.setattr("counter.money.statements.PAGE", 2)
    monkeypatch.setattr("infra.csv_lines.ROWS_AT_ONCE", 3)
    answer = caller.get("ledger.csv", **query)
    parts = list(answer.streaming_content)
    answer.close()
    assert len(parts) > 3
    assert b"".join(parts) == whole


@pytest.mark.parametrize("days", [-1, 367])
def test_csv_has_a_longest_range(caller, days):
    query = {"from": text(OCTOBER), "to": text(OCTOBER + timedelta(days=days))}
    assert error_of(caller.get("ledger.csv", **query), 422)["code"] == "range_invalid"
    assert error_of(caller.get("ledger.csv"), 400)["code"] == "invalid_request"


def test_csv_without_an_end_goes_as_far_as_it_may(caller):
    assert len(rows(caller.get("ledger.csv", **{"from": text(OCTOBER)}))) == 9
    for begin in ("2000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert rows(caller.get("ledger.csv", **{"from": begin})) == []


def test_csv_takes_no_other_method(caller):
    for answer in (caller.http.options("/api/v1/ledger.csv"), caller.post("ledger.csv", {})):
        assert error_of(answer, 405)["code"] == "method_not_allowed"


def test_csv_is_given_to_who_accepts_nothing_else(caller):
    answer = caller.http.get(
        "/api/v1/ledger.csv",
        query_params={"from": text(OCTOBER), "to": text(NOVEMBER)},
        headers={"Accept": "text/csv"},
    )
    assert [row["kind"] for row in rows(answer)] == ["deposit"]


def test_downloads_that_are_not_read_leave_room_for_others(caller):
    another, third = (Caller(make_customer(now=OCTOBER)) for _ in range(2))
    query = {"from": text(OCTOBER), "to": text(NOVEMBER)}
    waiting = [caller.get("ledger.csv", **query)]
    assert error_of(caller.get("ledger.csv", **query), 503)["code"] == "overloaded"  # of one customer one
    waiting.append(another.get("ledger.csv", **query))
    assert error_of(third.get("ledger.csv", **query), 503)["code"] == "overloaded"
    for answer in waiting:
        answer.close()
        answer.close()
    for _ in range(3):
        assert rows(caller.get("ledger.csv", **query))
    assert not _Download.taken


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start):
    assert text_cell(f"{start}1+1") == f"'{start}1+1"
    assert text_cell(f"a{start}1") == f"a{start}1"


def test_a_name_that_looks_like_a_formula_is_none_in_csv(caller, customer):
    option = make_option()
    order = {"type": "open", "client_order_id": "-2-3", "symbol": option.symbol, "contracts": 1}
    assert caller.post("orders", order).status_code == 201
    found = rows(caller.get("ledger.csv", **{"from": text(timezone.now() - MINUTE)}))
    assert {row["client_order_id"] for row in found} == {"'-2-3"}


# --- by the month ---------------------------------------------------------------------------------------------------

PARTS = {
    "deposits": 1,
    "withdrawals": -1,
    "withdrawals_released": 1,
    "costs": -1,
    "proceeds": 1,
    "spread": -1,
    "fees": -1,
}


def added_up(statement):
    return Decimal(statement["opening_balance"]) + sum(
        sign * Decimal(statement[part]) for part, sign in PARTS.items()
    )


def test_months_add_up_and_each_begins_where_the_last_one_ended(caller, customer):
    statements = [caller.get(f"statements/2025-{month:02}").json() for month in (9, 10, 11, 12)]
    for before, after in pairwise(statements):
        assert after["opening_balance"] == before["closing_balance"]
        assert after["begins_at"] == before["ends_at"]
    for statement in statements:
        assert added_up(statement) == Decimal(statement["closing_balance"])
    november = statements[2]
    assert {name: november[name] for name in ("opening_balance", *PARTS, "closing_balance", "entries")} == {
        "opening_balance": "1000.000000",
        "deposits": "0.000000",
        "withdrawals": "150.000000",
        "withdrawals_released": "50.000000",
        "costs": "90.000000",
        "proceeds": "36.00999901",  # 18 of the close, 17.999999 and the fee of the payout
        "spread": "0.540000",
        "fees": "0.01000001",
        "closing_balance": "845.459999",
        "entries": 7,
    }
    assert Decimal(statements[3]["closing_balance"]) == Account.objects.get(customer=customer).balance


def test_months_that_were_or_will_be_are_empty(caller):
    before, after = (caller.get(f"statements/{month}").json() for month in ("2024-12", "2099-12"))
    assert {before["closing_balance"], before["opening_balance"]} == {"0.000000"}
    assert after["ends_at"] == "2100-01-01T00:00:00Z"
    assert after["opening_balance"] == after["closing_balance"]
    assert before["entries"] == after["entries"] == 0


@pytest.mark.parametrize("month", ["2025-13", "2025-00", "1999-01", "25-01", "2025-1", "2025-011", "x"])
def test_what_is_no_month_is_not_there(caller, month):
    assert error_of(caller.get(f"statements/{month}"), 404)["code"] == "not_found"


def test_entries_of_others_are_in_no_statement(caller):
    other = Caller(make_customer(balance="7", now=NOVEMBER))
    assert other.get("statements/2025-11").json()["deposits"] == "7.000000"
    assert caller.get("statements/2025-11").json()["deposits"] == "0.000000"
