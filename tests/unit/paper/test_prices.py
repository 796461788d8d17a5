"""Where prices come from: walks repeat for a seed, replays keep to what was recorded."""

import gzip
import itertools
from decimal import Decimal

import pytest

from tools.paper_venue.prices.random_walk import RandomWalk, WalkShape
from tools.paper_venue.prices.recording import (
    RecordingEmpty,
    RecordingError,
    RecordingUnknown,
    load_recording,
)
from tools.paper_venue.prices.replay import Replay, price_within
from tools.paper_venue.prices.timeline import AtEnd, Position, RecordingsApart, RecordingTwice, make_timeline
from tools.paper_venue.symbols import SYMBOLS

NOW = 1_770_000_000_000
BTC = SYMBOLS["BTCUSDT"]
CANDLES = "open_time_ms,open,high,low,close,volume"
TRADES = "trade_time_ms,trade_id,price,qty,is_buyer_maker"
TICKERS = "recv_ms,update_id,bid,bid_qty,ask,ask_qty"
T0 = 1_700_000_000_000


def walk(seed, *, every_ms=100, seconds=600, shape=None):
    source = RandomWalk(
        symbol=BTC, start_price=Decimal(90000), shape=shape or WalkShape(), seed=seed, now_ms=NOW
    )
    quotes = []
    for elapsed in range(every_ms, seconds * 1000 + 1, every_ms):
        source.advance(now_ms=NOW + elapsed)
        quotes.append(source.quote)
    return quotes


def test_a_walk_repeats_for_its_seed_only():
    assert walk(1) == walk(1)
    assert walk(1) != walk(2)


def test_a_walk_keeps_to_ticks_and_never_crosses():
    for quote in walk(3):
        assert quote.bid < quote.ask
        assert quote.bid % BTC.tick == quote.ask % BTC.tick == 0


def test_a_walk_moves_about_as_much_as_its_volatility_says():
    calm = WalkShape(jumps_per_hour=Decimal(0))
    mids = [quote.mid for quote in walk(5, seconds=3600, every_ms=1000, shape=calm)]
    changes = [(after - before) / before for before, after in itertools.pairwise(mids)]
    variance = sum(change * change for change in changes) / len(changes)
    per_year = (variance * 365 * 86_400).sqrt()
    assert Decimal("0.5") < per_year < Decimal("0.7")


def test_a_long_pause_is_one_large_step_and_not_a_million_small_ones():
    source = RandomWalk(symbol=BTC, start_price=Decimal(90000), shape=WalkShape(), seed=1, now_ms=NOW)
    source.advance(now_ms=NOW + 30 * 86_400_000)
    assert 9_000 <= source.quote.bid <= 900_000


