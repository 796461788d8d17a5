"""One trading session of unmodified python-binance; prints what the client saw as one JSON object."""

import json
import sys

from binance.client import Client  # type: ignore[import-not-found]
from binance.exceptions import BinanceAPIException  # type: ignore[import-not-found]

URL, KEY, SECRET, PREFIX = sys.argv[1:5]
SYMBOL = "BTCUSDT"


class LocalClient(Client):
    """The client at another address; its constructor pings it."""

    API_URL = f"{URL}/api"
    MARGIN_API_URL = f"{URL}/sapi"


def main() -> None:
    client = LocalClient(KEY, SECRET)
    ask = client.get_orderbook_ticker(symbol=SYMBOL)["askPrice"]
    limit = client.create_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        timeInForce="IOC",
        quantity="0.01",
        price=ask,
        newClientOrderId=f"{PREFIX}-limit",
    )
    market = client.order_market_sell(symbol=SYMBOL, quantity="0.005", newClientOrderId=f"{PREFIX}-market")
    found = client.get_order(symbol=SYMBOL, origClientOrderId=f"{PREFIX}-limit")
    orders = client.get_all_orders(symbol=SYMBOL)
    trades = client.get_my_trades(symbol=SYMBOL, orderId=limit["orderId"])
    account = client.get_account()
    client.make_universal_transfer(type="FUNDING_MAIN", asset="USDT", amount="12.5")
    transfers = client.query_universal_transfer_history(type="FUNDING_MAIN")
    try:
        client.order_limit_buy(symbol=SYMBOL, quantity="0.00001", price=ask)
        error = ""
    except BinanceAPIException as refused:
        error = str(refused)
    seen = {
        "limit": limit,
        "market": market,
        "found": found,
        "orders": [order["clientOrderId"] for order in orders],
        "trades": [str(trade["orderId"]) for trade in trades],
        "balances": {item["asset"]: item["free"] for item in account["balances"]},
        "error": error,
        "transfers": [item["amount"] for item in transfers["rows"]],
        "funding": {item["asset"]: item["free"] for item in client.funding_wallet()},
    }
    json.dump(seen, sys.stdout)


main()
