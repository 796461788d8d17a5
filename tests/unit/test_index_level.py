"""How far the index may move at once, how long a new level has to last, and how a recorded crash is followed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from counter.market.index_level import LeapLimits, Level, move
from tests.support.crash import crash

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LIMITS = LeapLimits(
    per_second_rate=Decimal("0.01"),
    window_rate=Decimal("0.03"),
    window=timedelta(seconds=5),
    confirm_after=timedelta(seconds=3),
    confirm_at_most=timedelta(seconds=30),
)
CALM = [90_000, 90_005, 89_990, 90_010]


def followed(prices, *, every=SECOND, level=None, limits=LIMITS):
    """What is published of samples that come one a second (None: no sample), and the level at the end."""
    level, published = level or Level(), []
    for number, price in enumerate(prices):
        shown = None
        if price is not None:
            level, is_published = move(level, Decimal(price), limits=limits, now=NOW + number * every)
            shown = price if is_published else None
        published.append(shown)
    return published, level


def test_the_first_sample_is_believed_when_a_second_one_agrees():
    assert followed([90_000, 90_010, 90_020])[0] == [None, 90_010, 90_020]
    assert followed([8_200, 90_000, 90_010])[0] == [None, None, 90_010]


@pytest.mark.parametrize("wick", [8_200, 45_000, 85_000, 91_500, 900_000])
def test_a_wick_is_never_published_and_nothing_is_left_of_it(wick):
    published, level = followed([*CALM, wick, 90_015, 90_020])
    assert published == [None, *CALM[1:], None, 90_015, 90_020]
    assert level.leaping_since is None


def test_wicks_that_take_turns_with_good_prices_are_never_published():
    assert followed([*CALM, *[8_200, 90_000] * 50])[0][4:] == [None, 90_000] * 50


def test_a_leap_is_known_from_its_first_sample_on_until_it_is_over():
    _, level = followed([*CALM, 8_200, 8_210])
    assert level.leaping_since == NOW + 4 * SECOND
    _, level = followed([*CALM, 8_200, None, None])
    assert level.leaping_since == NOW + 4 * SECOND


def test_a_new_level_is_confirmed_by_the_time_it_lasts_the_longer_the_further_it_is():
    def seconds_until_published(price):
        published, level = followed([*CALM, *[price] * 70])
        assert level.leaping_since is None
        return published[4:].index(price)

    assert seconds_until_published(89_000) == 4  # 1.1 % off: 3 s times 1.1
    assert seconds_until_published(87_300) == 10  # 3.1 %
    assert seconds_until_published(8_200) == 30


def test_an_earlier_index_counts_until_the_new_level_has_lasted_as_long_as_a_leap_so_far_would_have_to():
    def seconds_counting(*then):
        level = followed([90_000, 90_000, 90_000, *then])[1]
        start = NOW + (2 + len(then)) * SECOND
        spans = [level.span(limits=LIMITS, now=start + number * SECOND) for number in range(60)]
        assert {span.low for span in spans if span.high > span.low} <= {Decimal(then[-1])}
        return sum(span.high > span.low for span in spans)

    assert seconds_counting(89_200) == 3  # 0.9 %
    assert seconds_counting(None, None, 87_400) == 9  # 3 s times 2.97
    assert seconds_counting(*[None] * 400, 60_000, 60_000) == 30


@pytest.mark.parametrize(("coin", "seconds_longer"), [("BTC", 0), ("ETH", 62)])
def test_in_the_crash_of_2024_08_05_an_earlier_index_counts_for_three_seconds_but_in_its_worst_minute(
    coin, seconds_longer
):
    level, falling, longer = Level(), crash(coin), 0
    for number, price in enumerate(falling):
        now = NOW + number * SECOND
        level, _ = move(level, price, limits=LIMITS, now=now)
        if number > 30:
            span = level.span(limits=LIMITS, now=now)
            assert set(span) <= set(falling[number - 30 : number + 1])
            longer += not set(span) <= set(falling[number - 3 : number + 1])
    assert longer == seconds_longer


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_the_crash_of_2024_08_05_is_followed_and_at_its_own_speed_never_taken_for_a_leap(coin):
    prices = crash(coin)
    published, level = followed(prices)
    assert level.leaping_since is None
    assert published.count(None) == 1  # the very first


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
@pytest.mark.parametrize("times_as_fast", [10, 30])
def test_many_times_as_fast_it_is_followed_again_after_seconds(coin, times_as_fast):
    prices = [*crash(coin)[::times_as_fast], *[crash(coin)[-1]] * 30]
    published, level = followed(prices)
    assert level.leaping_since is None
    assert published[-1] == prices[-1]
    longest = max(len(run) for run in "".join("-" if p is None else " " for p in published).split())
    assert longest <= 45


def test_a_few_samples_of_a_new_level_confirm_nothing_however_late_they_come():
    far_apart = [*CALM, 88_000, None, None, None, None, 88_000, None, None, None, None, 88_000]
    assert followed(far_apart)[0][4:] == [None] * 11
    restless = [*CALM, *[88_000, 80_000, 70_000] * 10]
    assert followed(restless)[0][4:] == [None] * 30


def test_what_is_within_a_second_s_limit_but_far_from_the_last_seconds_is_a_leap():
    limits = replace(LIMITS, window_rate=Decimal("0.02"))
    steps = [round(90_000 * 1.009**number) for number in range(12)]
    published, _ = followed([90_000, 90_000, 90_000, 90_000, 90_000, *steps[1:]], limits=limits)
    assert published[5:8] == [*steps[1:3], None]


def test_after_a_pause_the_index_may_have_moved_by_more_but_not_beyond_the_window_s_limit():
    assert followed([*CALM, None, None, 88_300])[0][-1] == 88_300
    assert followed([*CALM, *[None] * 30, 86_000])[0][-1] is None


def test_a_level_of_long_ago_halts_nothing_and_begins_anew():
    _, level = followed(CALM)
    published, level = followed([None] * 400 + [60_000, 60_010], level=level)
    assert published[-2:] == [None, 60_010]
    assert level.leaping_since is None


def test_a_clock_that_jumps_back_stops_the_index_for_no_longer_than_a_leap():
    _, level = followed(CALM)
    for hour in (timedelta(hours=1), timedelta(minutes=1)):
        at = NOW - hour
        moved, published = level, []
        for _ in range(3):
            moved, is_published = move(moved, Decimal(90_020), limits=LIMITS, now=at)
            published.append(is_published)
            at += SECOND
        assert published[1:] == [True, True]
