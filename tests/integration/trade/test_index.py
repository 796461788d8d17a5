"""The index as people look at it: its chart of an hour, a day or a week, and what changed in 24 hours."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from counter.market import index_history
from counter.market.index_history import SPANS, Point
from counter.models import IndexPrice
from tests.support.visiting import words_in
from trade.index_chart import HEIGHT, WIDTH, draw

NOW = datetime(2026, 11, 29, 12, 0, 30, tzinfo=UTC)


def record(*samples, now=NOW, coin="BTC"):
    IndexPrice.objects.bulk_create(
        IndexPrice(underlying=coin, price=Decimal(price), at=now - timedelta(seconds=seconds))
        for seconds, price in samples
    )


def test_a_point_is_the_newest_sample_of_its_step_and_the_last_one_is_of_now(db):
    record((3700, "1"), (100, "2"), (91, "3"), (31, "4"), (5, "5"))
    record((5, "900"), coin="ETH")
    points = index_history.history(coin="BTC", span="1h", now=NOW).points
    assert [(point.at, point.price) for point in points] == [
        (NOW.replace(minute=59, hour=11, second=0), Decimal(3)),
        (NOW.replace(second=0), Decimal(4)),
        (NOW, Decimal(5)),
    ]


@pytest.mark.parametrize("span", SPANS)
def test_a_span_has_few_points_by_one_statement(db, span, django_assert_num_queries):
    length, every = SPANS[span]
    record(*((seconds, "90000") for seconds in range(0, int(length.total_seconds()), 30 * 60)))
    with django_assert_num_queries(1):
        points = index_history.history(coin="BTC", span=span, now=NOW).points
    assert 2 <= len(points) <= length / every + 1 <= 100


def test_change_is_told_only_where_both_ends_are_recorded(db):
    record((0, "90900"))
    assert index_history.history(coin="BTC", span="1h", now=NOW).change is None
    record((86_400 + 30, "90000"))
    assert index_history.history(coin="BTC", span="1h", now=NOW).change == Decimal("0.0100")
    later = NOW + timedelta(minutes=5)
    assert index_history.history(coin="BTC", span="1h", now=later).change is None


@pytest.mark.parametrize("span", SPANS)
def test_what_is_old_is_a_point_of_the_chart_and_not_the_index_of_now(db, span):
    record((86_400, "90000"), (90, "91000"))
    past = index_history.history(coin="BTC", span=span, now=NOW)
    assert (past.now, past.change) == (None, None)
    assert past.points[-1].price == Decimal(91_000)
    record((50, "90900"))
    past = index_history.history(coin="BTC", span=span, now=NOW)
    assert (past.now, past.change) == (Decimal(90_900), Decimal("0.0100"))


def test_a_line_goes_from_left_to_right_and_from_the_lowest_to_the_highest():
    points = [Point(NOW + timedelta(minutes=minute), Decimal(price)) for minute, price in enumerate("132")]
    assert draw(points) == f"0.0,{HEIGHT - 4}.0 {WIDTH // 2}.0,4.0 {WIDTH}.0,{HEIGHT // 2}.0"
    close = [Point(NOW + timedelta(microseconds=after), Decimal(7)) for after in range(2)]
    assert draw(close) == f"0.0,{HEIGHT // 2}.0 {WIDTH}.0,{HEIGHT // 2}.0", (
        "the first point is of this moment"
    )
    flat = [Point(NOW + timedelta(minutes=minute), Decimal(7)) for minute in range(2)]
    assert draw(flat) == f"0.0,{HEIGHT // 2}.0 {WIDTH}.0,{HEIGHT // 2}.0"


def test_page_shows_index_change_and_chart_of_the_span_asked_for(visitor, option):
    now = timezone.now()
    record((86_420, "90000"), (4000, "91000"), (1200, "89000"), (2, "90900"), now=now)
    told = words_in(visitor.get("index/", coin="BTC"))
    assert "BTC 90,900 USDT +1.00 % in 24 h · 1 day: 89,000 to 91,000" in told
    hour = visitor.get("index/", coin="BTC", span="1h")
    assert "1 hour: 89,000 to 90,900" in words_in(hour)
    assert "<polyline" in hour
    assert 'name="span" value="1h"' in hour, "refreshing keeps it"
    assert "90,900" in words_in(visitor.http.get("/trade/?span=nonsense").content.decode())


def test_an_index_without_a_record_is_a_dash(visitor, option):
    html = visitor.get("index/", coin="BTC")
    assert "BTC – USDT" in words_in(html)
    assert "in 24 h" not in words_in(html)
    assert "<polyline" not in html
    assert visitor.http.get("/trade/index/?coin=XYZ").status_code == 404
