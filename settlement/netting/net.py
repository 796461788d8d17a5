"""Net the orders of one coin into one venue order, and give each order its exact share of what the venue did.

No value is made or lost: shares add up to the fill and the carry to the last digit, and what rounding
leaves is a figure of its own. `docs/decisions/netting.md` has the formulas and the ledger legs they close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from counter.contracts import AT_FILL_TOLERANCE_RATE
from settlement.netting.fill import FillTotals, Side, SideInvalid, executed
from settlement.netting.units import (
    UNITS_PER_ONE,
    AmountInvalid,
    NettingError,
    allocate,
    to_amount,
    to_positive_units,
    to_units,
    value_units,
)

Payout = Literal["instant", "at_fill"]

_PAYOUT_UNITS = 100  # customers hold USDT at 6 decimals
_TOLERANCE, _WHOLE = AT_FILL_TOLERANCE_RATE.as_integer_ratio()


class OrderDuplicated(NettingError):
    """The same order stands in the batch twice."""

    code = "order_duplicated"


class Demand(NamedTuple):
    """What one accepted order needs: an open has `coin` bought, a close has it sold.

    `coin` has 8 decimals, `fair` is the USDT value quoted to the customer (6). `payout` concerns sells alone:
    at once, the fair value; or at fill, what the coin really brought.
    """

    # A tuple, as a share is: a batch makes thousands of these, and a frozen dataclass takes three times as long.

    order_id: int
    side: Side
    coin: Decimal
    fair: Decimal
    payout: Payout = "instant"


@dataclass(frozen=True, slots=True)
class Carry:
    """Coin the desk still has to buy (negative: to sell) from before, and its USDT value at that time."""

    coin: Decimal
    usdt: Decimal


@dataclass(frozen=True, slots=True)
class Lot:
    """The venue's filters for a market, in coin and (`min_notional`) USDT."""

    step: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send to the venue: `side` is None and `quantity` 0 when nothing can be; the rest is carried."""

    side: Side | None
    quantity: Decimal
    bought: Decimal
    sold: Decimal
    net: Decimal
    crossed: Decimal


class Share(NamedTuple):
    """One order's part of a settlement, in USDT.

    `value` is its coin at the settlement price, `fee` its part of the commissions, `due` (6 decimals) what
    counter owes the desk (a buy) or the desk owes counter (a sell). `rounding` is what a payout at fill
    leaves over; `slippage` is the desk's gain between the quoted and the settled value, of a payout at fill what
    goes beyond its bounds.
    """

    order_id: int
    value: Decimal
    fee: Decimal
    due: Decimal
    rounding: Decimal
    slippage: Decimal


@dataclass(frozen=True, slots=True)
class ConversionResult:
    """How a conversion ended: price, shares in the order of the demands, carry, and the totals for the books.

    `bought_value - sold_value == fill usdt (+ bought, - sold) + (carry_out.usdt - carry.usdt) + carry_result
    - fee_coin_value + price_rounding`, exactly. `price_rounding` is what the price's 8 decimals leave over,
    `carry_result` the desk's gain on the coin carried in. The totals are those of the shares.
    """

    price: Decimal
    shares: tuple[Share, ...]
    bought_value: Decimal
    sold_value: Decimal
    carry_out: Carry
    fee_total: Decimal
    fee_coin_value: Decimal
    slippage_total: Decimal
    carry_result: Decimal
    rounding_total: Decimal
    price_rounding: Decimal


def plan(*, demands: Sequence[Demand], carry: Carry, lot: Lot, reference_price: Decimal) -> Plan:
    """Net `demands` and `carry` into at most one venue order.

    Net coin is bought less sold plus carried. The quantity is its size, capped at `max_qty` and rounded down
    to the lot step, or 0 below `min_qty` or, at `reference_price` USDT per coin, below `min_notional`.

    Raises: AmountInvalid, SideInvalid, OrderDuplicated.
    """
    coins = _coins(demands)
    bought, sold = _totals(demands, coins)
    net = bought - sold + to_units(carry.coin, "carry.coin")
    quantity = _lot_quantity(abs(net), lot, reference_price)
    side: Side | None = None
    if quantity:
        side = "buy" if net > 0 else "sell"
    return Plan(
        side=side,
        quantity=to_amount(quantity),
        bought=to_amount(bought),
        sold=to_amount(sold),
        net=to_amount(net),
        crossed=to_amount(min(bought, sold)),
    )


def settle(
    *, demands: Sequence[Demand], carry: Carry, fill: FillTotals | None, price_if_unfilled: Decimal
) -> ConversionResult:
    """Settle every demand at one price and work out what is carried on.

    The price is the fill's average, to 8 decimals half-even, or `price_if_unfilled` (USDT per coin, at most 8
    decimals) when nothing was executed. Values and fees are allocated by coin. Without orders the fees stay
    with the desk.

    Raises: AmountInvalid, SideInvalid, OrderDuplicated.
    """
    coins = _coins(demands)
    bought, sold = _totals(demands, coins)
    carried = to_units(carry.coin, "carry.coin")
    carried_usdt = to_units(carry.usdt, "carry.usdt")
    execution = executed(fill)
    price = execution.price or to_positive_units(price_if_unfilled, "price_if_unfilled")

    net = bought - sold
    net_value = value_units(net, price)
    carried_on = carried + net - execution.coin + execution.fee_coin
    sold_value = value_units(sold, price)
    bought_value = sold_value + net_value
    fee_coin_value = value_units(execution.fee_coin, price)
    fee_total = execution.fee_usdt + fee_coin_value + execution.fee_other_usdt
    revalued = value_units(carried, price)
    carried_on_usdt = value_units(carried_on, price)

    values = _values_by_order(demands, coins, bought_value=bought_value, sold_value=sold_value)
    fees = allocate(fee_total, coins, [demand.order_id for demand in demands])
    shares, slippage, rounding = _shares(demands, values, fees)
    return ConversionResult(
        price=to_amount(price),
        shares=shares,
        bought_value=to_amount(bought_value),
        sold_value=to_amount(sold_value),
        carry_out=Carry(coin=to_amount(carried_on), usdt=to_amount(carried_on_usdt)),
        fee_total=to_amount(fee_total),
        fee_coin_value=to_amount(fee_coin_value),
        slippage_total=to_amount(slippage),
        carry_result=to_amount(carried_usdt - revalued),
        rounding_total=to_amount(rounding),
        price_rounding=to_amount(revalued + net_value + fee_coin_value - carried_on_usdt - execution.usdt),
    )


def _coins(demands: Sequence[Demand]) -> list[int]:
    if len({demand.order_id for demand in demands}) != len(demands):
        raise OrderDuplicated("an order stands in the batch twice")
    return [to_positive_units(demand.coin, "coin") for demand in demands]


def _totals(demands: Sequence[Demand], coins: Sequence[int]) -> tuple[int, int]:
    bought = sold = 0
    for demand, coin in zip(demands, coins, strict=True):
        if demand.side == "buy":
            bought += coin
        elif demand.side == "sell":
            sold += coin
        else:
            raise SideInvalid(f"side must be 'buy' or 'sell', got {demand.side!r}")
    return bought, sold


def _lot_quantity(size: int, lot: Lot, reference_price: Decimal) -> int:
    step = to_positive_units(lot.step, "lot.step")
    price = to_positive_units(reference_price, "reference_price")
    capped = min(size, to_positive_units(lot.max_qty, "lot.max_qty"))
    quantity = capped - capped % step
    if quantity < to_units(lot.min_qty, "lot.min_qty"):
        return 0
    if quantity * price < to_units(lot.min_notional, "lot.min_notional") * UNITS_PER_ONE:
        return 0
    return quantity


def _values_by_order(
    demands: Sequence[Demand], coins: Sequence[int], *, bought_value: int, sold_value: int
) -> list[int]:
    values = [0] * len(demands)
    for side, total in (("buy", bought_value), ("sell", sold_value)):
        places = [place for place, demand in enumerate(demands) if demand.side == side]
        parts = allocate(
            total, [coins[place] for place in places], [demands[place].order_id for place in places]
        )
        for place, part in zip(places, parts, strict=True):
            values[place] = part
    return values


def _shares(
    demands: Sequence[Demand], values: Sequence[int], fees: Sequence[int]
) -> tuple[tuple[Share, ...], int, int]:
    shares: list[Share] = []
    slippage_total = rounding_total = 0
    for demand, value, fee in zip(demands, values, fees, strict=True):
        slippage = rounding = 0
        if demand.side == "sell" and demand.payout == "at_fill":
            due = _paid_at_fill(value - fee, demand)
            left = value - fee - due
            # Less than a unit is what rounding down leaves; more, either way, is beyond the bounds and the desk's.
            slippage, rounding = (0, left) if 0 <= left < _PAYOUT_UNITS else (left, 0)
        else:
            due = _fair_units(demand)
            slippage = due - value if demand.side == "buy" else value - due
        slippage_total += slippage
        rounding_total += rounding
        shares.append(
            Share(
                order_id=demand.order_id,
                value=to_amount(value),
                fee=to_amount(fee),
                due=to_amount(due),
                rounding=to_amount(rounding),
                slippage=to_amount(slippage),
            )
        )
    return tuple(shares), slippage_total, rounding_total


def _paid_at_fill(brought: int, demand: Demand) -> int:
    """What the coin brought, rounded down to what customers hold, within AT_FILL_TOLERANCE_RATE of the fair value."""
    fair = _fair_units(demand)
    tolerance = fair * _TOLERANCE // _WHOLE
    bounded = min(max(brought, fair - tolerance), fair + tolerance)
    return bounded // _PAYOUT_UNITS * _PAYOUT_UNITS


def _fair_units(demand: Demand) -> int:
    if demand.side == "sell" and demand.payout not in ("instant", "at_fill"):
        raise SideInvalid(f"payout must be 'instant' or 'at_fill', got {demand.payout!r}")
    units = to_units(demand.fair, "fair")
    if units < 0 or units % _PAYOUT_UNITS:
        raise AmountInvalid(field="fair", value=demand.fair, expected="non-negative with at most 6 decimals")
    return units
