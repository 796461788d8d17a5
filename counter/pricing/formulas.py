"""Price an order in USDT: coin, fair value, spread, cost, proceeds and payoff.

Every amount is computed exactly and rounded once: a cost rounds up and proceeds round down, and
`fair + spread == cost` and `fair - spread == proceeds` hold to the last digit.
"""

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Decimal, DecimalException
from typing import Literal

import msgspec

from ledger.decimals import EXACT, ROUNDED, quotient

USDT_UNIT = Decimal("0.000001")
COIN_UNIT = Decimal("0.00000001")

OptionKind = Literal["C", "P"]

_TOO_LARGE = "the order's amounts have more digits than a price can carry"
_ZERO = Decimal(0)
_NO_COIN = Decimal("0.00000000")
_NO_USDT = Decimal("0.000000")
_ONE = Decimal(1)


class PricingError(ValueError):
    """The order cannot be priced."""

    code = "pricing_error"


class InvalidPricingInput(PricingError):
    """An input is of the wrong type, not finite, or outside its range."""

    code = "invalid_pricing_input"

    def __init__(self, *, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field} must be {expected}, got {value!r}")
        self.field = field


class AmountTooLarge(PricingError):
    """The amounts have more digits than a price can carry."""

    code = "amount_too_large"


class OpenPrice(msgspec.Struct, frozen=True):
    """What an open order takes: premium in coin, and in USDT its fair value, the spread and the cost."""

    coin: Decimal
    fair: Decimal
    spread: Decimal
    cost: Decimal


class ClosePrice(msgspec.Struct, frozen=True):
    """What a close or an exercise gives: premium in coin, and in USDT fair value, spread and proceeds."""

    coin: Decimal
    fair: Decimal
    spread: Decimal
    proceeds: Decimal


def open_cost(
    *,
    contracts: int,
    multiplier: Decimal,
    ask_premium: Decimal,
    index: Decimal,
    spread_rate: Decimal,
    impact: Decimal = _ZERO,
) -> OpenPrice:
    """Price an open order of whole `contracts`.

    `multiplier` is coin per contract, `ask_premium` coin per coin of underlying, `index` USDT per coin and
    `spread_rate` a fraction in [0, 1) of the fair value and of `impact`, the USDT that the order's size is charged
    (`counter.pricing.impact`). Coin (8 decimals) and cost (6) round up, the fair value half-even.

    Raises: InvalidPricingInput, AmountTooLarge.
    """
    _check_order(contracts, multiplier, index)
    _check_positive("ask_premium", ask_premium)
    _check_rate(spread_rate)
    _check_impact(impact)
    try:
        premium = EXACT.multiply(EXACT.multiply(multiplier, contracts), ask_premium)
        coin = premium.quantize(COIN_UNIT, ROUND_UP, ROUNDED)
        exact = EXACT.multiply(coin, index)
        fair = exact.quantize(USDT_UNIT, ROUND_HALF_EVEN, ROUNDED)
        charged = EXACT.add(exact, impact)
        cost = EXACT.fma(charged, spread_rate, charged).quantize(USDT_UNIT, ROUND_UP, ROUNDED)
        return OpenPrice(coin, fair, EXACT.subtract(cost, fair), cost)
    except DecimalException as error:
        raise AmountTooLarge(_TOO_LARGE) from error


def close_proceeds(
    *,
    contracts: int,
    multiplier: Decimal,
    bid_premium: Decimal,
    index: Decimal,
    spread_rate: Decimal,
    impact: Decimal = _ZERO,
) -> ClosePrice:
    """Price a close order of whole `contracts`; units as in `open_cost`. Coin and proceeds round down, to 0 at least.

    Raises: InvalidPricingInput, AmountTooLarge.
    """
    _check_order(contracts, multiplier, index)
    _check_positive("bid_premium", bid_premium)
    _check_rate(spread_rate)
    _check_impact(impact)
    try:
        premium = EXACT.multiply(EXACT.multiply(multiplier, contracts), bid_premium)
        return _sell(premium.quantize(COIN_UNIT, ROUND_DOWN, ROUNDED), index, spread_rate, impact)
    except DecimalException as error:
        raise AmountTooLarge(_TOO_LARGE) from error