def write(folder, name, header, *rows):
    path = folder / name
    with gzip.open(path, "wt") as lines:
        lines.write("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def candles(tmp_path):
    rows = [f"{T0 + n * 60_000},{100 + n},{103 + n},{99 + n},{101 + n},5" for n in range(60)]
    return load_recording(write(tmp_path, "binance_BTCUSDT_1m.csv.gz", CANDLES, *rows))


@pytest.fixture
def trades(tmp_path):
    rows = [f"{T0 + n * 1000},{n},{200 + n}.00,0.5,{n % 2}" for n in range(100)]
    return load_recording(write(tmp_path, "x_BTCUSDT_trades.csv.gz", TRADES, *rows))


@pytest.fixture
def tickers(tmp_path):
    rows = [f"{T0 + n * 100},{n},{300 + n}.00,1.5,{300 + n}.01,2.5" for n in range(1000)]
    return load_recording(write(tmp_path, "x_BTCUSDT_bookticker.csv.gz", TICKERS, *rows))


def replay(*recordings, **terms):
    timeline = make_timeline(recordings=recordings, anchor_ms=NOW, **terms)
    return Replay(symbol=BTC, recordings=recordings, timeline=timeline, spread_bps=Decimal("0.5"), now_ms=NOW)


def test_candles_run_sixty_times_faster_and_visit_their_extremes(candles):
    source = replay(candles, start="begin")
    seen = []
    for elapsed in range(0, 1000, 10):
        source.advance(now_ms=NOW + elapsed)
        seen.append(source.quote.mid)
    assert seen[0] == 100
    assert min(seen) < Decimal("99.2")
    assert max(seen) > Decimal("102.8")
    source.advance(now_ms=NOW + 10_000)
    assert source.quote.mid == 110


def test_within_a_candle_the_price_goes_from_open_over_both_extremes_to_close():
    rising = tuple(map(Decimal, ("100", "110", "90", "105", "1")))
    falling = tuple(map(Decimal, ("105", "110", "90", "100", "1")))
    points = (0, 20_000, 40_000, 60_000)
    assert [price_within(rising, elapsed_ms=at) for at in points] == [100, 90, 110, 105]
    assert [price_within(falling, elapsed_ms=at) for at in points] == [105, 110, 90, 100]


def test_trades_run_in_real_time_and_are_printed_as_recorded(trades):
    source = replay(trades)
    prints = source.advance(now_ms=NOW + 2_500)
    assert [(str(item.price), item.is_buyer_maker) for item in prints] == [
        ("201.00", True),
        ("202.00", False),
    ]
    assert source.quote.ask == Decimal("202.00")
    assert source.advance(now_ms=NOW + 2_900) == []
    assert len(source.advance(now_ms=NOW + 3_000)) == 1
    assert source.quote.bid == Decimal("203.00")


def test_book_tickers_give_the_quote_and_trades_the_prints_when_both_are_recorded(tickers, trades):
    source = replay(tickers, trades)
    prints = source.advance(now_ms=NOW + 1_000)
    assert source.quote == (Decimal("310.00"), Decimal("310.01"), Decimal("1.5"), Decimal("2.5"))
    assert [str(item.price) for item in prints] == ["201.00"]


def test_a_replay_begins_again_or_holds_at_its_end(trades):
    looped = make_timeline(recordings=[trades], anchor_ms=NOW)
    assert looped.position(now_ms=NOW + 99_000) == Position(T0 + 99_000, 0)
    assert looped.position(now_ms=NOW + 99_001) == Position(T0 + 1, 1)
    held = make_timeline(recordings=[trades], anchor_ms=NOW, at_end=AtEnd.HOLD)
    assert held.position(now_ms=NOW + 500_000) == Position(T0 + 99_000, 0)


def test_candles_start_shortly_before_their_largest_move(tmp_path):
    prices = [100] * 100 + [100 - n for n in range(30)] + [70] * 100
    rows = [f"{T0 + n * 60_000},{price},{price},{price},{price},1" for n, price in enumerate(prices)]
    recording = load_recording(write(tmp_path, "ETHUSDT.csv.gz", CANDLES, *rows))
    timeline = make_timeline(recordings=[recording], anchor_ms=NOW)
    # At speed 60 a demo of 20 s sees 20 minutes; the steepest 20 are the last of the fall, less 5 of lead.
    assert (timeline.start_ms - T0) / 60_000 == 110 - 5


def test_recordings_of_one_replay_share_their_time(tmp_path, trades, candles):
    timeline = make_timeline(recordings=[trades, candles], anchor_ms=NOW)
    assert (timeline.first_ms, timeline.last_ms, timeline.speed) == (T0, T0 + 99_000, 1)
    elsewhen = load_recording(
        write(tmp_path, "ETHUSDT.csv.gz", TRADES, "1600000000001,1,1,1,1", "1600000000002,2,1,1,1")
    )
    with pytest.raises(RecordingsApart):
        make_timeline(recordings=[trades, elsewhen], anchor_ms=NOW)
    with pytest.raises(RecordingTwice):
        make_timeline(recordings=[trades, trades], anchor_ms=NOW)


@pytest.mark.parametrize("terms", [{"speed": Decimal(0)}, {"start": "soon"}, {"start": "1"}])
def test_a_replay_that_cannot_be_is_refused(trades, terms):
    with pytest.raises(RecordingError):
        make_timeline(recordings=[trades], anchor_ms=NOW, **terms)


def test_files_are_known_by_header_and_name(tmp_path):
    chain = write(tmp_path, "options.csv.gz", "timestamp,instrument_name,underlying", "a,b,c")
    assert load_recording(chain) is None
    with pytest.raises(RecordingUnknown, match="columns"):
        load_recording(write(tmp_path, "BTCUSDT.csv.gz", "a,b,c", "1,2,3"))
    with pytest.raises(RecordingUnknown, match="symbol"):
        load_recording(write(tmp_path, "DOGEUSDT.csv.gz", TRADES, "1,1,1,1,1"))
    with pytest.raises(RecordingEmpty):
        load_recording(write(tmp_path, "BTCUSDT_trades.csv.gz", TRADES))
    plain = tmp_path / "ETHUSDT.csv"
    plain.write_text(f"{TRADES}\n{T0},1,3000.10,0.2,0\n")
    assert load_recording(plain).rows == [(Decimal("3000.10"), Decimal("0.2"), Decimal(0))]
