"""What becomes of each kind of order, and of the money behind it."""

from decimal import Decimal

import pytest

from tests.support.paper import Bench
from tools.paper_venue.commission import Commission
from tools.paper_venue.errors import (
    DuplicateOrder,
    FilterFailure,
    InsufficientBalance,
    TooMuchPrecision,
    UnknownOrder,
    WouldTake,
)
from tools.paper_venue.market import DepthShape
from tools.paper_venue.records import OrderStatus

SHALLOW = DepthShape(levels=3, best_usdt=Decimal(9000), growth=Decimal(1))


def test_an_ioc_that_the_book_covers_is_filled_and_charged_in_what_it_receives():
    bench = Bench()
    changed = bench.place("BUY", "0.1", "90100", time_in_force="IOC")
    assert changed.order.status is OrderStatus.FILLED
    assert [trade.commission_asset for trade in changed.trades] == ["BTC"]
    assert bench.balance("BTC").free == Decimal("10.1") - Decimal("0.0001")
    assert bench.balance("USDT").free == Decimal(1_000_000) - changed.order.executed_quote


def test_the_rest_of_an_ioc_expires_and_locks_nothing():
    bench = Bench(depth=SHALLOW)
    changed = bench.place("BUY", "5", "90100", time_in_force="IOC")
    assert changed.order.status is OrderStatus.EXPIRED
    assert 0 < changed.order.executed_quantity < 5
    assert len(changed.trades) == 3
    assert bench.balance("USDT").locked == 0


def test_a_fill_or_kill_that_cannot_be_filled_whole_trades_nothing():
    bench = Bench(depth=SHALLOW)
    changed = bench.place("BUY", "5", "90100", time_in_force="FOK")
    assert changed.order.status is OrderStatus.EXPIRED
    assert changed.trades == ()
    assert bench.balance("USDT").free == 1_000_000


def test_a_market_order_by_quote_spends_at_most_that():
    bench = Bench()
    changed = bench.place("BUY", None, quote_quantity=Decimal(1000))
    assert changed.order.status is OrderStatus.FILLED
    assert Decimal(999) < changed.order.executed_quote <= 1000
    assert changed.order.quantity == changed.order.executed_quantity


def test_a_sale_is_charged_in_quote():
    bench = Bench(commission=Commission(maker=Decimal(0), taker=Decimal("0.002")))
    changed = bench.place("SELL", "0.1")
    assert changed.trades[0].commission_asset == "USDT"
    assert changed.trades[0].commission == changed.order.executed_quote * Decimal("0.002")


def test_commission_is_taken_from_bnb_at_a_discount_when_switched_on():
    bench = Bench()
    bench.engine.switch_burn(account="alice", is_on=True)
    changed = bench.place("BUY", "0.1", "90100", time_in_force="IOC")
    (trade,) = changed.trades
    assert trade.commission_asset == "BNB"
    # 0.1 % of the value less a quarter, at 900.005 USDT a BNB
    assert trade.commission == Decimal("0.00749995")
    assert bench.balance("BTC").free == Decimal("10.1")
    assert bench.balance("BNB").free == Decimal(50) - trade.commission


def test_commission_falls_back_when_bnb_runs_out():
    bench = Bench()
    bench.engine.switch_burn(account="alice", is_on=True)
    bench.place("SELL", "50", symbol="BNBUSDT")
    changed = bench.place("BUY", "0.1", "90100", time_in_force="IOC")
    assert {trade.commission_asset for trade in changed.trades} == {"BTC"}


def test_a_resting_buy_locks_its_cost_and_fills_as_maker_when_the_price_comes_to_it():
    bench = Bench()
    order = bench.place("BUY", "0.1", "89000").order
    assert order.status is OrderStatus.NEW
    assert bench.balance("USDT").locked == 8900
    bench.move("89500")
    assert bench.state.orders[order.order_id].status is OrderStatus.NEW
    bench.move("88900")
    assert bench.state.orders[order.order_id].status is OrderStatus.FILLED
    (trade,) = bench.state.trades_of(account="alice", symbol="BTCUSDT")
    assert (trade.price, trade.is_maker) == (Decimal(89000), True)
    assert bench.balance("USDT").locked == 0
    assert bench.balance("USDT").free == 1_000_000 - 8900


def test_a_large_resting_order_fills_bit_by_bit_as_liquidity_returns():
    bench = Bench(depth=SHALLOW)
    order = bench.place("SELL", "5", "90500").order
    bench.move("90600")
    partly = bench.state.orders[order.order_id]
    assert partly.status is OrderStatus.PARTIALLY_FILLED
    assert bench.balance("BTC").locked == partly.remaining
    for _ in range(100):
        bench.move("90600", after_ms=1000)
    assert bench.state.orders[order.order_id].status is OrderStatus.FILLED


def test_cancelling_gives_back_what_was_locked():
    bench = Bench()
    order = bench.place("SELL", "1", "99000").order
    assert bench.balance("BTC").free == 9
    cancelled = bench.engine.cancel_order(account="alice", order_id=order.order_id, now_ms=bench.now_ms)
    assert cancelled.status is OrderStatus.CANCELED
    assert (bench.balance("BTC").free, bench.balance("BTC").locked) == (10, 0)
    with pytest.raises(UnknownOrder):
        bench.engine.cancel_order(account="alice", order_id=order.order_id, now_ms=bench.now_ms)


