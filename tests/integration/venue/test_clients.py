"""Public clients that know nothing of this venue trade on it with only their base URL changed."""

import uuid
from decimal import Decimal

import pytest

from tests.support.clients import node_session, python_session
from tests.support.paper_process import KEY, SECRET

TRANSFERRED_USDT = Decimal("12.5")

SESSIONS = {
    "ccxt": python_session("ccxt_session.py", None),
    "python-binance": python_session("python_binance_session.py", "requirements.lock"),
    "binance-sdk-spot": python_session("binance_sdk_spot_session.py", "requirements.lock"),
    # binance-connector and python-binance both install a package named binance, so they live apart.
    "binance-connector": python_session("binance_connector_session.py", "connector.lock"),
    "npm-ccxt": node_session("ccxt_session.mjs"),
    "npm-binance": node_session("binance_session.mjs"),
    "npm-binance-spot": node_session("binance_spot_session.mjs"),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_an_unmodified_client_trades_finds_and_lists(venue, name):
    prefix = f"{name[:16]}-{uuid.uuid4().hex[:8]}"
    seen = SESSIONS[name](venue.url, KEY, SECRET, prefix)
    limit, market = f"{prefix}-limit", f"{prefix}-market"
    assert (seen["limit"]["clientOrderId"], seen["limit"]["status"]) == (limit, "FILLED")
    assert (seen["market"]["clientOrderId"], seen["market"]["status"]) == (market, "FILLED")
    assert Decimal(seen["market"]["executedQty"]) == Decimal("0.005")
    assert seen["found"]["orderId"] == seen["limit"]["orderId"]
    assert [order for order in seen["orders"] if order.startswith(prefix)] == [limit, market]
    assert set(seen["trades"]) == {str(seen["limit"]["orderId"])}
    spot = venue.state()["accounts"]["paper"]["spot"]
    held = {asset: Decimal(balance["free"]) for asset, balance in spot.items()}
    if "transfers" in seen:
        held["USDT"] -= TRANSFERRED_USDT  # moved in after the client had looked
    assert {asset: Decimal(amount) for asset, amount in seen["balances"].items()} == held
    assert "NOTIONAL" in seen["error"]
    if "transfers" in seen:
        assert TRANSFERRED_USDT in [Decimal(amount) for amount in seen["transfers"]]
        assert Decimal(seen["funding"]["USDT"]) > 0
    executed = [order["clientOrderId"] for order in venue.state()["orders"]]
    assert executed.count(limit) == executed.count(market) == 1
