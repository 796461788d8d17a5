"""What a host asks for in Retry-After, well-formed or not."""

import math

import pytest

from infra.exchange.host_breaker import (
    BANNED,
    FORBIDDEN,
    LONGEST_SECONDS,
    TOO_MANY,
    retry_after_seconds,
    small_number,
)

DATE = "Sun, 29 Nov 2026 12:00:00 GMT"
LATER = "Sun, 29 Nov 2026 12:02:00 GMT"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("60", 60),
        (" 1.5 ", 1.5),
        (LATER, 120),
        ("1000000000", LONGEST_SECONDS[BANNED]),
        ("1e300", LONGEST_SECONDS[BANNED]),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_SECONDS[BANNED]),
        *(
            (odd, None)
            for odd in ("", "0", "-5", "nan", "inf", "1e400", "soon", "1 minute", "Sun, 99 Nov 2026")
        ),
        (DATE, None),
        ("Sun, 29 Nov 2020 12:00:00 GMT", None),
    ],
)
def test_it_is_seconds_or_a_date_within_bounds_or_nothing(told, seconds):
    assert retry_after_seconds(BANNED, {"Retry-After": told, "Date": DATE}) == seconds


def test_nobody_but_who_bans_is_left_alone_for_days():
    for status in (TOO_MANY, FORBIDDEN, 503, None):
        assert retry_after_seconds(status, {"retry-after": "1000000000"}) == 3600
    assert retry_after_seconds(BANNED, {}) is None
    assert retry_after_seconds(TOO_MANY, {"Retry-After": "0"}) == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("120", 120),
        *((odd, None) for odd in ("", "-1", "1.5", "9" * 10, "9" * 5000, "\u0663", "1_0")),
    ],
)
def test_a_count_in_a_header_is_a_small_number_or_nothing(text, number):
    assert small_number(text) == number
    assert number is None or math.isfinite(number)
