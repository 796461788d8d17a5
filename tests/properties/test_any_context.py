"""Money and prices come out alike in any decimal context that a thread was left with."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    ROUND_UP,
    Context,
    Decimal,
    Inexact,
    InvalidOperation,
    Rounded,
    Underflow,
    getcontext,
    localcontext,
)
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.numbers import usdt_text
from cockpit.timeline.result import QuoteToFill
from counter.api import fields
from counter.expiring.index_average import WINDOW, Sample, average_of
from counter.orders.rows import PositionRow
from infra.exchange.client import new_exchange
from ledger.book_bounds import middle
from ledger.decimals import calculating, is_multiple, product, quotient, rounded
from settlement.conversions.converting import _lot_at, limit_within_band
from settlement.netting.net import Carry, Demand, Lot, settle
from settlement.netting.units import worth_usdt
from settlement.venues.protocol import Market, TopOfBook
from settlement.venues.reading import order_report
from trade import numbers
from trade.payoff import payoff

UNIT = Decimal("0.00000001")
EXPIRES_AT = datetime(2026, 12, 4, 8, tzinfo=UTC)
# As ccxt leaves it, the directions, few digits, and one in which nothing at all may be rounded.
CONTEXTS = [
    Context(rounding=ROUND_HALF_UP, traps=[InvalidOperation, Underflow]),
    Context(rounding=ROUND_UP),
    Context(rounding=ROUND_FLOOR),
    Context(prec=3, rounding=ROUND_CEILING),
    Context(prec=5, traps=[Inexact, Rounded]),
]
prices = st.decimals(min_value="0.00000001", max_value="999999999", places=8)
# Ties and what lies beside them.
halves = st.integers(1, 10**15).map(lambda n: Decimal(n).scaleb(-8, Context(prec=40)))


def alike(calculate: Callable[[], Any]) -> Any:
    """What it comes to in a fresh thread's context, which has to be the same in all of them, and stays untouched."""
    with localcontext(Context()):
        expected = calculate()
    for context in CONTEXTS:
        with localcontext(context) as ambient:
            assert repr(calculate()) == repr(expected), context
            assert (ambient.prec, ambient.rounding) == (context.prec, context.rounding)
            assert ambient.traps == context.traps
    return expected


@given(halves, halves)
def test_the_middle_of_a_book_is_half_even_to_eight_decimals(bid, ask):
    bid, ask = min(bid, ask), max(bid, ask)
    exact = round((Fraction(bid) + Fraction(ask)) / 2 / Fraction(UNIT)) * Fraction(UNIT)
    assert Fraction(alike(lambda: middle(str(bid), str(ask)))) == exact
    assert Fraction(alike(lambda: TopOfBook(bid=bid, ask=ask).mid)) == exact


@given(st.lists(halves, min_size=1, max_size=6))
def test_the_settlement_index(recorded):
    samples = [
        Sample(EXPIRES_AT - WINDOW + n * timedelta(minutes=3), price) for n, price in enumerate(recorded)
    ]
    found = alike(lambda: average_of(samples, expires_at=EXPIRES_AT).price)
    assert Fraction(found) == round(sum(map(Fraction, recorded)) / len(recorded) / Fraction(UNIT)) * Fraction(
        UNIT
    )


@given(prices, st.decimals("0.00000001", "1000", places=8), st.sampled_from(["0.01", "0.05", "0.00000001"]))
def test_what_is_sent_to_the_venue(price, coin, tick):
    top = TopOfBook(bid=price, ask=price)
    lot = Lot(step=UNIT, min_qty=UNIT, max_qty=Decimal(10**9), min_notional=Decimal(5))
    market = Market("BTC", "BTC/USDT", lot, max_notional=Decimal(9_000_000), tick=Decimal(tick))
    for side in ("buy", "sell"):
        limit = alike(lambda side=side: limit_within_band(side, top, market.tick))
        assert Fraction(limit) % Fraction(tick) == 0
    if limit_within_band("buy", top, market.tick) > 0:
        alike(lambda: _lot_at(market, top).max_qty)
    assert alike(lambda: worth_usdt(price, coin)) == rounded(product(price, coin), UNIT, ROUND_HALF_EVEN)