def close_at_fill(
    *,
    contracts: int,
    multiplier: Decimal,
    bid_premium: Decimal,
    index: Decimal,
    protective_rate: Decimal,
    tolerance_rate: Decimal,
    impact: Decimal = _ZERO,
) -> ClosePrice:
    """Price a close that is paid what its coin brings; units as in `close_proceeds`.

    `impact`, in coin at the index, and then `protective_rate`, a fraction in [0, 1), are taken off the coin that is
    sold. There is no spread, and `proceeds` is the least that will be paid: the fair value less `tolerance_rate` of it.
    Coin and proceeds round down, to 0 at least.

    Raises: InvalidPricingInput, AmountTooLarge.
    """
    _check_order(contracts, multiplier, index)
    _check_positive("bid_premium", bid_premium)
    _check_rate(protective_rate, field="protective_rate")
    _check_rate(tolerance_rate, field="tolerance_rate")
    _check_impact(impact)
    try:
        premium = EXACT.multiply(EXACT.multiply(multiplier, contracts), bid_premium)
        if impact:
            charged = quotient(impact, index, unit=COIN_UNIT, rounding=ROUND_CEILING)
            premium = max(EXACT.subtract(premium, charged), _ZERO)
        kept = EXACT.subtract(premium, EXACT.multiply(premium, protective_rate))
        sold = _sell(kept.quantize(COIN_UNIT, ROUND_DOWN, ROUNDED), index, _ZERO)
        least = EXACT.subtract(sold.fair, EXACT.multiply(sold.fair, tolerance_rate))
        return ClosePrice(sold.coin, sold.fair, _NO_USDT, least.quantize(USDT_UNIT, ROUND_DOWN, ROUNDED))
    except DecimalException as error:
        raise AmountTooLarge(_TOO_LARGE) from error


def payoff_coin(
    *, kind: OptionKind, strike: Decimal, settlement_index: Decimal, contracts: int, multiplier: Decimal
) -> Decimal:
    """Return what an inverse option pays at expiry, in coin, rounded down to 8 decimals; 0 out of the money.

    Call max(0, S-K)/S, put max(0, K-S)/S, times contracts and multiplier: a coin-margined contract pays its
    USD intrinsic value in coin at the settlement index S.

    Raises: InvalidPricingInput, AmountTooLarge.
    """
    _check_order(contracts, multiplier, settlement_index, index_field="settlement_index")
    _check_positive("strike", strike)
    if kind not in ("C", "P"):
        raise InvalidPricingInput(field="kind", value=kind, expected="'C' or 'P'")
    in_the_money = settlement_index > strike if kind == "C" else strike > settlement_index
    if not in_the_money:
        return _NO_COIN
    try:
        intrinsic = EXACT.abs(EXACT.subtract(settlement_index, strike))
        total = EXACT.multiply(intrinsic, EXACT.multiply(multiplier, contracts))
        # Truncating a truncated quotient is one truncation, so the division's own precision cannot show.
        return ROUNDED.divide(total, settlement_index).quantize(COIN_UNIT, ROUND_DOWN, ROUNDED)
    except DecimalException as error:
        raise AmountTooLarge(_TOO_LARGE) from error


def exercise_proceeds(
    *, kind: OptionKind, strike: Decimal, settlement_index: Decimal, contracts: int, multiplier: Decimal
) -> ClosePrice:
    """Return the payoff of an expired option and its USDT value at the settlement index; no spread rate.

    The spread field is then only what rounding down left, under one USDT unit.

    Raises: InvalidPricingInput, AmountTooLarge.
    """
    coin = payoff_coin(
        kind=kind,
        strike=strike,
        settlement_index=settlement_index,
        contracts=contracts,
        multiplier=multiplier,
    )
    try:
        return _sell(coin, settlement_index, _ZERO)
    except DecimalException as error:
        raise AmountTooLarge(_TOO_LARGE) from error


def _sell(coin: Decimal, index: Decimal, spread_rate: Decimal, impact: Decimal = _ZERO) -> ClosePrice:
    exact = EXACT.multiply(coin, index)
    fair = exact.quantize(USDT_UNIT, ROUND_HALF_EVEN, ROUNDED)
    charged = max(EXACT.subtract(exact, impact), _ZERO)
    kept = EXACT.subtract(charged, EXACT.multiply(charged, spread_rate))
    proceeds = kept.quantize(USDT_UNIT, ROUND_DOWN, ROUNDED)
    return ClosePrice(coin, fair, EXACT.subtract(fair, proceeds), proceeds)


def _check_order(contracts: int, multiplier: Decimal, index: Decimal, *, index_field: str = "index") -> None:
    if type(contracts) is not int or contracts <= 0:
        raise InvalidPricingInput(field="contracts", value=contracts, expected="a positive int")
    _check_positive("multiplier", multiplier)
    _check_positive(index_field, index)


def _check_positive(field: str, value: Decimal) -> None:
    # is_finite first: comparing a NaN raises, or answers by the thread's own decimal context.
    if type(value) is not Decimal or not value.is_finite() or value <= _ZERO:
        raise InvalidPricingInput(field=field, value=value, expected="a positive finite Decimal")


def _check_impact(value: Decimal) -> None:
    if type(value) is not Decimal or not value.is_finite() or value < _ZERO:
        raise InvalidPricingInput(field="impact", value=value, expected="a Decimal of 0 or more")


def _check_rate(value: Decimal, *, field: str = "spread_rate") -> None:
    if type(value) is not Decimal or not value.is_finite() or not _ZERO <= value < _ONE:
        raise InvalidPricingInput(field=field, value=value, expected="a Decimal in [0, 1)")