def test_a_cancel_that_comes_after_the_price_finds_the_order_filled():
    bench = Bench()
    order = bench.place("BUY", "0.1", "89000").order
    bench.sources["BTCUSDT"].set(Decimal(88000))
    with pytest.raises(UnknownOrder):
        bench.engine.cancel_order(account="alice", order_id=order.order_id, now_ms=bench.now_ms + 1)
    assert bench.state.orders[order.order_id].status is OrderStatus.FILLED


def test_nobody_cancels_another_accounts_order():
    bench = Bench(accounts=("alice", "bob"))
    order = bench.place("SELL", "1", "99000").order
    with pytest.raises(UnknownOrder):
        bench.engine.cancel_order(account="bob", order_id=order.order_id, now_ms=bench.now_ms)


def test_a_maker_only_order_that_would_take_is_refused_and_leaves_no_trace():
    bench = Bench()
    before = len(bench.events)
    with pytest.raises(WouldTake):
        bench.place("BUY", "0.1", "91000", order_type="LIMIT_MAKER")
    assert len(bench.events) == before


def test_a_client_id_is_unique_among_open_orders_only():
    bench = Bench()
    order = bench.place("BUY", "0.1", "89000", client_order_id="twice").order
    with pytest.raises(DuplicateOrder):
        bench.place("BUY", "0.1", "89000", client_order_id="twice")
    bench.engine.cancel_order(account="alice", order_id=order.order_id, now_ms=bench.now_ms)
    again = bench.place("BUY", "0.1", "91000", client_order_id="twice", time_in_force="IOC").order
    found = bench.state.order_by_client_id(account="alice", symbol="BTCUSDT", client_order_id="twice")
    assert found == again
    third = bench.place("BUY", "0.1", "91000", client_order_id="twice", time_in_force="IOC").order
    assert third.order_id != again.order_id  # sending twice trades twice


@pytest.mark.parametrize(
    ("quantity", "price", "message"),
    [
        ("0.1", "90000.001", "PRICE_FILTER"),
        ("0.1", "2000000", "PRICE_FILTER"),
        ("0.1", "1000", "PERCENT_PRICE_BY_SIDE"),
        ("0.1", "500000", "PERCENT_PRICE_BY_SIDE"),
        ("0.000015", "90000", "LOT_SIZE"),
        ("0.000001", "90000", "LOT_SIZE"),
        ("9001", "90000", "LOT_SIZE"),
        ("0.00005", "90000", "NOTIONAL"),
        ("101", "90000", "NOTIONAL"),
        ("88.1", None, "MARKET_LOT_SIZE"),
        ("0.00005", None, "NOTIONAL"),
    ],
)
def test_filters_refuse_what_they_name(quantity, price, message):
    bench = Bench()
    with pytest.raises(FilterFailure, match=message):
        bench.place("BUY", quantity, price)


def test_more_decimals_than_any_asset_has_are_too_much_precision():
    with pytest.raises(TooMuchPrecision, match="quantity"):
        Bench().place("BUY", "0.100000001", "90000")


def test_open_orders_of_a_symbol_are_limited():
    bench = Bench()
    for _ in range(200):
        bench.place("BUY", "0.0001", "80000")
    with pytest.raises(FilterFailure, match="MAX_NUM_ORDERS"):
        bench.place("BUY", "0.0001", "80000")
    bench.place("BUY", "0.0001", "90100", time_in_force="IOC")  # does not rest


@pytest.mark.parametrize(
    ("side", "quantity", "price"),
    [("BUY", "20", "90000"), ("SELL", "10.00001", "90000"), ("BUY", "12", None), ("SELL", "10.1", None)],
)
def test_an_order_beyond_the_balance_is_refused_and_leaves_no_trace(side, quantity, price):
    bench = Bench()
    before = len(bench.events)
    with pytest.raises(InsufficientBalance):
        bench.place(side, quantity, price)
    assert len(bench.events) == before


def test_what_is_locked_cannot_be_spent_again():
    bench = Bench()
    bench.place("SELL", "10", "99000")
    with pytest.raises(InsufficientBalance):
        bench.place("SELL", "0.001", "99000")


def test_memory_is_bounded_without_forgetting_open_orders():
    bench = Bench()
    bench.state._orders_kept = 5
    resting = bench.place("BUY", "0.001", "80000").order
    placed = [bench.place("BUY", "0.001", "91000", time_in_force="IOC").order for _ in range(12)]
    kept = [order.order_id for order in bench.state.orders_of(account="alice", symbol="BTCUSDT")]
    assert kept == [resting.order_id, *(order.order_id for order in placed[-5:])]
    trades = list(bench.state.trades_of(account="alice", symbol="BTCUSDT"))
    assert [trade.order_id for trade in trades] == [order.order_id for order in placed[-5:]]
    assert (
        bench.state.order_by_client_id(
            account="alice", symbol="BTCUSDT", client_order_id=placed[0].client_order_id
        )
        is None
    )
