"""Gains against a benchmark, by hand: the sign, the basis points and the mean weighted by notional."""

from decimal import Decimal

import pytest

from settlement.conversions.execution.gains import Gain, gain

# 2 coin for 181,000 USDT against 90,000: 180,000 - 181,000 = -1,000; 10,000 * -1,000 / 180,000 = -55.555...
BOUGHT = {"coin": Decimal(2), "usdt": Decimal(181_000), "benchmark": Decimal(90_000)}


def test_a_buy_above_the_benchmark_loses_and_a_sale_above_it_gains():
    bought, sold = gain(side="buy", **BOUGHT), gain(side="sell", **BOUGHT)
    assert (bought.usdt, bought.notional, bought.basis_points) == (-1000, 180_000, Decimal("-55.56"))
    assert (sold.usdt, sold.notional, sold.basis_points) == (1000, 180_000, Decimal("55.56"))


def test_of_several_the_mean_is_weighted_by_notional():
    # Alone it gains 3 of 3,003: 9.99 bps. Together: 10,000 * (-1,000 + 3) / (180,000 + 3,003) = -54.479... bps.
    small = gain(side="buy", coin=Decimal(1), usdt=Decimal(3000), benchmark=Decimal(3003))
    assert small.basis_points == Decimal("9.99")
    both = gain(side="buy", **BOUGHT) + small
    assert (both.usdt, both.notional, both.conversions) == (-997, 183_003, 2)
    assert both.basis_points == Decimal("-54.48")


@pytest.mark.parametrize(
    ("usdt", "points"),
    [("100.000500", "-0.05"), ("100.00005", "0.00"), ("100.00015", "-0.02"), ("99", "100")],
)
def test_basis_points_are_rounded_once_half_even(usdt, points):
    found = gain(side="buy", coin=Decimal(1), usdt=Decimal(usdt), benchmark=Decimal(100)).basis_points
    assert found == Decimal(points)


def test_nothing_measured_has_no_basis_points():
    assert Gain().basis_points is None


@pytest.mark.parametrize(
    "wrong",
    [{"side": ""}, {"side": "BUY"}, {"coin": Decimal(0)}, {"usdt": Decimal(-1)}, {"benchmark": Decimal(0)}],
)
def test_what_cannot_be_measured_is_refused(wrong):
    with pytest.raises(ValueError, match="nothing to measure"):
        gain(**{"side": "buy", **BOUGHT, **wrong})
