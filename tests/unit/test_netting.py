from decimal import Decimal, localcontext

import pytest

from settlement.netting.fill import FillTotals, SideInvalid
from settlement.netting.net import Carry, Demand, Lot, OrderDuplicated, plan, settle
from settlement.netting.units import AmountInvalid, NettingError, allocate, divide_half_even

D = Decimal
NO_CARRY = Carry(coin=D(0), usdt=D(0))
LOT = Lot(step=D("0.00001"), min_qty=D("0.00001"), max_qty=D(9000), min_notional=D(5))
PRICE = D(90000)


def buy(order_id, coin, fair="0"):
    return Demand(order_id, "buy", D(coin), D(fair))


def sell(order_id, coin, fair="0", payout="instant"):
    return Demand(order_id, "sell", D(coin), D(fair), payout)


def planned(*demands, carry=NO_CARRY, lot=LOT):
    return plan(demands=demands, carry=carry, lot=lot, reference_price=PRICE)


def settled(*demands, carry=NO_CARRY, fill=None, price=PRICE):
    return settle(demands=demands, carry=carry, fill=fill, price_if_unfilled=price)


def test_what_crosses_inside_the_desk_does_not_go_to_the_venue():
    made = planned(buy(1, "0.5"), sell(2, "0.2"), buy(3, "0.1"))
    assert (made.side, made.quantity) == ("buy", D("0.4"))
    assert (made.bought, made.sold, made.net, made.crossed) == (D("0.6"), D("0.2"), D("0.4"), D("0.2"))


def test_more_sold_than_bought_is_sold_at_the_venue():
    made = planned(buy(1, "0.1"), sell(2, "0.25"))
    assert (made.side, made.quantity, made.net) == ("sell", D("0.15"), D("-0.15"))


def test_the_quantity_is_rounded_down_to_the_lot_step():
    made = planned(buy(1, "0.12345678"))
    assert (made.quantity, made.net) == (D("0.12345"), D("0.12345678"))


def test_the_quantity_is_capped_at_the_largest_the_venue_takes():
    lot = Lot(step=D("0.00001"), min_qty=D("0.00001"), max_qty=D("0.100005"), min_notional=D(5))
    assert planned(buy(1, "7"), lot=lot).quantity == D("0.1")


@pytest.mark.parametrize(
    ("coin", "lot"),
    [
        ("0.00000999", LOT),  # below one step
        ("0.00005", LOT),  # 4.5 USDT, below the minimum notional
        ("0.4", Lot(step=D("0.1"), min_qty=D("0.5"), max_qty=D(10), min_notional=D(0))),
    ],
)
def test_what_the_venue_would_refuse_is_not_sent(coin, lot):
    made = planned(buy(1, coin), lot=lot)
    assert (made.side, made.quantity, made.net) == (None, D(0), D(coin))


def test_a_notional_of_exactly_the_minimum_is_sent():
    lot = Lot(step=D("0.00001"), min_qty=D("0.00001"), max_qty=D(10), min_notional=D("4.5"))
    assert planned(buy(1, "0.00005"), lot=lot).quantity == D("0.00005")


def test_carry_alone_is_bought_when_it_has_grown_large_enough():
    made = planned(carry=Carry(coin=D("0.00007"), usdt=D("6.3")))
    assert (made.side, made.quantity, made.bought, made.crossed) == ("buy", D("0.00007"), D(0), D(0))


def test_carry_of_the_other_side_crosses_with_the_orders():
    made = planned(buy(1, "0.5"), carry=Carry(coin=D("-0.5"), usdt=D("-45000")))
    assert (made.side, made.quantity, made.net) == (None, D(0), D(0))


def test_a_whole_fill_settles_every_order_at_its_average_price():
    fill = FillTotals("buy", coin=D("0.3"), usdt=D("27003"))
    done = settled(buy(1, "0.1", "9000"), buy(2, "0.2", "18010"), fill=fill)
    assert done.price == D(90010)
    assert [share.value for share in done.shares] == [D(9001), D(18002)]
    assert [share.due for share in done.shares] == [D(9000), D(18010)]
    assert [share.slippage for share in done.shares] == [D(-1), D(8)]
    assert done.slippage_total == D(7)
    assert done.carry_out == NO_CARRY
    assert (done.fee_total, done.price_rounding, done.carry_result) == (0, 0, 0)


