"""The feed does not start with what it cannot price by: exit code 2 and one line that says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAIN = (
    "timestamp,instrument_name,currency,option_type,strike,expiry_datetime,mark_price,bid_price,ask_price,"
    "implied_volatility,futures_price,index_price\n"
    "2026-01-24T21:18:21+00:00,BTC-6FEB26-100000-C,BTC,call,100000,2026-02-06T08:00:00+00:00,NaN,,,0.3,9,9\n"
)


@pytest.mark.parametrize("fault", ["chain", "source"])
def test_it_ends_with_one_line_and_no_traceback(tmp_path, fault):
    chain = tmp_path / "chain.csv"
    chain.write_text(CHAIN)
    given = {"chain": {"MARKET_DATA": str(chain)}, "source": {"INDEX_SOURCES": "krakken"}}[fault]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", "feed"],
        cwd=ROOT,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.strip().splitlines()
    wanted = {
        "chain": f"{chain} line 2: mark_price must be finite",
        "source": "ccxt has no exchange krakken",
    }
    assert wanted[fault] in line
