"""The page and the file "Best execution": sums by hand, what is not known, and who may see it."""

import csv
import io
from datetime import timedelta
from decimal import Decimal, localcontext
from types import SimpleNamespace

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from cockpit import best_execution, sharing
from infra.coordination import clock
from settlement.models import Execution
from tests.support.staff import staff as staff_of

MINUTE = timedelta(minutes=1)


@pytest.fixture
def now(two_systems, monkeypatch):
    at = timezone.now().replace(hour=12, minute=30, second=0, microsecond=0)
    monkeypatch.setattr(clock.of("default"), "now", lambda: at)
    return at


def executed(number, minute, **changes):
    usual = {
        "conversion_id": number,
        "underlying": "BTC",
        "side": "buy",
        "coin": Decimal(2),
        "usdt": Decimal(181_000),
        "minute": minute,
        "due_at": minute,
        "order_price": Decimal(90_000),
        "sent_price": Decimal(90_400),
        "answer": "KNOWN",
        "minute_price": Decimal(90_600),
        "minute_coin": Decimal(8),
    }
    return Execution.objects.create(**usual | changes)


@pytest.fixture
def rows(now):
    """A buy and a sale of one day and coin, one of the day before, and one of the other coin with nothing known."""
    executed(1, now - MINUTE)
    executed(2, now - 2 * MINUTE, side="sell", coin=Decimal(1), usdt=Decimal(90_500), order_price=None)
    executed(3, now - timedelta(days=1), usdt=Decimal(179_000))
    executed(
        *(4, now),
        underlying="ETH",
        usdt=Decimal(6000),
        **dict.fromkeys(("order_price", "sent_price", "minute_price", "minute_coin")),
        answer="AWAITED",
    )


def test_sums_are_by_day_and_coin_and_weighted_by_notional(rows, now):
    today, yesterday = now.date(), now.date() - timedelta(days=1)
    found = {(each.day, each.coin): each for each in best_execution.by_day(first=yesterday, last=today)}
    assert found.keys() == {(today, "BTC"), (today, "ETH"), (yesterday, "BTC")}
    btc = found[today, "BTC"]
    assert (btc.conversions, btc.amount, btc.usdt) == (2, 3, 271_500)
    # Order: the buy alone, 180,000 - 181,000 of 180,000.
    # Send: (180,800 - 181,000) + (90,500 - 90,400) of 180,800 + 90,400: -100 of 271,200, -3.687 bps.
    # VWAP: (181,200 - 181,000) + (90,500 - 90,600) of 271,800: 100, 3.679 bps.
    assert {name: (each.usdt, each.notional, each.conversions) for name, each in btc.gains.items()} == {
        "order": (-1000, 180_000, 1),
        "send": (-100, 271_200, 2),
        "vwap": (100, 271_800, 2),
    }
    points = {name: str(each.basis_points) for name, each in btc.gains.items()}
    assert points == {"order": "-55.56", "send": "-3.69", "vwap": "3.68"}
    assert {each.basis_points for each in found[today, "ETH"].gains.values()} == {None}
    assert found[today, "ETH"].awaited == 1
    total = {each.coin: each for each in best_execution.in_all(list(found.values()))}["BTC"]
    assert (total.conversions, total.usdt) == (3, 450_500)
    # With the buy of 179,000: 1,000 better at the order, 1,800 at the sending.
    assert (total.gains["order"].usdt, total.gains["send"].usdt) == (0, 1700)


def test_the_database_and_the_formula_say_the_same(rows, now):
    for sums in best_execution.by_day(first=now.date(), last=now.date()):
        of = Execution.objects.filter(underlying=sums.coin, minute__date=now.date())
        each = [best_execution.gains_of(row) for row in of]
        for name, gained in sums.gains.items():
            parts = [row[name] for row in each if row[name] is not None]
            assert gained.usdt == sum(part.usdt for part in parts)
            assert gained.notional == sum(part.notional for part in parts)
            assert gained.conversions == len(parts)


def test_a_day_ends_at_midnight_utc(now):
    midnight = now.replace(hour=0, minute=0)
    executed(1, midnight - MINUTE)
    executed(2, midnight)
    found = best_execution.by_day(first=midnight.date(), last=midnight.date())
    assert [each.conversions for each in found] == [1]


def test_the_page_says_it_in_basis_points_and_usdt(rows, now):
    page = staff_of("vic", role="viewer").get("/admin/best-execution/").content.decode()
    for text in ("−3.69", "−100.00 USDT", "−1,000.00 USDT of 1", "3.68", "1 conversion waits for the venue"):
        assert text in page
    assert "/admin/settlement/conversion/1/change/" in page
    assert "25.0 %" in page  # two coin of eight