def test_a_partial_fill_carries_the_rest_at_the_settlement_price():
    done = settled(buy(1, "0.3"), fill=FillTotals("buy", coin=D("0.1"), usdt=D(9001)))
    assert done.price == D(90010)
    assert done.carry_out == Carry(coin=D("0.2"), usdt=D(18002))


def test_without_a_fill_crossing_orders_settle_at_the_price_given():
    done = settled(buy(1, "0.3", "27000"), sell(2, "0.3", "26990"), price=D("89995.5"))
    assert [share.value for share in done.shares] == [D("26998.65"), D("26998.65")]
    assert [share.slippage for share in done.shares] == [D("1.35"), D("8.65")]
    assert done.carry_out == NO_CARRY


def test_an_empty_fill_is_no_fill():
    demands = [buy(1, "0.3", "27000")]
    assert settled(*demands, fill=FillTotals("buy", D(0), D(0))) == settled(*demands)


def test_carry_alone_settles_without_shares():
    carry = Carry(coin=D("0.00007"), usdt=D("6.30"))
    done = settled(carry=carry, fill=FillTotals("buy", D("0.00007"), D("6.37"), fee_usdt=D("0.01")))
    assert done.shares == ()
    assert done.carry_out == NO_CARRY
    assert done.carry_result == D("-0.07")
    assert done.fee_total == D("0.01")


def test_a_commission_taken_in_coin_is_a_fee_and_still_has_to_be_bought():
    done = settled(buy(1, "0.1"), fill=FillTotals("buy", D("0.1"), D(9000), fee_coin=D("0.0001")))
    assert done.carry_out == Carry(coin=D("0.0001"), usdt=D(9))
    assert (done.fee_total, done.fee_coin_value) == (D(9), D(9))


def test_a_commission_in_a_third_asset_is_shared_like_any_other():
    fill = FillTotals("sell", D("0.3"), D(27000), fee_other_usdt=D("20.25"))
    done = settled(sell(1, "0.1", "9000", "at_fill"), sell(2, "0.2", "18000", "at_fill"), fill=fill)
    assert [share.fee for share in done.shares] == [D("6.75"), D("13.5")]
    assert [share.due for share in done.shares] == [D("8993.25"), D("17986.5")]
    assert done.carry_out == NO_CARRY


def test_a_payout_at_fill_is_what_the_coin_brought_less_its_fee_rounded_down():
    fill = FillTotals("sell", D("0.00012345"), D("11.11050123"), fee_usdt=D("0.01111051"))
    done = settled(sell(1, "0.00012345", "11", "at_fill"), fill=fill)
    share = done.shares[0]
    assert share.value == D("11.11050123")
    assert share.due == D("11.099390")
    assert share.rounding == D("0.00000072")
    assert share.slippage == 0
    assert done.rounding_total == D("0.00000072")


def test_a_fee_above_the_value_is_the_desks_loss():
    fill = FillTotals("sell", D("0.00001"), D("0.9"), fee_usdt=D("1.5"))
    share = settled(sell(1, "0.00001", "0.9", "at_fill"), fill=fill).shares[0]
    assert (share.due, share.rounding, share.slippage) == (D("0.882"), D(0), D("-1.482"))


@pytest.mark.parametrize(
    ("sold_at", "due", "slippage"),
    [
        (90_000, "9000", "0"),
        (91_799, "9179.9", "0"),
        (91_801, "9180", "0.1"),
        (130_000, "9180", "3820"),
        (88_201, "8820.1", "0"),
        (88_199, "8820", "-0.1"),
        (10_000, "8820", "-7820"),
    ],
)
def test_a_payout_at_fill_stays_within_two_percent_of_what_was_quoted(sold_at, due, slippage):
    fill = FillTotals("sell", D("0.1"), D(sold_at) / 10)
    done = settled(sell(1, "0.1", "9000", "at_fill"), fill=fill)
    share = done.shares[0]
    assert (share.due, share.slippage, share.rounding) == (D(due), D(slippage), D(0))
    assert done.slippage_total == D(slippage)


