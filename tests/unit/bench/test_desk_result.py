"""Slippage by cause: parts that add up to the whole, with the right sign, and what is had at which moment."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.desk_result import slippage
from tools.bench.desk_result.price_path import PricePath, Top
from tools.bench.desk_result.slippage import Settled

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
FEE_RATE = Decimal("0.001")


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


def path(*points: tuple[int, str, str]) -> PricePath:
    made = PricePath()
    for after, bid, ask in points:
        made.add(NOON + ms(after), Top(Decimal(bid), Decimal(ask)))
    return made


# Mids 100, 102, 105, 101; the order is placed at 0, sent at 20, executed at 50 ms.
RISING = path((-10, "99", "101"), (10, "101", "103"), (40, "104", "106"), (60, "100", "102"))
BUY = Settled(
    underlying="BTC",
    side="buy",
    coin=Decimal(2),
    index_price=Decimal(98),
    price=Decimal("106.5"),
    fee=Decimal("0.25"),
    placed_at=NOON,
    sent_at=NOON + ms(20),
    executed_at=NOON + ms(50),
)
SELL = replace(BUY, side="sell", price=Decimal("103.5"))


def test_a_buy_in_a_rising_market_loses_by_each_cause_what_the_price_moved_meanwhile():
    result = slippage.of([BUY], {"BTC": RISING}, fee_rate=FEE_RATE)

    assert (result.quote_age, result.wait, result.sending, result.spread_and_depth) == (-4, -4, -6, -3)
    assert result.slippage == -17 == 2 * (98 - Decimal("106.5"))
    assert result.fees == Decimal("-0.25")
    assert result.notional == 196


def test_a_sale_gains_what_a_buy_loses_but_for_the_spread():
    result = slippage.of([SELL], {"BTC": RISING}, fee_rate=FEE_RATE)

    assert (result.quote_age, result.wait, result.sending, result.spread_and_depth) == (4, 4, 6, -3)
    assert result.slippage == 11


def test_the_limit_is_the_touch_when_the_order_was_placed_and_alone_it_comes_an_answer_later():
    bought, sold = (slippage.of([each], {"BTC": RISING}, fee_rate=FEE_RATE) for each in (BUY, SELL))

    assert bought.limit == 2 * (98 - 101)
    assert sold.limit == 2 * (99 - 98)
    # 30 ms from sending to execution: at 30 ms bid and ask were 101 and 103.
    assert bought.order_by_order == 2 * (98 - 103)
    assert sold.order_by_order == 2 * (101 - 98)
    assert bought.order_by_order_fees == -FEE_RATE * 2 * 103


def test_nothing_settled_has_no_basis_points():
    figures = slippage.of([], {}, fee_rate=FEE_RATE).figures()

    assert figures["slippage"] == {"usdt": 0.0, "bp": None}


def test_gains_are_told_in_usdt_and_in_basis_points_of_the_notional():
    figures = slippage.of([BUY], {"BTC": RISING}, fee_rate=FEE_RATE).figures()

    assert figures["slippage"] == {"usdt": -17.0, "bp": -867.35}
    assert figures["orders"] == 1


prices = st.decimals(min_value=1, max_value=100_000, places=2)


@given(
    st.lists(st.tuples(st.integers(0, 100), prices), min_size=1, max_size=8),
    st.lists(
        st.tuples(st.sampled_from(["buy", "sell"]), prices, prices, st.integers(0, 50), st.integers(0, 50)),
        min_size=1,
        max_size=6,
    ),
)
def test_causes_add_up_to_what_lies_between_the_orders_price_and_the_settled_one(points, orders):
    market = path(*((after, str(price), str(price + 1)) for after, price in sorted(points)))
    settled = [
        replace(
            BUY,
            side=side,
            index_price=index_price,
            price=price,
            sent_at=NOON + ms(waited),
            executed_at=NOON + ms(waited + took),
        )
        for side, index_price, price, waited, took in orders
    ]

    result = slippage.of(settled, {"BTC": market}, fee_rate=FEE_RATE)

    assert result.slippage == sum(
        (each.index_price - each.price) * each.coin * (1 if each.side == "buy" else -1) for each in settled
    )


def test_a_path_tells_the_top_that_was_known_at_a_moment():
    assert RISING.at(NOON + ms(10)).mid == 102
    assert RISING.at(NOON + ms(39)).mid == 102
    assert RISING.at(NOON + ms(1_000)).mid == 101
    assert RISING.at(NOON - ms(1_000)).mid == 100


def test_a_path_without_a_price_says_so():
    with pytest.raises(LookupError, match="no price"):
        PricePath().at(NOON)


def test_a_price_that_comes_with_an_earlier_moment_does_not_go_back():
    market = path((0, "1", "2"), (-5, "3", "4"), (5, "3", "4"))

    assert market.moments == [NOON, NOON]
    assert market.at(NOON).bid == 3
