"""A recording is read whole before it is played; what makes no sense is named with file, line and cause."""

import gzip
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tools import stack
from tools.paper_venue.prices.recording import RecordingError, load_recording

ROOT = Path(__file__).resolve().parents[3]
T0 = 1_723_161_255_342
CANDLES = "open_time_ms,open,high,low,close,volume"
TRADES = "trade_time_ms,trade_id,price,qty,is_buyer_maker"
TICKERS = "recv_ms,update_id,bid,bid_qty,ask,ask_qty"


def written(folder, header, *rows, name="BTCUSDT.csv"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def candle(at=T0, *, opened=100, high=103, low=99, closed=101, volume=5):
    return f"{at},{opened},{high},{low},{closed},{volume}"


@pytest.mark.parametrize(
    ("header", "bad", "cause"),
    [
        (CANDLES, candle(T0 + 60_000, opened="NaN"), "open 'NaN'"),
        (CANDLES, candle(T0 + 60_000, closed="Infinity"), "close 'Infinity'"),
        (CANDLES, candle(T0 + 60_000, low="-1"), "low '-1'"),
        (CANDLES, candle(T0 + 60_000, low=0), "low has to be above 0"),
        (CANDLES, candle(T0 + 60_000, high=100), "are not between"),
        (CANDLES, candle(T0 + 60_000, volume=""), "volume ''"),
        (CANDLES, candle(T0 + 60_000, volume="1e30"), "volume '1e30'"),
        (CANDLES, candle(T0), "0 ms after the row before"),
        (CANDLES, candle(T0 + 1_000), "candles are of a minute"),
        (CANDLES, candle(T0 - 60_000), "60000 ms before the row before"),
        (CANDLES, candle((T0 + 60_000) * 1000), "is in microseconds, the rows before are in milliseconds"),
        (CANDLES, candle("12.5"), "open_time_ms '12.5' is no whole number"),
        (CANDLES, candle("20240805"), "is in milliseconds from 0, the rows before are in milliseconds"),
        (CANDLES, candle("9" * 20), "is no time in milliseconds"),
        (CANDLES, candle("1" * 400), "is no whole number"),
        (CANDLES, candle(T0 + 60_000) + ",7", "7 columns, not 6"),
        (CANDLES, f"{T0 + 60_000},100", "2 columns, not 6"),
        (CANDLES, candle(T0 + 60_000, opened="1\0"), "open '1\\x00'"),
        (TRADES, f"{T0 + 1},1,100,0.5,0", "trade_id '1' does not come after 1"),
        (TRADES, f"{T0 + 1},2,100,0,0", "qty has to be above 0"),
        (TRADES, f"{T0 + 1},2,100,0.5,2", "is_buyer_maker"),
        (TRADES, f"{T0 - 1},2,100,0.5,0", "1 ms before"),
        (TICKERS, f"{T0 + 1},2,101,1,100,1", "bid 101 is above ask 100"),
        (TICKERS, f"{T0 + 1},2,0,1,100,1", "bid has to be above 0"),
        (TICKERS, f"{T0 + 1},0,99,1,100,1", "update_id '0' does not come after 1"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path, header, bad, cause):
    good = {CANDLES: candle(), TRADES: f"{T0},1,100,0.5,1", TICKERS: f"{T0},1,99,1,100,1"}[header]
    path = written(tmp_path, header, good, bad)
    with pytest.raises(RecordingError) as refused:
        load_recording(path)
    told = str(refused.value)
    assert told.startswith(f"{path} line 3: ")
    assert cause in told
    assert "\n" not in told
    assert len(told) < 300 + len(str(path))


@pytest.mark.parametrize(
    ("times", "played"),
    [
        ((T0 * 1_000, T0 * 1_000 + 60_000_000), (T0, T0 + 60_000)),
        ((T0 * 1_000_000, T0 * 1_000_000 + 60_000_000_000), (T0, T0 + 60_000)),
        ((1_723_161_255, 1_723_161_315), (1_723_161_255_000, 1_723_161_315_000)),
    ],
)
def test_times_in_another_unit_are_recognised_and_played_at_their_own_speed(tmp_path, times, played):
    found = load_recording(written(tmp_path, CANDLES, *map(candle, times)))
    assert tuple(found.times_ms) == played
    assert found.rows[0] == (Decimal(100), Decimal(103), Decimal(99), Decimal(101), Decimal(5))


def broken_files(folder):
    whole = gzip.compress("\n".join([CANDLES, *(candle(T0 + n * 60_000) for n in range(999))]).encode())
    yield "cut", "BTCUSDT_cut.csv.gz", whole[: len(whole) // 2]
    yield "damaged", "BTCUSDT_damaged.csv.gz", whole[:200] + b"\xff" * 40 + whole[240:]
    yield "no gzip", "BTCUSDT_plain.csv.gz", CANDLES.encode()
    yield "no text", "BTCUSDT_bytes.csv", CANDLES.encode() + b"\n\xff\xfe\n"
    yield "empty", "BTCUSDT_empty.csv", b""


@pytest.mark.parametrize("number", range(5))
def test_a_file_that_cannot_be_read_is_refused_like_any_other(tmp_path, number):
    _, name, content = list(broken_files(tmp_path))[number]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=name):
        load_recording(tmp_path / name)


def ran(*command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


def test_the_venue_does_not_start_with_such_a_file_and_says_so_in_one_line(tmp_path):
    path = written(tmp_path, CANDLES, candle(), candle(T0 + 60_000, opened="NaN"))
    code, told = ran("tools.paper_venue", "--port", "0", "--market-data", str(path))
    assert code == 2
    assert told == (
        f"paper venue: RecordingInvalid: {path} line 3: open 'NaN' is not from 0 to below 1e+12\n"
    )


def test_what_can_be_played_together_passes_the_check(tmp_path):
    one = written(tmp_path, CANDLES, candle(), candle(T0 + 60_000))
    apart = written(tmp_path, CANDLES, candle(T0 * 2), candle(T0 * 2 + 60_000), name="ETHUSDT.csv")
    assert ran("tools.paper_venue", "--check", "--market-data", str(one)) == (0, "")
    code, told = ran("tools.paper_venue", "--check", "--market-data", f"{one},{apart}")
    assert (code, told.count("\n")) == (2, 1)


@pytest.mark.parametrize("kind", ["candles", "chain"])
def test_the_stack_is_not_started_with_such_a_file(tmp_path, kind):
    if kind == "candles":
        path = written(tmp_path, CANDLES, candle(), candle(T0))
    else:
        header = (
            "timestamp,instrument_name,currency,option_type,strike,expiry_datetime,mark_price,bid_price,"
            "ask_price,implied_volatility,futures_price,index_price"
        )
        row = "2026-01-24T21:18:21+00:00,BTC-6FEB26-100000-C,BTC,call,100000,2026-02-06T08:00:00+00:00,NaN,,,0.3,9,9"
        path = written(tmp_path, header, row, name="options.csv")
    with pytest.raises(stack.StackFailed) as refused:
        stack.start(var_dir=tmp_path / "var", given={"MARKET_DATA": str(path)})
    assert f"{path} line " in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "var").exists()