@given(prices, st.decimals("0.0001", "1000", places=8), st.decimals("0.01", "10000", places=6))
def test_settling_and_reading_an_order(price, coin, fair):
    demands = [Demand(1, "buy", coin, fair), Demand(2, "sell", coin, fair, "at_fill")]
    alike(lambda: settle(demands=demands, carry=Carry(UNIT, UNIT), fill=None, price_if_unfilled=price))
    trade = {"id": "1", "price": str(price), "amount": str(coin), "cost": "1.00000001"}
    order = {"id": "7", "clientOrderId": "xb", "status": "closed", "timestamp": 1, "side": "buy", "cost": "1"}
    trades = [trade, trade | {"id": "2"}]
    alike(lambda: order_report(order | {"filled": str(product(coin, 2)), "trades": trades}, "xb"))


@given(st.decimals("-99999999", "99999999", places=8), st.integers(1, 1_000_000), st.integers(1, 1_000_000))
def test_what_customers_and_operators_read(amount, contracts, remaining):
    alike(lambda: [fields.usdt(amount), fields.coin(amount), fields.read_amount("12345678901234.123456")])
    shown = (numbers.exact, numbers.full, numbers.to_pay, numbers.to_get, numbers.gain, numbers.near)
    alike(lambda: [show(amount) for show in shown])
    alike(lambda: numbers.level(amount))
    alike(lambda: usdt_text(amount))
    cost = amount.copy_abs()
    position = SimpleNamespace(cost=cost, remaining=min(contracts, remaining), contracts=contracts)
    open_cost: Any = PositionRow.open_cost
    alike(lambda: open_cost.fget(position))
    zero = Decimal(0)
    alike(lambda: QuoteToFill(Decimal("3.7"), zero, zero, amount, zero, zero, zero).slippage_bps)


@given(prices, st.integers(1, 1000))
def test_a_tickets_payoff(strike, contracts):
    if strike < 1:
        return
    terms = {"contracts": contracts, "multiplier": Decimal("0.01"), "cost": Decimal("12.345678")}
    alike(lambda: payoff(kind="C", strike=strike, index=strike, **terms))


@given(halves, st.integers(1, 10**9), st.sampled_from([ROUND_HALF_EVEN, ROUND_FLOOR, ROUND_CEILING]))
def test_a_quotient_is_rounded_once(dividend, divisor, rounding):
    found = alike(lambda: quotient(dividend, divisor, unit=UNIT, rounding=rounding))
    off = Fraction(found) - Fraction(dividend) / divisor
    assert abs(off) <= Fraction(UNIT) / (2 if rounding == ROUND_HALF_EVEN else 1)
    assert is_multiple(found, UNIT)


def test_what_calculates_in_our_context_leaves_the_threads_as_it_was():
    with localcontext(CONTEXTS[3]) as ambient:
        with calculating():
            assert Decimal(1) / 3 == Decimal("0." + "3" * 96)
        assert getcontext() is ambient


def test_ccxts_number_formatting_leaves_the_threads_context_alone():
    left = []

    def call() -> None:
        exchange = new_exchange(client="binance", url="http://127.0.0.1:1", timeout_seconds=1)
        market = {"id": "BTCUSDT", "symbol": "BTC/USDT", "precision": {"amount": "0.00001", "price": "0.01"}}
        exchange.markets = {"BTC/USDT": exchange.safe_market_structure(market)}
        before = getcontext().copy()
        assert exchange.price_to_precision("BTC/USDT", "90000.005") == "90000.01"
        assert exchange.amount_to_precision("BTC/USDT", "0.123456") == "0.12345"
        assert exchange.decimal_to_precision("0.005", 1, 2, 2) == "0.01"
        left.append((before, getcontext()))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    [(before, after)] = left
    assert (after.rounding, after.prec, after.traps) == (before.rounding, before.prec, before.traps)


@pytest.mark.parametrize("precision", [1, 28])
def test_ccxt_formats_alike_in_every_context(precision):
    exchange = new_exchange(client="binance", url="http://127.0.0.1:1", timeout_seconds=1)
    with localcontext(Context(prec=precision, rounding=ROUND_FLOOR)):
        assert exchange.decimal_to_precision("123456.789", 1, 2, 2) == "123456.79"
