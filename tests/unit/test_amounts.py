"""Amounts in what commands print: thousands and no idle zeros, while names, times and ids stay as they are."""

from decimal import Decimal

import pytest

from ledger.amounts import amount_text, difference, readable


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("12345.50000000", "12,345.5"),
        ("0.00000001", "0.00000001"),
        ("-1000000", "-1,000,000"),
        ("0E-8", "0"),
        ("100", "100"),
    ],
)
def test_an_amount_keeps_every_digit_that_counts(amount, text):
    assert amount_text(Decimal(amount)) == text


def test_a_difference_has_its_sign():
    assert difference(Decimal("0.5")) == "+0.5"
    assert difference(Decimal("-1234.50")) == "-1,234.5"


@pytest.mark.parametrize(
    ("text", "readable_text"),
    [
        (
            "legs of 1234567.50000000 USDT, orders of 0.10000000 USDT",
            "legs of 1,234,567.5 USDT, orders of 0.1 USDT",
        ),
        (
            "stored 51000.000000, transfers add up to -50999.999999: +1 USDT",
            "stored 51,000, transfers add up to -50,999.999999: +1 USDT",
        ),
        ("conversion 1234567 is BOOKED without it", "conversion 1234567 is BOOKED without it"),
        ("at 2026-11-30T08:00:00.123456+00:00", "at 2026-11-30T08:00:00.123456+00:00"),
        ("127.0.0.1:8000 does not answer in 12.5 s", "127.0.0.1:8000 does not answer in 12.5 s"),
        ("buy 20000.00000000 at 90000.10000000", "buy 20,000 at 90,000.1"),
        ("BTC-25DEC26-90000-C", "BTC-25DEC26-90000-C"),
        ("150000 USDT", "150,000 USDT"),
    ],
)
def test_amounts_in_a_sentence_are_readable_and_nothing_else_is_touched(text, readable_text):
    assert readable(text) == readable_text