def test_the_file_has_each_conversion_with_all_digits(rows, now, monkeypatch):
    monkeypatch.setattr(best_execution, "ROWS_A_STATEMENT", 2)
    client = staff_of("vic", role="viewer")
    answer = client.get("/admin/best-execution/file.csv")
    read = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["conversion"] for row in read] == ["3", "2", "1", "4"]
    assert read[2]["price"] == "90500.00000000"
    assert (read[2]["gain_send_usdt"], read[2]["gain_send_bps"]) == ("-200.0000000000000000", "-11.06")
    assert (read[1]["order_price"], read[1]["gain_order_bps"], read[1]["gain_vwap_bps"]) == ("", "", "-11.04")
    assert (read[3]["answer"], read[3]["gain_vwap_usdt"]) == ("AWAITED", "")
    one_day = client.get("/admin/best-execution/file.csv", {"from": now.date(), "to": now.date()})
    assert b"".join(one_day.streaming_content).count(b"\n") == 4


@pytest.mark.parametrize(
    "days",
    [{"from": "x"}, {"from": "2026-01-02", "to": "2026-01-01"}, {"from": "2000-01-01", "to": "2026-01-01"}],
)
def test_days_that_are_none_are_refused_with_a_word(rows, days):
    client = staff_of("vic", role="viewer")
    page = client.get("/admin/best-execution/", days)
    assert page.status_code == 200
    assert 'role="alert"' in page.content.decode()
    assert client.get("/admin/best-execution/file.csv", days).status_code == 400


def test_tomorrow_is_still_to_come(rows, now):
    client, tomorrow = staff_of("vic", role="viewer"), now.date() + timedelta(days=1)
    assert client.get("/admin/best-execution/file.csv", {"to": tomorrow}).status_code == 400
    assert client.get("/admin/best-execution/file.csv", {"to": now.date()}).status_code == 200


def test_days_that_take_too_long_to_add_up_are_said_to_be_too_many(rows, monkeypatch):
    def canceled(**days):
        with connections["desk"].cursor() as cursor:
            cursor.execute("SET statement_timeout = '1ms'; SELECT pg_sleep(5)")

    monkeypatch.setattr(best_execution, "worst", canceled)
    try:
        page = staff_of("vic", role="viewer").get("/admin/best-execution/")
    finally:
        connections["desk"].close()
    assert page.status_code == 200
    assert "Too much to add up at once: fewer days" in page.content.decode()


def test_a_desk_that_does_not_answer_is_said_to_be_away(rows, desk_away):
    page = staff_of("vic", role="viewer").get("/admin/best-execution/")
    assert "database does not answer" in page.content.decode()


def test_sums_keep_every_digit_in_any_context_of_the_thread(rows, now):
    parts = best_execution.by_day(first=now.date() - timedelta(days=1), last=now.date())
    with localcontext(prec=3):
        totals = {each.coin: each for each in best_execution.in_all(parts)}
    assert (totals["BTC"].amount, totals["BTC"].usdt) == (5, 450_500)


def test_prometheus_is_told_of_the_same_sums_for_a_minute(rows, monkeypatch):
    asked, read = [], best_execution.by_coin
    monkeypatch.setattr(best_execution, "by_coin", lambda **span: asked.append(span) or read(**span))
    ticks = iter((0, 0, 59, 61, 61))
    monkeypatch.setattr(sharing, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    for _ in range(3):
        assert best_execution.shared_last_day.current(now=timezone.now())
    assert len(asked) == 2


def test_who_may_not_see_conversions_sees_no_executions(rows):
    eve = staff_of("eve")
    for address in ("/admin/best-execution/", "/admin/best-execution/file.csv"):
        assert eve.get(address).status_code == 403
        assert Client().get(address).status_code == 302


def test_prometheus_is_told_of_the_last_day(rows):
    text = Client().get("/metrics").content.decode()
    found = {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "crossbook_execution_gain_bps"
    }
    # The rows of the last 24 hours by the moment, among them the one of exactly a day ago.
    assert found[("against", "vwap"), ("coin", "BTC")] == pytest.approx(10_000 * 2300 / 453_000, abs=0.005)
    assert {labels[1][1] for labels in found} == {"BTC"}


def test_a_desk_that_does_not_answer_leaves_the_other_metrics(rows, desk_away):
    best_execution.shared_last_day.forget()
    text = Client().get("/metrics").content.decode()
    assert "crossbook_desk_up 0" in text
    assert "crossbook_execution_gain_bps{" not in text
