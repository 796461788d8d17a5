"""Amounts as the trade page shows them: never better than they are."""

from decimal import Decimal

import pytest

from trade import numbers


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("1234.5", "1,234.50"),
        ("0.000001", "0.000001"),
        ("25.125000", "25.125"),
        ("-3", "−3.00"),
        ("0", "0.00"),
    ],
)
def test_exact_shows_every_digit(amount, shown):
    assert numbers.exact(Decimal(amount)) == shown
    assert Decimal(numbers.full(Decimal(amount)).replace(",", "").replace("−", "-")) == Decimal(amount)


def test_a_price_is_rounded_up_and_proceeds_are_rounded_down():
    assert numbers.to_pay(Decimal("22.612001")) == "22.62"
    assert numbers.to_get(Decimal("17.919999")) == "17.91"


@pytest.mark.parametrize(("amount", "shown"), [("0.019", "+0.01"), ("-0.011", "−0.02"), ("0.001", "0.00")])
def test_gain_looks_no_better_than_it_is(amount, shown):
    assert numbers.gain(Decimal(amount)) == shown


@pytest.mark.parametrize(("amount", "shown"), [("0.019", "+0.02"), ("-0.001", "0.00"), ("-0.5", "−0.50")])
def test_an_example_is_rounded_to_the_nearest(amount, shown):
    assert numbers.near(Decimal(amount)) == shown


@pytest.mark.parametrize(("price", "shown"), [("90000.00000000", "90,000"), ("3000.125", "3,000.12")])
def test_level_has_decimals_only_if_it_needs_them(price, shown):
    assert numbers.level(Decimal(price)) == shown
