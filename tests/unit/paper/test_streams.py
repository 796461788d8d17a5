"""What streams tell: books that can be kept from changes, candles that close, an order's way in the right order."""

from decimal import Decimal

import pytest

from tests.support.paper import START_MS, Bench
from tools.paper_venue.records import OrderStatus, Side
from tools.paper_venue.streams.account_messages import order_reports
from tools.paper_venue.streams.names import StreamKind, read_name
from tools.paper_venue.streams.topics import topic_of


def topic(bench: Bench, name: str):
    stream = read_name(name)
    assert stream is not None
    return topic_of(stream, bench.engine.markets[stream.symbol], now_ms=bench.now_ms)


def told(topic, now_ms: int):
    return [message for render in topic.due(now_ms=now_ms) if (message := render()) is not None]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("btcusdt@bookTicker", StreamKind.BOOK_TICKER),
        ("ethusdt@trade", StreamKind.TRADE),
        ("bnbusdt@aggTrade", StreamKind.AGGREGATE_TRADE),
        ("btcusdt@depth", StreamKind.DEPTH),
        ("btcusdt@depth@100ms", StreamKind.DEPTH),
        ("btcusdt@depth20", StreamKind.LEVELS),
        ("btcusdt@depth5@100ms", StreamKind.LEVELS),
        ("btcusdt@kline_15m", StreamKind.CANDLE),
    ],
)
def test_names_of_streams(name, kind):
    assert read_name(name).kind is kind


@pytest.mark.parametrize(
    "name",
    [
        "",
        "btcusdt",
        "BTCUSDT@trade",
        "xrpusdt@trade",
        "btcusdt@depth7",
        "btcusdt@depth@50ms",
        "btcusdt@kline_7m",
        "0",
    ],
)
def test_names_that_are_none(name):
    assert read_name(name) is None


def test_changes_of_depth_applied_to_a_snapshot_give_the_book():
    bench = Bench()
    market = bench.engine.markets["BTCUSDT"]
    depth = topic(bench, "btcusdt@depth@100ms")
    kept = {side: {level.price: level.quantity for level in market.levels(side)} for side in Side}
    last_id = market.update_id
    for step in range(1, 41):
        if step % 3 == 0:
            bench.place("BUY" if step % 2 else "SELL", "0.7")
        bench.move(str(90_000 + step % 7 * 3), after_ms=130)
        for message in told(depth, bench.now_ms):
            assert message["U"] == last_id + 1
            last_id = message["u"]
            for side, changes in ((Side.SELL, message["b"]), (Side.BUY, message["a"])):
                for price, quantity in changes:
                    kept[side][Decimal(price)] = Decimal(quantity)
                    if not Decimal(quantity):
                        del kept[side][Decimal(price)]
        assert kept == {side: {level.price: level.quantity for level in market.levels(side)} for side in Side}
        assert last_id == market.update_id


def test_changes_of_depth_go_on_from_a_snapshot_between_two_messages():
    bench = Bench()
    market = bench.engine.markets["BTCUSDT"]
    depth = topic(bench, "btcusdt@depth@100ms")
    bench.place("BUY", "0.7")
    bench.move("90050", after_ms=30)
    assert told(depth, bench.now_ms) == []  # not due
    snapshot_id = market.update_id
    kept = {side: {level.price: level.quantity for level in market.levels(side)} for side in Side}
    bench.move("90003", after_ms=100)
    [message] = told(depth, bench.now_ms)
    assert message["U"] <= snapshot_id < message["u"]
    for side, changes in ((Side.SELL, message["b"]), (Side.BUY, message["a"])):
        kept[side] |= {Decimal(price): Decimal(quantity) for price, quantity in changes}
        left = {price: quantity for price, quantity in kept[side].items() if quantity}
        assert left == {level.price: level.quantity for level in market.levels(side)}


def test_the_top_is_told_when_it_changes_and_not_when_only_what_is_behind_it_does():
    bench = Bench()
    tickers = topic(bench, "btcusdt@bookTicker")
    assert told(tickers, bench.now_ms) == []
    bench.move("90010")
    [message] = told(tickers, bench.now_ms)
    assert (message["b"], message["a"]) == ("90010.00000000", "90010.01000000")
    assert told(tickers, bench.now_ms) == []
    bench.place("BUY", "0.1")
    [after] = told(tickers, bench.now_ms)
    assert after["u"] > message["u"]
    assert Decimal(message["A"]) - Decimal(after["A"]) == Decimal("0.1")


def test_each_trade_is_told_once_with_its_taker():
    bench = Bench()
    trades = topic(bench, "btcusdt@trade")
    market = bench.engine.markets["BTCUSDT"]
    market.printed = trades.note
    bench.place("BUY", "0.2")
    bench.place("SELL", "0.3", account="alice")
    messages = told(trades, bench.now_ms)
    assert [(message["q"], message["m"]) for message in messages] == [
        ("0.20000000", False),
        ("0.30000000", True),
    ]
    assert messages[0]["t"] < messages[1]["t"]
    assert told(trades, bench.now_ms) == []


def test_a_candle_is_told_while_it_grows_and_once_more_when_it_is_closed():
    bench = Bench()
    candles = topic(bench, "btcusdt@kline_1m")
    bench.place("BUY", "0.2")
    assert told(candles, START_MS + 1_000) == []
    [growing] = told(candles, START_MS + 2_000)
    closing, opened = told(candles, START_MS - START_MS % 60_000 + 60_000)
    assert [message["k"]["x"] for message in (growing, closing, opened)] == [False, True, False]
    assert closing["k"]["v"] == growing["k"]["v"] == "0.20000000"
    assert opened["k"]["t"] == closing["k"]["T"] + 1
    assert opened["k"]["v"] == "0.00000000"


def test_an_order_is_reported_new_then_trade_by_trade_then_expired():
    bench = Bench()
    market = bench.engine.markets["BTCUSDT"]
    first, second, *_ = market.levels(Side.BUY)
    wanted = first.quantity + second.quantity + 5
    changed = bench.place("BUY", str(wanted), str(second.price), time_in_force="IOC")
    reports = list(order_reports(changed.order, changed.trades, is_new=True, now_ms=bench.now_ms))
    assert [(report["x"], report["X"]) for report in reports] == [
        ("NEW", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("EXPIRED", "EXPIRED"),
    ]
    assert [Decimal(report["z"]) for report in reports] == [
        0,
        first.quantity,
        first.quantity + second.quantity,
        first.quantity + second.quantity,
    ]
    assert sum(Decimal(report["Y"]) for report in reports) == changed.order.executed_quote
    assert sum(Decimal(report["n"]) for report in reports) == sum(
        trade.commission for trade in changed.trades
    )


def test_a_resting_order_is_reported_again_only_with_what_is_new():
    bench = Bench()
    rested = bench.place("BUY", "0.5", "89990")
    reports = order_reports(rested.order, rested.trades, is_new=True, now_ms=bench.now_ms)
    assert [report["x"] for report in reports] == ["NEW"]
    bench.move("89980")
    order = bench.state.orders[rested.order.order_id]
    trades = tuple(bench.state.trades_of_order(account="alice", symbol="BTCUSDT", order_id=order.order_id))
    reports = list(order_reports(order, trades, is_new=False, now_ms=bench.now_ms))
    assert [(report["x"], report["X"], report["m"]) for report in reports] == [
        ("TRADE", OrderStatus.FILLED, True)
    ]
