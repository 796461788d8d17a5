"""Amounts as the trade page shows them: never better than they are."""

from decimal import ROUND_UP, Decimal

import pytest

from counter.pricing.formulas import AmountTooLarge
from trade import form_input, numbers
from trade.tickets import most_for


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


@pytest.mark.parametrize(
    ("fair", "amount", "is_paid", "shown"),
    [
        ("22.5", "22.6125", True, ("22.50", "+0.12", "22.62")),
        ("18", "17.91", False, ("18.00", "−0.09", "17.91")),
        ("0.004", "0.004001", True, ("0.00", "+0.01", "0.01")),
    ],
)
def test_fair_value_and_fee_add_up_to_the_amount_in_cents_too(fair, amount, is_paid, shown):
    made = numbers.sums(fair=Decimal(fair), amount=Decimal(amount), is_paid=is_paid)
    assert (made.fair, made.fee, made.total) == shown
    assert Decimal(made.exact_total) == Decimal(amount)
    digits = [Decimal(text.replace("−", "-")) for text in (made.fair, made.fee, made.total)]
    assert digits[0] + digits[1] == digits[2]


def test_the_most_contracts_for_an_amount_cost_no_more_than_it():
    def cost(contracts):  # 22.6125 each, rounded up as a whole
        return (Decimal("22.6125") * contracts).quantize(Decimal("0.000001"))

    assert most_for(Decimal("22.6124"), cost) == 0
    assert most_for(Decimal("22.6125"), cost) == 1
    assert most_for(Decimal("100"), cost) == 4
    assert most_for(Decimal(10**9), cost) == 1_000_000


def test_as_many_are_paid_for_as_their_own_rounding_lets():
    """Of one contract 0.000302 is charged for 0.0003012: ten USDT pay for 33,200, not for 10 / 0.000302."""

    def cost(contracts):
        if contracts > 500_000:
            raise AmountTooLarge("too large")
        return (Decimal("0.0003012") * contracts).quantize(Decimal("0.000001"), ROUND_UP)

    most = most_for(Decimal(10), cost)
    assert most == 33_200
    assert cost(most) <= 10 < cost(most + 1)
    assert most_for(Decimal(10**9), cost) == 500_000


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1234.5", Decimal("1234.5")),
        ("99999999999999.999999", Decimal("99999999999999.999999")),
        ("100000000000000", None),
        ("0.0000001", None),
    ],
)
def test_a_sum_is_one_that_an_order_can_name(text, amount):
    assert form_input.usdt({"usdt": text}, "usdt") == amount
