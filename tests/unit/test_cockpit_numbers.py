"""Durations in buckets, and charts: what the first page works out of its figures."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.charts import HEIGHT, lines, round_top, share_percent
from cockpit.histogram import BOUNDS_SECONDS, BUCKETS, added, percentile_seconds, since
from cockpit.numbers import age_text, small_usdt_text, usdt_text

END = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def counted(durations):
    counts = [0] * BUCKETS
    for seconds in durations:
        counts[next((i for i, bound in enumerate(BOUNDS_SECONDS) if seconds < bound), BUCKETS - 1)] += 1
    return counts


@given(
    durations=st.lists(st.floats(0.011, 500), min_size=1, max_size=200),
    share=st.sampled_from([0.5, 0.9, 0.99]),
)
def test_a_percentile_is_off_by_less_than_one_bucket(durations, share):
    exact = sorted(durations)[ceil(share * len(durations)) - 1]
    found = percentile_seconds(counted(durations), share)
    assert exact / 1.26 <= found <= exact * 1.26


def test_nothing_counted_has_no_percentile():
    assert percentile_seconds([0] * BUCKETS, 0.5) is None


def test_what_takes_longer_than_the_last_bound_is_as_long_as_that():
    assert percentile_seconds(counted([10_000.0]), 0.99) == BOUNDS_SECONDS[-1]


def test_histograms_add_up_and_differ():
    first, second = counted([0.02, 3]), counted([0.02])
    assert since(added(first, second), second) == first


@pytest.mark.parametrize(
    ("value", "top"), [(0, 10), (10, 10), (11, 20), (21, 50), (51, 100), (4_999, 5_000), (600_001, 1_000_000)]
)
def test_an_axis_ends_at_a_round_number(value, top):
    assert round_top(value) == top


def test_a_line_leads_from_then_to_now_and_leaves_out_what_is_older():
    series = [(END - 2 * HOUR, {"a": 7.0}), (END - HOUR / 2, {"a": 0.0}), (END, {"a": 10.0})]
    assert lines(series, names=["a"], end=END, span=HOUR).points["a"] == f"300.0,{HEIGHT - 4}.0 600.0,4.0"


def test_an_empty_chart_has_an_axis_and_no_line():
    drawn = lines([], names=["a"], end=END, span=HOUR)
    assert (drawn.points, drawn.top) == ({"a": ""}, 10)


@pytest.mark.parametrize(
    ("part", "whole", "percent"), [(0, 0, 0), (1, 0, 100), (Decimal(-5), Decimal(10), 50), (30, 10, 100)]
)
def test_a_bar_is_never_longer_than_its_track(part, whole, percent):
    assert share_percent(part, whole) == percent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0123, "12 ms"),
        (4.25, "4.2 s"),
        (59, "59 s"),
        (90, "1.5 min"),
        (7200, "2.0 h"),
        (172_800, "2.0 d"),
    ],
)
def test_ages_are_said_in_the_largest_unit_that_fits(seconds, text):
    assert age_text(seconds) == text


def test_a_loss_has_its_sign():
    assert usdt_text(Decimal("-1234.567")) == "−1,234.57"
    assert usdt_text(Decimal("-0.001")) == "0.00"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("-0.001", "−0.001"),
        ("-0.00000012345", "−0.0000001234"),
        ("0.999999", "1"),
        ("-0.123456", "−0.1235"),
        ("0", "0.00"),
        ("-0.0", "0.00"),
        ("-1234.567", "−1,234.57"),
    ],
)
def test_a_small_loss_has_four_digits_and_is_never_a_zero(amount, text):
    assert small_usdt_text(Decimal(amount)) == text