def test_a_rebate_is_passed_on():
    fill = FillTotals("sell", D("0.1"), D(9000), fee_usdt=D("-0.9"))
    assert settled(sell(1, "0.1", "9000", "at_fill"), fill=fill).shares[0].due == D("9000.9")


def test_an_instant_payout_owes_the_quoted_value_at_any_fill():
    done = settled(sell(1, "0.1", "9100"), fill=FillTotals("sell", D("0.1"), D(8000), fee_usdt=D(8)))
    share = done.shares[0]
    assert (share.due, share.slippage, share.fee, share.rounding) == (D(9100), D(-1100), D(8), D(0))


def test_shares_stand_in_the_order_of_the_demands():
    assert [share.order_id for share in settled(buy(9, "1"), sell(3, "2"), buy(5, "3")).shares] == [9, 3, 5]


def test_the_ambient_decimal_context_has_no_say():
    demands = [buy(1, "12345.67891234"), sell(2, "0.33333333", "7", "at_fill")]
    fill = FillTotals("buy", D("12345.34557"), D("1111081101.30123457"))
    expected = settled(*demands, fill=fill)
    with localcontext() as ambient:
        ambient.prec = 3
        assert settled(*demands, fill=fill) == expected


def test_an_order_that_stands_twice_is_refused():
    with pytest.raises(OrderDuplicated):
        planned(buy(1, "1"), sell(1, "1"))


@pytest.mark.parametrize("coin", ["0", "-1", "0.000000001", "NaN", "sNaN", "Infinity"])
def test_coin_that_is_not_a_positive_amount_at_its_scale_is_refused(coin):
    with pytest.raises(AmountInvalid) as refused:
        planned(buy(1, coin))
    assert (refused.value.field, refused.value.code) == ("coin", "amount_invalid")


def test_a_float_is_refused():
    with pytest.raises(AmountInvalid):
        planned(Demand(1, "buy", 0.5, D(1)))


@pytest.mark.parametrize("fair", ["-1", "0.0000001", "NaN"])
def test_a_fair_value_that_is_not_customer_money_is_refused(fair):
    with pytest.raises(AmountInvalid):
        settled(buy(1, "1", fair))


@pytest.mark.parametrize(
    "fill",
    [
        FillTotals("buy", D(1), D(0)),
        FillTotals("buy", D(0), D(1)),
        FillTotals("buy", D(-1), D(-1)),
        FillTotals("sell", D(0), D(0), fee_usdt=D(1)),
        FillTotals("buy", D(10) ** 9, D("0.00000001")),
    ],
)
def test_a_fill_that_cannot_be_is_refused(fill):
    with pytest.raises(AmountInvalid, match="fill"):
        settled(buy(1, "1"), fill=fill)


def test_unknown_sides_and_payouts_are_refused():
    with pytest.raises(SideInvalid):
        planned(Demand(1, "hold", D(1), D(1)))
    with pytest.raises(SideInvalid):
        settled(Demand(1, "sell", D(1), D(1), "later"))
    with pytest.raises(SideInvalid):
        settled(buy(1, "1"), fill=FillTotals("hold", D(1), D(1)))
    assert issubclass(SideInvalid, NettingError)
    assert issubclass(AmountInvalid, NettingError)


def test_equal_remainders_go_to_the_lower_order_id():
    assert allocate(2, [1, 1, 1], [30, 10, 20]) == [0, 1, 1]
    assert allocate(-2, [1, 1, 1], [30, 10, 20]) == [-1, 0, -1]
    assert allocate(5, [], []) == []


@pytest.mark.parametrize(
    ("numerator", "expected"), [(15, 2), (25, 2), (-15, -2), (-25, -2), (26, 3), (-26, -3), (24, 2), (-4, 0)]
)
def test_division_rounds_half_to_even_on_both_sides_of_zero(numerator, expected):
    assert divide_half_even(numerator, 10) == expected
