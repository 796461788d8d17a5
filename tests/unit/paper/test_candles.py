"""Candles are sums of the public trades, minute by minute."""

import itertools
from decimal import Decimal

from tools.paper_venue.candles import MINUTE_MS, CandleBook
from tools.paper_venue.prices.quotes import Print
from tools.paper_venue.symbols import SYMBOLS

NOW = 1_770_000_000_000 - 1_770_000_000_000 % (15 * MINUTE_MS)


def make_book():
    return CandleBook(symbol=SYMBOLS["BTCUSDT"], price=Decimal(90000), seed=1, now_ms=NOW)


def add(book, price, quantity, at_ms, *, is_sale=False):
    book.add(Print(Decimal(price), Decimal(quantity), is_sale, at_ms))


def test_history_leads_to_the_start_price():
    candles = make_book().candles(interval_ms=MINUTE_MS, start_ms=None, end_ms=None, limit=2_000)
    assert len(candles) == 1_440
    assert (candles[-1].open_at_ms, candles[-1].close) == (NOW, Decimal(90000))
    for before, after in itertools.pairwise(candles):
        assert (after.open_at_ms - before.open_at_ms, after.open) == (MINUTE_MS, before.close)


def test_a_candle_is_the_sum_of_its_trades():
    book = make_book()
    at = NOW + MINUTE_MS
    add(book, "90010", "1", at)
    add(book, "90050", "2", at + 10, is_sale=True)
    add(book, "89990", "3", at + 20)
    (candle,) = book.candles(interval_ms=MINUTE_MS, start_ms=at, end_ms=None, limit=5)
    assert (candle.open, candle.high, candle.low, candle.close) == (90000, 90050, 89990, 89990)
    assert (candle.volume, candle.trades, candle.taker_buy_volume) == (6, 3, 4)
    assert candle.quote_volume == 90010 + 2 * 90050 + 3 * 89990


def test_minutes_without_trades_are_flat():
    book = make_book()
    add(book, "90100", "1", NOW)
    book.roll(now_ms=NOW + 3 * MINUTE_MS)
    candles = book.candles(interval_ms=MINUTE_MS, start_ms=NOW + MINUTE_MS, end_ms=None, limit=10)
    assert [(candle.open, candle.volume) for candle in candles] == [(Decimal(90100), 0)] * 3


def test_longer_candles_are_sums_of_minutes_and_start_on_their_grid():
    book = make_book()
    start = NOW + 15 * MINUTE_MS
    for minute in range(15):
        add(book, 90000 + minute, "1", start + minute * MINUTE_MS)
    (quarter,) = book.candles(interval_ms=15 * MINUTE_MS, start_ms=start, end_ms=None, limit=5)
    minutes = book.candles(interval_ms=MINUTE_MS, start_ms=start, end_ms=None, limit=50)
    assert quarter.open_at_ms == start
    assert len(minutes) == 15
    assert quarter.volume == sum(minute.volume for minute in minutes)
    assert quarter.high == 90014


def test_the_last_day_follows_new_trades():
    book = make_book()
    before = book.last_day()
    add(book, "99999", "7", NOW + 10)
    after = book.last_day()
    assert (after.high, after.volume - before.volume) == (99999, 7)
