"""Which books the index believes, and what it makes of several."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from counter.market.index_bounds import Book, Cause, IndexBounds, agree, distance
from ledger.book_bounds import Flaw, flaw_of, middle

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BOUNDS = IndexBounds(
    most_spread_rate=Decimal("0.01"), most_age=timedelta(seconds=3), most_apart_rate=Decimal("0.005")
)


def book(source, price, *, age=0):
    return Book(source, f"{price - 1}", f"{price + 1}", NOW - timedelta(seconds=age))


def agreed(*books, reference=None):
    found = agree(books, reference=reference, bounds=BOUNDS, now=NOW)
    return found.price, {each.source: each.cause for each in found.rejected}


@pytest.mark.parametrize(
    ("bid", "ask", "flaw"),
    [
        ("89999", "90001", None),
        ("90000", "90000", None),
        ("900", "90001", Flaw.WIDE),
        ("89000", "90001", Flaw.WIDE),
        ("90001", "89999", Flaw.CROSSED),
        ("0", "90001", Flaw.ONE_SIDED),
        (None, "90001", Flaw.ONE_SIDED),
        ("89999", "", Flaw.ONE_SIDED),
        ("0.000000001", "90001", Flaw.ONE_SIDED),
        ("-1", "90001", Flaw.MALFORMED),
        ("NaN", "90001", Flaw.MALFORMED),
        ("sNaN", "90001", Flaw.MALFORMED),
        ("89999", "Infinity", Flaw.MALFORMED),
        ("1e999999", "1e999999", Flaw.MALFORMED),
        ("1000000000000", "1000000000000", Flaw.MALFORMED),
        ("ninety", "90001", Flaw.MALFORMED),
        ("9\0", "90001", Flaw.MALFORMED),
        ("89999." + "9" * 91, "90000." + "1" * 91, Flaw.MALFORMED),
        ("1e-999999", "90001", Flaw.ONE_SIDED),
    ],
)
def test_a_book_is_believed_for_more_than_its_form(bid, ask, flaw):
    assert flaw_of(bid, ask, most_spread_rate=Decimal("0.01")) == flaw


def test_the_middle_is_rounded_half_even_to_8_decimals():
    assert middle("0.00000001", "0.00000002") == Decimal("0.00000002")
    assert middle("0.00000002", "0.00000003") == Decimal("0.00000002")


def test_the_index_is_the_median_of_the_sources():
    assert agreed(book("a", 90_000), book("b", 90_010), book("c", 90_030)) == (Decimal(90_010), {})
    assert agreed(book("a", 90_000), book("b", 90_010)) == (Decimal(90_005), {})


def test_one_odd_source_of_three_discredits_itself_only():
    price, rejected = agreed(book("a", 90_000), book("b", 90_010), book("c", 8_200))
    assert (price, rejected) == (Decimal(90_005), {"c": Cause.APART})


def test_two_that_disagree_make_no_index_unless_the_last_seconds_say_which_is_right():
    assert agreed(book("a", 90_000), book("b", 8_200)) == (None, {"a": Cause.APART, "b": Cause.APART})
    price, rejected = agreed(book("a", 90_000), book("b", 8_200), reference=Decimal(90_020))
    assert (price, rejected) == (Decimal(90_000), {"b": Cause.APART})


def test_what_no_majority_agrees_on_is_split():
    def is_split(*books, reference=None):
        return agree(books, reference=reference, bounds=BOUNDS, now=NOW).is_split

    assert is_split(book("a", 90_000), book("b", 8_200), reference=Decimal(90_020))
    assert is_split(book("a", 90_000), book("b", 8_200))
    assert not is_split(book("a", 90_000), book("b", 90_010))
    assert not is_split(book("a", 90_000))
    assert not is_split(book("a", 90_000), book("b", 90_010), book("c", 8_200))
    assert is_split(
        *(book(name, price) for name, price in zip("abcd", (90_000, 90_010, 80_000, 80_010), strict=True))
    )


def test_the_last_seconds_do_not_outvote_sources_that_agree():
    assert agreed(book("a", 80_000), book("b", 80_010), reference=Decimal(90_000)) == (Decimal(80_005), {})


def test_a_book_that_is_too_old_or_from_the_future_does_not_count():
    assert agreed(book("a", 90_000, age=4), book("b", 90_010)) == (Decimal(90_010), {"a": Cause.UNTIMELY})
    assert agreed(book("a", 90_000, age=-4)) == (None, {"a": Cause.UNTIMELY})
    assert agreed(book("a", 90_000, age=3)) == (Decimal(90_000), {})


def test_a_distance_is_the_same_both_ways_and_grows_beyond_1_for_a_collapse():
    assert distance(Decimal(100), Decimal(110)) == distance(Decimal(110), Decimal(100)) == Decimal("0.1")
    assert distance(Decimal(90_000), Decimal(9_000)) == 9
