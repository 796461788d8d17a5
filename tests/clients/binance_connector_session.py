"""One trading session of unmodified binance-connector; prints what the client saw as one JSON object."""

import json
import sys

from binance.error import ClientError  # type: ignore[import-not-found]
from binance.spot import Spot  # type: ignore[import-not-found]

URL, KEY, SECRET, PREFIX = sys.argv[1:5]
SYMBOL = "BTCUSDT"


def main() -> None:
    client = Spot(api_key=KEY, api_secret=SECRET, base_url=URL)
    client.ping()
    ask = client.book_ticker(SYMBOL)["askPrice"]
    limit = client.new_order(
        SYMBOL,
        "BUY",
        "LIMIT",
        timeInForce="IOC",
        quantity="0.01",
        price=ask,
        newClientOrderId=f"{PREFIX}-limit",
    )
    market = client.new_order(SYMBOL, "SELL", "MARKET", quantity="0.005", newClientOrderId=f"{PREFIX}-market")
    found = client.get_order(SYMBOL, origClientOrderId=f"{PREFIX}-limit")
    orders = client.get_orders(SYMBOL)
    trades = client.my_trades(SYMBOL, orderId=limit["orderId"])
    account = client.account()
    client.user_universal_transfer("FUNDING_MAIN", "USDT", "12.5")
    transfers = client.user_universal_transfer_history("FUNDING_MAIN")
    try:
        client.new_order(SYMBOL, "BUY", "LIMIT", timeInForce="IOC", quantity="0.00001", price=ask)
        error = ""
    except ClientError as refused:
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
