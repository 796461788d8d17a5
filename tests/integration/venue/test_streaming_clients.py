"""Public clients consume the venue's streams with only their base URL changed."""

import uuid
from decimal import Decimal

import pytest
import requests

from tests.support.clients import node_session, python_session
from tests.support.paper_process import KEY, SECRET

MINUTE_MS = 60_000
SESSIONS = {
    "ccxt.pro": python_session("ccxt_pro_streams.py", None),
    "python-binance": python_session("python_binance_streams.py", "requirements.lock"),
    "npm-binance-spot": node_session("binance_spot_streams.mjs"),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_an_unmodified_client_hears_of_prices_trades_candles_books_and_its_own_order(venue, name):
    client_order_id = f"stream-{uuid.uuid4().hex[:16]}"
    seen = SESSIONS[name](venue.url, KEY, SECRET, client_order_id)
    assert 0 < Decimal(seen["top"]["bid"]) < Decimal(seen["top"]["ask"])
    printed = requests.get(
        f"{venue.url}/api/v3/trades", {"symbol": "ETHUSDT", "limit": 1000}, timeout=10
    ).json()
    assert seen["trade"]["price"] in [item["price"] for item in printed if item["id"] == seen["trade"]["id"]]
    opened_at, *prices, volume = map(Decimal, seen["candle"])
    assert opened_at % MINUTE_MS == 0
    assert prices[2] == min(prices)
    assert prices[1] == max(prices)
    assert volume > 0
    bids, asks = ([Decimal(price) for price in seen["book"][side]] for side in ("bids", "asks"))
    assert sorted(bids, reverse=True) + sorted(asks) == bids + asks
    assert len(bids) >= 10
    assert bids[0] < asks[0]
    [traded] = [order for order in venue.state()["orders"] if order["clientOrderId"] == client_order_id]
    order = seen["order"]
    assert (order["i"], order["z"], order["Z"]) == (
        traded["orderId"],
        traded["executedQty"],
        traded["cummulativeQuoteQty"],
    )
    assert Decimal(seen["balance"]) == Decimal(venue.state()["accounts"]["paper"]["spot"]["ETH"]["free"])
