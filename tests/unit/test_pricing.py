from decimal import Decimal, localcontext

import pytest

from counter.pricing.formulas import (
    AmountTooLarge,
    InvalidPricingInput,
    close_proceeds,
    exercise_proceeds,
    open_cost,
    payoff_coin,
)

OPEN = {
    "contracts": 7,
    "multiplier": Decimal("0.01"),
    "ask_premium": Decimal("0.012345"),
    "index": Decimal("91234.56"),
    "spread_rate": Decimal("0.002"),
}
CLOSE = {**{k: v for k, v in OPEN.items() if k != "ask_premium"}, "bid_premium": Decimal("0.012345")}


def test_an_open_order_costs_its_fair_value_and_the_spread_rounded_up():
    price = open_cost(**OPEN)
    # 7 * 0.01 * 0.012345 = 0.00086415 coin; * 91234.56 = 78.840345024; * 1.002 = 78.998025714048
    assert price.coin == Decimal("0.00086415")
    assert price.fair == Decimal("78.840345")
    assert price.cost == Decimal("78.998026")
    assert price.spread == Decimal("0.157681")


def test_a_close_order_yields_its_fair_value_less_the_spread_rounded_down():
    price = close_proceeds(**CLOSE)
    assert (price.coin, price.fair) == (Decimal("0.00086415"), Decimal("78.840345"))
    assert price.proceeds == Decimal("78.682664")  # 78.840345024 * 0.998 = 78.682664333952
    assert price.spread == Decimal("0.157681")


def test_coin_rounds_up_on_open_and_down_on_close_when_a_premium_is_finer_than_the_scale():
    fine = Decimal("0.0000014")
    assert open_cost(**{**OPEN, "contracts": 1, "ask_premium": fine}).coin == Decimal("0.00000002")
    assert close_proceeds(**{**CLOSE, "contracts": 1, "bid_premium": fine}).coin == Decimal("0.00000001")


def test_fair_value_rounds_half_to_even():
    tie = {"contracts": 1, "multiplier": Decimal("0.01"), "spread_rate": Decimal(0)}
    low = open_cost(**tie, ask_premium=Decimal("0.0001"), index=Decimal("1.5"))
    high = open_cost(**tie, ask_premium=Decimal("0.0001"), index=Decimal("2.5"))
    assert (low.fair, high.fair) == (Decimal("0.000002"), Decimal("0.000002"))
    assert (low.cost, high.cost) == (Decimal("0.000002"), Decimal("0.000003"))


def test_the_ambient_decimal_context_has_no_say():
    expected = (open_cost(**OPEN), close_proceeds(**CLOSE))
    with localcontext() as ambient:
        ambient.prec = 2
        ambient.rounding = "ROUND_CEILING"
        assert (open_cost(**OPEN), close_proceeds(**CLOSE)) == expected


@pytest.mark.parametrize(
    ("kind", "strike", "index", "expected"),
    [
        ("C", "90000", "100000", "0.00300000"),  # 10000 / 100000 * 3 * 0.01
        ("P", "90000", "100000", "0"),
        ("P", "90000", "80000", "0.00375000"),
        ("C", "90000", "80000", "0"),
        ("C", "90000", "90000", "0"),
        ("P", "90000", "90000", "0"),
        ("C", "90000", "90001", "0.00000033"),  # 0.03 / 90001 = 0.000000333...
    ],
)
def test_an_inverse_option_pays_its_intrinsic_value_in_coin_rounded_down(kind, strike, index, expected):
    payoff = payoff_coin(
        kind=kind,
        strike=Decimal(strike),
        settlement_index=Decimal(index),
        contracts=3,
        multiplier=Decimal("0.01"),
    )
    assert payoff == Decimal(expected)
    assert payoff.as_tuple().exponent == -8


def test_an_exercise_pays_the_coin_payoff_at_the_settlement_index():
    price = exercise_proceeds(
        kind="C",
        strike=Decimal(90000),
        settlement_index=Decimal(100000),
        contracts=3,
        multiplier=Decimal("0.01"),
    )
    assert (price.coin, price.fair, price.proceeds) == (Decimal("0.003"), Decimal(300), Decimal(300))
    assert price.spread == 0


@pytest.mark.parametrize(
    "bad", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal(0), Decimal(-1)]
)
@pytest.mark.parametrize("field", ["multiplier", "ask_premium", "index"])
def test_an_amount_that_is_not_positive_and_finite_is_refused_by_name(field, bad):
    with pytest.raises(InvalidPricingInput, match=field) as refused:
        open_cost(**{**OPEN, field: bad})
    assert refused.value.field == field
    assert refused.value.code == "invalid_pricing_input"


@pytest.mark.parametrize("field", ["multiplier", "ask_premium", "index", "spread_rate"])
def test_a_float_is_refused(field):
    with pytest.raises(InvalidPricingInput, match=field):
        open_cost(**{**OPEN, field: 0.5})


@pytest.mark.parametrize("contracts", [0, -1, True, 1.0, Decimal(1), "1"])
def test_contracts_are_a_positive_whole_number(contracts):
    with pytest.raises(InvalidPricingInput, match="contracts"):
        close_proceeds(**{**CLOSE, "contracts": contracts})


@pytest.mark.parametrize("rate", [Decimal("-0.000001"), Decimal(1), Decimal("NaN"), Decimal("Infinity")])
def test_a_spread_rate_outside_zero_to_one_is_refused(rate):
    with pytest.raises(InvalidPricingInput, match="spread_rate"):
        close_proceeds(**{**CLOSE, "spread_rate": rate})


def test_an_unknown_option_kind_is_refused():
    with pytest.raises(InvalidPricingInput, match="kind"):
        payoff_coin(
            kind="X",
            strike=Decimal(1),
            settlement_index=Decimal(1),
            contracts=1,
            multiplier=Decimal(1),
        )


def test_an_amount_beyond_the_precision_is_refused_not_rounded():
    with pytest.raises(AmountTooLarge):
        open_cost(**{**OPEN, "index": Decimal("1E+60")})
    with pytest.raises(AmountTooLarge):
        open_cost(**{**OPEN, "spread_rate": Decimal("1E-99")})
