import csv
import gzip
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counter.market.chain import ChainInvalid, is_option_chain, read_chain, shifted
from counter.market.listing import chain_listings

FIRST = {
    "timestamp": "2026-01-24T21:18:21.044844+00:00",
    "instrument_name": "BTC-6FEB26-100000-C",
    "option_type": "call",
    "strike": "100000.0",
    "expiry_datetime": "2026-02-06T08:00:00+00:00",
    "bid_price": "0.0013",
    "ask_price": "0.0015",
    "mark_price": "0.00134049",
    "futures_price": "89345.64",
    "implied_volatility": "0.36210000000000003",
    "currency": "BTC",
    "index_price": "89162.56",
}
SECOND = {
    **FIRST,
    "instrument_name": "BTC-30JAN26-88000-P",
    "option_type": "put",
    "strike": "88000.0",
    "expiry_datetime": "2026-01-30T08:00:00+00:00",
    "bid_price": "",
}
EARLIEST = datetime(2026, 1, 30, 8, tzinfo=UTC)


def written(path, *records):
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(FIRST))
    writer.writeheader()
    writer.writerows(records)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["chain.csv", "chain.csv.gz"])
def test_a_chain_is_read_in_order_of_expiry(tmp_path, name):
    near, far = read_chain(written(tmp_path / name, FIRST, SECOND))
    assert near.symbol == "BTC-30JAN26-88000-P"
    assert near.bid is None
    assert (far.underlying, far.kind, far.strike) == ("BTC", "C", Decimal(100000))
    assert far.expiry_at == datetime(2026, 2, 6, 8, tzinfo=UTC)
    assert far.recorded_at == datetime(2026, 1, 24, 21, 18, 21, 44844, tzinfo=UTC)
    assert (far.mark, far.bid, far.ask) == (Decimal("0.00134049"), Decimal("0.0013"), Decimal("0.0015"))
    assert (far.iv, far.futures, far.index) == (
        Decimal("0.36210000000000003"),
        Decimal("89345.64"),
        Decimal("89162.56"),
    )


def test_a_chain_is_known_by_its_header(tmp_path):
    assert is_option_chain(written(tmp_path / "chain.csv.gz"))
    candles = tmp_path / "candles.csv.gz"
    candles.write_bytes(gzip.compress(b"open_time_ms,open,high,low,close,volume\n1,2,3,4,5,6\n"))
    assert not is_option_chain(candles)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"{}"])
@pytest.mark.parametrize("name", ["junk.csv", "junk.csv.gz", "junk.json"])
def test_junk_is_no_chain(tmp_path, name, content):
    junk = tmp_path / name
    junk.write_bytes(content)
    assert not is_option_chain(junk)
    with pytest.raises(ChainInvalid):
        read_chain(junk)


def test_a_file_that_is_not_there_is_not_silently_no_chain(tmp_path):
    with pytest.raises(FileNotFoundError):
        is_option_chain(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    "change",
    [
        {"strike": "90000.0"},  # the name says 100000
        {"option_type": "put"},
        {"option_type": "straddle"},
        {"expiry_datetime": "2026-02-07T08:00:00+00:00"},
        {"expiry_datetime": "2026-02-06T08:00:00"},
        {"currency": "ETH"},
        {"implied_volatility": "0"},
        {"implied_volatility": "nan"},
        {"futures_price": ""},
        {"mark_price": "-0.1"},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-02-06T08:00:00+00:00"},  # expired already
        {"implied_volatility": "36.21"},  # percent
        {"mark_price": "1e30"},
        {"bid_price": "0.0016"},  # above the ask
        {"instrument_name": "BTC-30JAN26-88000-P", **{name: SECOND[name] for name in SECOND}},  # twice
    ],
)
def test_a_row_that_contradicts_itself_is_refused_with_its_line(tmp_path, change):
    path = written(tmp_path / "chain.csv", SECOND, {**FIRST, **change})
    with pytest.raises(ChainInvalid, match="line 3"):
        read_chain(path)


@pytest.mark.parametrize("line", ["1,2,3", ",".join(["1"] * 40)])
def test_a_row_with_other_columns_is_refused_with_its_line(tmp_path, line):
    path = written(tmp_path / "chain.csv", FIRST)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ChainInvalid, match="line 3: a different number of columns"):
        read_chain(path)


def test_a_chain_that_is_cut_off_is_refused_in_one_line(tmp_path):
    path = written(tmp_path / "chain.csv.gz", FIRST, SECOND)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ChainInvalid, match=r"chain\.csv\.gz line \d+: ") as refused:
        read_chain(path)
    assert "\n" not in str(refused.value)


def test_a_chain_without_rows_is_refused(tmp_path):
    with pytest.raises(ChainInvalid, match="no rows"):
        read_chain(written(tmp_path / "chain.csv"))


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return read_chain(written(tmp_path_factory.mktemp("chains") / "chain.csv", FIRST, SECOND))


@pytest.mark.parametrize(
    ("now", "weeks"),
    [
        (EARLIEST - timedelta(days=100), 0),
        (EARLIEST - timedelta(seconds=1), 0),
        (EARLIEST, 1),
        (EARLIEST + timedelta(days=6), 1),
        (EARLIEST + timedelta(weeks=40), 41),
    ],
)
def test_a_chain_moves_by_the_fewest_weeks_that_leave_no_option_expired(chain, now, weeks):
    moved = shifted(chain, now=now)
    assert {new.expiry_at - old.expiry_at for new, old in zip(moved, chain, strict=True)} == {
        timedelta(weeks=weeks)
    }


@given(st.integers(-(10**8), 10**9).map(lambda seconds: EARLIEST + timedelta(seconds=seconds)))
def test_a_moved_chain_keeps_tenors_weekdays_and_the_hour(chain, now):
    new = shifted(chain, now=now)
    assert min(row.expiry_at for row in new) > now
    for before, after in zip(chain, new, strict=True):
        assert after.expiry_at - after.recorded_at == before.expiry_at - before.recorded_at
        assert after.expiry_at.weekday() == before.expiry_at.weekday()
        assert after.expiry_at.timetz() == before.expiry_at.timetz()
        assert (after.strike, after.iv) == (before.strike, before.iv)
    if new != chain:
        assert min(row.expiry_at for row in new) - now <= timedelta(weeks=1)


def test_a_moved_option_has_the_symbol_of_its_new_expiry(chain):
    moved = shifted(chain, now=EARLIEST)
    assert [row.symbol for row in moved] == ["BTC-6FEB26-88000-P", "BTC-13FEB26-100000-C"]
    assert [listing.symbol for listing in chain_listings(moved)] == [row.symbol for row in moved]


def test_an_empty_chain_stays_empty():
    assert shifted([], now=EARLIEST) == []
