"""The synthetic book: spread, depth, and liquidity that has to grow back."""

from decimal import Decimal

from tests.support.paper import Bench
from tools.paper_venue.market import DepthShape
from tools.paper_venue.records import Side


def best(bench, side):
    return bench.engine.markets["BTCUSDT"].best(side)


def test_levels_lead_away_from_the_spread_on_both_sides():
    market = Bench().engine.markets["BTCUSDT"]
    asks, bids = market.levels(Side.BUY), market.levels(Side.SELL)
    assert asks[0].price == market.quote.ask > market.quote.bid == bids[0].price
    assert len(asks) == len(bids) == 20
    assert [level.price for level in asks] == sorted({level.price for level in asks})
    assert [level.price for level in bids] == sorted({level.price for level in bids}, reverse=True)
    for level in [*asks, *bids]:
        assert level.quantity > 0
        assert level.price % market.symbol.tick == 0
        assert level.quantity % market.symbol.step == 0


def test_what_is_taken_is_gone_from_the_front():
    bench = Bench()
    first = best(bench, Side.BUY)
    bench.place("BUY", first.quantity, "91000", time_in_force="IOC")
    assert best(bench, Side.BUY).price > first.price


def test_a_second_order_at_once_pays_more_and_a_late_one_does_not():
    bench = Bench(depth=DepthShape(refill_seconds=Decimal(2)))
    first = bench.place("BUY", "2", "91000", time_in_force="IOC").order
    second = bench.place("BUY", "2", "91000", time_in_force="IOC").order
    bench.now_ms += 2_000
    third = bench.place("BUY", "2", "91000", time_in_force="IOC").order
    assert second.executed_quote > first.executed_quote
    assert third.executed_quote < second.executed_quote


def test_a_book_that_is_all_taken_offers_nothing_and_grows_back():
    bench = Bench(depth=DepthShape(levels=3, best_usdt=Decimal(9000)))
    assert bench.place("BUY", "5", "91000", time_in_force="IOC").order.status == "EXPIRED"
    assert best(bench, Side.BUY) == (0, 0)
    assert bench.place("BUY", "5").order.executed_quantity == 0
    bench.move("90000", after_ms=500)
    assert best(bench, Side.BUY).quantity > 0


def test_a_book_that_refills_in_no_time_is_always_whole():
    bench = Bench(depth=DepthShape(refill_seconds=Decimal(0)))
    first = bench.place("BUY", "2", "91000", time_in_force="IOC").order
    second = bench.place("BUY", "2", "91000", time_in_force="IOC").order
    assert second.executed_quote == first.executed_quote


def test_taking_asks_leaves_bids_alone():
    bench = Bench()
    before = bench.engine.markets["BTCUSDT"].levels(Side.SELL)
    bench.place("BUY", "2", "91000", time_in_force="IOC")
    assert bench.engine.markets["BTCUSDT"].levels(Side.SELL) == before


def test_a_thin_book_offers_a_fraction():
    market = Bench().engine.markets["BTCUSDT"]
    whole = sum(level.quantity for level in market.levels(Side.BUY))
    market.depth_factor = Decimal("0.01")
    assert sum(level.quantity for level in market.levels(Side.BUY)) < whole / 50


def test_a_pinned_price_holds_against_its_source_and_is_let_go():
    bench = Bench()
    bench.engine.pin_price(symbol="BTCUSDT", price=Decimal(77000), now_ms=bench.now_ms)
    bench.move("95000")
    market = bench.engine.markets["BTCUSDT"]
    assert (market.quote.bid, market.quote.ask) == (Decimal(77000), Decimal("77000.01"))
    assert market.last_price == 77000
    bench.engine.pin_price(symbol="BTCUSDT", price=None, now_ms=bench.now_ms)
    assert market.quote.bid == market.last_price == 95000


def test_a_jump_fills_what_it_passes_and_the_price_goes_on_from_there():
    bench = Bench()
    order = bench.place("BUY", "0.1", "86000").order
    bench.engine.jump_price(symbol="BTCUSDT", factor=Decimal("0.95"), now_ms=bench.now_ms)
    assert bench.state.orders[order.order_id].executed_quantity == Decimal("0.1")
    bench.move("100000")
    assert bench.engine.markets["BTCUSDT"].quote.bid == 95000


def test_the_average_price_looks_back_five_minutes():
    bench = Bench()
    for _ in range(400):
        bench.move("80000", after_ms=1000)
    assert bench.engine.markets["BTCUSDT"].average_price == Decimal("80000.005")
