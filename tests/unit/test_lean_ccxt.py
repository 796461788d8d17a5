"""Exchanges are found by ccxt's names, and no process runs more of ccxt than it asks for."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.exchange.lean_ccxt import ccxt, exchange_class, has_exchange, streaming_exchange_class

ROOT = Path(__file__).resolve().parents[2]
LOADED = """
import sys
from infra.exchange.lean_ccxt import ccxt, exchange_class
assert exchange_class("binance")({}).id == "binance"
assert issubclass(ccxt.DDoSProtection, ccxt.BaseError)
print(*(name for name in sys.modules if name.startswith("ccxt.") and name.count(".") == 1))
"""


def test_an_exchange_that_is_asked_for_is_the_only_one_that_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == {"ccxt.base", "ccxt.abstract", "ccxt.binance"}


@pytest.mark.parametrize("client", ["", "base", "async_support", "Binance", "..", "os.path", "nowhere"])
def test_what_is_no_exchange_is_none(client: str) -> None:
    assert not has_exchange(client)
    with pytest.raises(LookupError):
        exchange_class(client)


@pytest.mark.parametrize("client", ["binance", "kraken", "coinbase", "okx"])
def test_exchanges_have_the_errors_of_the_package(client: str) -> None:
    assert has_exchange(client)
    kinds = exchange_class(client)({}).exceptions["exact"].values()
    assert all(issubclass(kind, ccxt.BaseError) for kind in kinds)


@pytest.mark.parametrize("client", ["binance", "binanceus", "kraken", "okx"])
def test_streams_are_those_of_the_exchange(client: str) -> None:
    exchange = streaming_exchange_class(client)({})
    assert exchange.id == client
    assert exchange.has["watchBidsAsks"]


def test_an_exchange_without_streams_is_refused() -> None:
    with pytest.raises(LookupError, match="streams"):
        streaming_exchange_class("bitbns")
