"""The settlement index: within what was recorded, moved by no burst, and never given where the record has a gap."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from counter.expiring.index_average import WINDOW, Sample, average_of, what_lacks

EXPIRES_AT = datetime(2026, 12, 4, 8, tzinfo=UTC)
STARTS_AT = EXPIRES_AT - WINDOW
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
UNIT = Decimal("0.00000001")

prices = st.decimals(min_value=1, max_value=10**9, places=8)
offsets = st.integers(0, WINDOW // timedelta(milliseconds=1) - 1)
samples = st.lists(
    st.builds(
        lambda offset, price: Sample(STARTS_AT + timedelta(milliseconds=offset), price), offsets, prices
    ),
    min_size=1,
    max_size=60,
)


def enough(found):
    return what_lacks(found, least_minutes=27, most_gap=120 * SECOND) == ""


@given(samples)
def test_the_average_lies_among_what_was_recorded_and_has_eight_decimals(recorded):
    found = average_of(recorded, expires_at=EXPIRES_AT)
    assert found.price is not None
    assert min(recorded, key=lambda sample: sample.price).price - UNIT <= found.price
    assert found.price <= max(recorded, key=lambda sample: sample.price).price + UNIT
    assert found.price.as_tuple().exponent == -8
    assert found.samples == len(recorded)
    assert (found.first_at, found.last_at) == (min(recorded).at, max(recorded).at)


@given(samples, st.randoms())
def test_the_order_of_the_record_and_what_lies_outside_of_the_window_do_not_matter(recorded, random):
    shuffled = random.sample(recorded, len(recorded))
    outside = [Sample(EXPIRES_AT, Decimal(1)), Sample(STARTS_AT - SECOND / 1000, Decimal(10**9))]
    one, other = (average_of(some, expires_at=EXPIRES_AT) for some in (recorded, [*shuffled, *outside]))
    assert one == other


@given(st.lists(prices, min_size=30, max_size=30), st.integers(0, 29), st.integers(2, 200))
def test_a_minute_of_many_samples_weighs_no_more_than_one_of_a_single(of_minutes, burst, times):
    once = [Sample(STARTS_AT + minute * MINUTE, price) for minute, price in enumerate(of_minutes)]
    more = [Sample(once[burst].at + n * SECOND / 10, once[burst].price) for n in range(1, times)]
    found = average_of([*once, *more], expires_at=EXPIRES_AT)
    assert found.price == average_of(once, expires_at=EXPIRES_AT).price
    # Not by the thread's context: half-even, once.
    units = round(sum(map(Fraction, of_minutes)) / 30 / Fraction(UNIT))
    assert Fraction(found.price) == units * Fraction(UNIT)
    assert found.minutes == 30


@given(samples)
def test_the_largest_gap_is_the_longest_time_without_a_sample(recorded):
    found = average_of(recorded, expires_at=EXPIRES_AT)
    inside = {sample.at for sample in recorded} | {STARTS_AT, EXPIRES_AT}
    ordered = sorted(inside)
    longest = max(b - a for a, b in itertools.pairwise(ordered))
    assert found.largest_gap == longest


def recorded_but(*left_out):
    """A sample each second, none in these seconds of the half hour."""
    without = set(left_out)
    return average_of(
        [Sample(STARTS_AT + n * SECOND, Decimal(90_000)) for n in range(1800) if n not in without],
        expires_at=EXPIRES_AT,
    )


def test_a_gap_is_for_people_wherever_it_lies():
    assert enough(recorded_but())
    assert enough(recorded_but(*range(600, 700)))
    for first in (0, 600, 1800 - 121):
        assert not enough(recorded_but(*range(first, first + 121))), first
    assert not enough(recorded_but(*(n for n in range(1800) if n // 60 in (3, 9, 14, 20))))
    assert not enough(average_of([], expires_at=EXPIRES_AT))
