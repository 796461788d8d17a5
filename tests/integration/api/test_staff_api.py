"""Programs of staff read risk, balances and closed days by keys of their own, and nobody else does."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pyarrow as pa
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pyarrow import parquet
from rest_framework.authtoken.models import Token
from structlog.testing import capture_logs

from cockpit import balances, days, risk, staff_keys
from cockpit.api import views
from cockpit.models import StaffKey
from counter.models import TradingStatus
from counter.pricing.book_risk import PRICE_MOVES, VOLATILITY_MOVES
from infra.coordination import clock
from settlement.reconciliation import venue_statement
from tests.support.factories import make_customer
from tests.support.history import write_history
from tests.support.staff import staff

ADDRESSES = ("/staff/v1/risk", "/staff/v1/balances", "/staff/v1/days")


def member(name, role=None):
    user = get_user_model().objects.create_user(name, is_staff=True)
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def ask(address, key, **query):
    return Client().get(address, query, headers={"Authorization": f"StaffKey {key}"})


@pytest.fixture
def key(two_systems):
    return staff_keys.issue(user=member("vic", "viewer"), label="test", now=timezone.now())


@pytest.fixture
def closed(key, venue):
    """A little history on a day that two people have closed."""
    write_history(venue)
    now = timezone.now() + timedelta(days=1, minutes=10)
    day = (now - timedelta(days=1, minutes=10)).date()
    venue_statement.ask(day, venue=venue, now=now)
    return days.close(statement=days.state(day=day, by="ann", now=now), by="bob", now=now)


def test_risk_says_what_the_page_says(closed, key):
    now = timezone.now()
    status = {"spread_rate": "0.005", "since": now, "judged_at": now, "vega_depth": 500, "vega_base": -7}
    TradingStatus.objects.update_or_create(underlying="ETH", defaults=status)
    risk.shared_risk.forget()
    answer = ask("/staff/v1/risk", key)
    assert answer.status_code == 200
    told = answer.json()
    [size] = told["size"]
    assert (size["coin"], size["measure"], Decimal(size["at"])) == ("ETH", "vega", -7)
    assert Decimal(size["depth"]) == 500
    read = risk.read(now=timezone.now())
    assert (
        {each["symbol"] for each in told["series"]} == {each.net.symbol for each in read.book.series} != set()
    )
    assert {each["coin"] for each in told["coins"]} == set(read.by_coin)
    for name in ("value", "delta", "gamma", "vega", "theta"):
        parts = [each["risk"][name] for each in told["coins"]]
        assert told["in_all"][name] == pytest.approx(sum(parts))
        assert sum(each["risk"][name] for each in told["expiries"]) == pytest.approx(sum(parts))
        assert sum(each["risk"][name] for each in told["series"]) == pytest.approx(sum(parts))
    assert [grid["coin"] for grid in told["scenarios"]] == [None, *read.by_coin]
    for grid in told["scenarios"]:
        assert (len(grid["gains"]), len(grid["gains"][0])) == (len(VOLATILITY_MOVES), len(PRICE_MOVES))
        assert grid["gains"][2][4] == pytest.approx(0, abs=1e-6)  # nothing moves


def test_balances_add_up_in_every_digit(closed, key):
    told = ask("/staff/v1/balances", key).json()
    owed = (told["customer_balances"], told["withdrawals_reserved"], told["options"])
    assert Decimal(told["owed"]) == sum(map(Decimal, owed))
    held = (told["cash_at_counter"], told["cash_at_desk"], told["at_venue"])
    assert Decimal(told["held"]) == sum(map(Decimal, held))
    desk = {(each.code, each.asset): each.amount for each in balances.Carried().balances(now=timezone.now())}
    assert {(each["account"], each["asset"]): Decimal(each["amount"]) for each in told["accounts"]} == desk
    assert {each["asset"] for each in told["wallets"]} >= {"BTC", "USDT"}


def test_a_closed_day_is_told_with_its_files(closed, key):
    [listed] = ask("/staff/v1/days", key).json()["results"]
    assert (listed["day"], listed["sha256"]) == (str(closed.day), closed.statement.digest)
    assert (listed["made_by"], listed["closed_by"]) == ("ann", "bob")
    told = ask(f"/staff/v1/days/{closed.day}", key).json()
    assert told["closed"] == listed
    assert [list(line.values()) for line in told["accounts"]] == closed.statement.content["accounts"]
    assert {(each["outcome"], each["differences"]) for each in told["venue"]} == {("TOLD", 0)}
    assert {each["at_venue"] == each["booked"] for each in told["venue_sums"]} == {True}
    assert (told["venue_lines"], listed["note"]) == ([], "")
    assert {line["difference"] for line in told["trial"]} <= {"0", "0.00000000", "0E-8"} | {
        line[-1] for line in closed.statement.content["trial"]
    }
    for each in told["files"]:
        csv = ask(each["csv"], key)
        rows = b"".join(csv.streaming_content).count(b"\n") - 1
        written = b"".join(ask(each["parquet"], key).streaming_content)
        assert parquet.read_table(pa.BufferReader(written)).num_rows == rows, each["name"]


def test_what_is_not_closed_or_no_day_is_not_found(closed, key):
    for path in (
        *("2026-13-01", str(closed.day + timedelta(days=1)), "x"),
        *(f"{closed.day}/secrets.csv", f"{closed.day}/orders.exe", "2020-01-01/orders.csv"),
    ):
        answer = ask(f"/staff/v1/days/{path}", key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path
    assert ask("/staff/v1/days", key, before="x").json()["error"]["code"] == "invalid_request"
    assert ask("/staff/v1/days", key, after="2026-01-01").json()["error"]["code"] == "invalid_request"
    assert ask("/staff/v1/days", key, before=str(closed.day)).json() == {"results": [], "next_before": None}
    assert ask("/staff/v1/nothing", key).json()["error"]["code"] == "not_found"


def test_only_staff_keys_open_it_and_they_open_nothing_else(key):
    customer = make_customer()
    token = Token.objects.get_or_create(user=customer.user)[0].key
    for address in ADDRESSES:
        assert Client().get(address).json()["error"]["code"] == "not_authenticated"
        for wrong in (
            f"StaffKey {token}",
            f"StaffKey {key}x",
            "StaffKey",
            f"StaffKey {key} {key}",
            "StaffKey ü",
        ):
            answer = Client().get(
                address, headers={"Authorization": wrong.encode("latin-1").decode("latin-1")}
            )
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "authentication_failed"), (
                wrong
            )
        assert Client().get(address, headers={"Authorization": f"Token {token}"}).status_code == 401
        session = Client()
        session.force_login(get_user_model().objects.get(username="vic"))
        assert session.get(address).status_code == 401
        assert Client().post(address, headers={"Authorization": f"StaffKey {key}"}).status_code == 405
    for address in ("/api/v1/accounts", "/api/v1/orders"):
        for scheme in ("StaffKey", "Token"):
            assert Client().get(address, headers={"Authorization": f"{scheme} {key}"}).status_code == 401
    assert Client().get("/admin/risk/", headers={"Authorization": f"StaffKey {key}"}).status_code == 302


def test_a_key_reads_what_its_person_may_see(two_systems):
    key = staff_keys.issue(user=member("eve"), label="test", now=timezone.now())
    for address in (*ADDRESSES, "/staff/v1/days/2026-11-29", "/staff/v1/days/2026-11-29/orders.csv"):
        answer = ask(address, key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("field", ["is_active", "is_staff"])
def test_who_is_shut_out_is_out_with_every_key(key, field):
    assert ask("/staff/v1/days", key).status_code == 200
    get_user_model().objects.filter(username="vic").update(**{field: False})
    assert ask("/staff/v1/days", key).status_code == 401


def test_keys_are_made_and_ended_at_the_console_and_kept_as_a_hash(two_systems):
    member("vic", "viewer")
    told = StringIO()
    with capture_logs() as logged:
        call_command("staff_key", "vic", "--label", "bi", "--days", "1", stdout=told)
    assert [(line["event"], line["user"], line["label"]) for line in logged] == [
        ("staff key made", "vic", "bi")
    ]
    key = told.getvalue().strip()
    row = StaffKey.objects.get()
    assert key not in json.dumps(
        {field.attname: str(getattr(row, field.attname)) for field in row._meta.fields}
    )
    assert row.expires_at - row.created_at == timedelta(days=1)
    assert ask("/staff/v1/days", key).status_code == 200
    StaffKey.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert ask("/staff/v1/days", key).status_code == 401
    StaffKey.objects.update(expires_at=None)
    assert key not in str(logged)
    with capture_logs() as logged:
        call_command("staff_key", "vic", "--label", "bi", "--end", stdout=told)
    assert [(line["event"], line["keys"], line["label"]) for line in logged] == [
        ("staff keys ended", 1, "bi")
    ]
    for label in ("bi", "b1"):  # ended already, and mistyped
        with pytest.raises(CommandError, match="nothing was ended"):
            call_command("staff_key", "vic", "--label", label, "--end")
    assert ask("/staff/v1/days", key).status_code == 401
    with pytest.raises(CommandError, match="no nobody"):
        call_command("staff_key", "nobody")
    with pytest.raises(CommandError, match="no active member of staff"):
        call_command("staff_key", make_customer().user.get_username())
    with pytest.raises(CommandError, match="3650"):
        call_command("staff_key", "vic", "--days", "0")


def test_a_key_is_good_for_ninety_days_unless_told_and_the_list_says_until_when(two_systems):
    member("vic", "viewer")
    member("ann", "viewer")
    for name, label in (("vic", "bi"), ("vic", "old"), ("ann", "risk")):
        call_command("staff_key", name, "--label", label, stdout=StringIO())
    first = StaffKey.objects.get(label="bi")
    assert first.expires_at - first.created_at == timedelta(days=90)
    call_command("staff_key", "vic", "--label", "old", "--end", stdout=StringIO())
    StaffKey.objects.filter(label="risk").update(expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    told = StringIO()
    call_command("staff_key", "--list", stdout=told)
    risk_key, bi, old = told.getvalue().splitlines()
    assert risk_key.startswith("ann  risk  made ")
    assert risk_key.endswith("expired 2026-01-01 00:00 UTC")
    assert bi.startswith("vic  bi  made ")
    assert bi.endswith(f"good until {first.expires_at:%Y-%m-%d %H:%M} UTC")
    assert "  ended " in old
    assert first.digest not in told.getvalue()
    of_one = StringIO()
    call_command("staff_key", "vic", "--list", stdout=of_one)
    assert of_one.getvalue().splitlines() == [bi, old]
    with pytest.raises(CommandError, match="whose key"):
        call_command("staff_key")
    with pytest.raises(CommandError, match="no nobody"):
        call_command("staff_key", "nobody", "--list")


def test_a_key_tells_its_last_use_and_is_written_once_a_minute(key, monkeypatch):
    now = timezone.now()
    row = StaffKey.objects.get()
    assert row.last_used_at is None

    def used(after):
        monkeypatch.setattr(clock.of("default"), "now", lambda: now + timedelta(seconds=after))
        with CaptureQueriesContext(connection) as asked:
            assert ask("/staff/v1/days", key).status_code == 200
        row.refresh_from_db()
        wrote = sum(each["sql"].startswith('UPDATE "cockpit_staffkey"') for each in asked)
        return (row.last_used_at - now).total_seconds(), wrote

    assert used(0) == (0, 1)
    assert [used(after) for after in (1, 30, 59)] == [(0, 0)] * 3
    assert used(60) == (60, 1)
    assert used(-3600) == (-3600, 1)  # a clock that was ahead is no use to come
    # Requests of one moment that have read the same row: one writes.
    stale = StaffKey.objects.get()
    StaffKey.objects.update(last_used_at=now)
    stale.last_used_at = None
    staff_keys._note_use(stale, now + timedelta(seconds=5))
    assert StaffKey.objects.get().last_used_at == now
    monkeypatch.undo()
    told = StringIO()
    call_command("staff_key", "--list", stdout=told)
    assert f"used {now:%Y-%m-%d %H:%M} UTC" in told.getvalue()
    admin = staff("root", role="operator")
    for page in ("/admin/cockpit/staffkey/", f"/admin/cockpit/staffkey/{row.pk}/change/"):
        shown = admin.get(page).content.decode()
        assert row.digest not in shown
        assert "test" in shown


def test_a_key_whose_use_cannot_be_written_is_good(key, monkeypatch):
    found = StaffKey.objects.select_related("user").get()

    class Broken:
        def filter(self, **of):
            raise OperationalError("no room")

    monkeypatch.setattr(staff_keys.StaffKey, "objects", Broken())
    staff_keys._note_use(found, timezone.now())  # which goes on


def test_each_key_may_ask_so_often_and_another_is_not_slowed(key, monkeypatch):
    monkeypatch.setattr(views, "REQUESTS_PER_SECOND", 1)
    monkeypatch.setattr(views, "REQUESTS_AT_ONCE", 2)
    other = staff_keys.issue(user=member("ann", "viewer"), label="test", now=timezone.now())
    answers = [ask("/staff/v1/days", key) for _ in range(6)]
    assert [each.status_code for each in answers[:2]] == [200, 200]
    assert (answers[0]["RateLimit-Limit"], answers[0]["RateLimit-Remaining"]) == ("2", "1")
    refused = next(each for each in answers if each.status_code != 200)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "throttled")
    assert int(refused["Retry-After"]) >= 1
    assert ask("/staff/v1/days", other).status_code == 200


def test_the_schema_of_staff_has_each_operation_and_the_customers_has_none(two_systems):
    of_staff = Client().get("/staff/schema", headers={"Accept": "application/json"}).json()
    assert set(of_staff["paths"]) == {
        *ADDRESSES,
        "/staff/v1/days/{day}",
        "/staff/v1/days/{day}/{name}.{kind}",
    }
    assert of_staff["components"]["securitySchemes"]["staffKey"]["in"] == "header"
    for operations in of_staff["paths"].values():
        [operation] = operations.values()
        assert {"200", "401", "403", "429", "503"} <= set(operation["responses"])
        assert operation["security"] == [{"staffKey": []}]
    risk_body = of_staff["components"]["schemas"]["RiskMeasures"]["properties"]
    assert set(risk_body) == {"value", "delta", "gamma", "vega", "theta"}
    of_customers = Client().get("/api/schema", headers={"Accept": "application/json"}).json()
    assert not [path for path in of_customers["paths"] if path.startswith("/staff/")]
