"""One trading session of unmodified ccxt; prints what the client saw as one JSON object."""

import json
import sys
from urllib.parse import urlsplit

import ccxt

URL, KEY, SECRET, PREFIX = sys.argv[1:5]
SYMBOL = "BTC/USDT"


def connect() -> ccxt.binance:
    options = {
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "fetchCurrencies": False,
        "fetchMargins": False,
    }
    client = ccxt.binance({"apiKey": KEY, "secret": SECRET, "options": options})
    client.number = str
    for name, address in client.urls["api"].items():
        client.urls["api"][name] = URL + urlsplit(address).path
    client.get_exceptions_by_url = lambda _, kind: client.exceptions["spot"].get(kind, {})
    return client


def main() -> None:
    client = connect()
    ask = client.fetch_bids_asks([SYMBOL])[SYMBOL]["ask"]
    terms = {"timeInForce": "IOC", "newClientOrderId": f"{PREFIX}-limit"}
    limit = client.create_order(SYMBOL, "limit", "buy", "0.01", ask, terms)
    market = client.create_order(
        SYMBOL, "market", "sell", "0.005", None, {"newClientOrderId": f"{PREFIX}-market"}
    )
    found = client.fetch_order(None, SYMBOL, {"origClientOrderId": f"{PREFIX}-limit"})
    orders = client.fetch_orders(SYMBOL)
    trades = client.fetch_my_trades(SYMBOL, params={"orderId": limit["id"]})
    balances = client.fetch_balance()
    client.transfer("USDT", "12.5", "funding", "spot")
    transfers = client.fetch_transfers("USDT", params={"fromAccount": "funding", "toAccount": "spot"})
    try:
        client.create_order(SYMBOL, "limit", "buy", "0.00001", ask, {"timeInForce": "IOC"})
        error = ""
    except ccxt.BadRequest as refused:
        error = str(refused)
    seen = {
        "limit": limit["info"],
        "market": market["info"],
        "found": found["info"],
        "orders": [order["clientOrderId"] for order in orders],
        "trades": [trade["order"] for trade in trades],
        "balances": balances["free"],
        "error": error,
        "transfers": [item["amount"] for item in transfers],
        "funding": client.fetch_balance({"type": "funding"})["free"],
    }
    json.dump(seen, sys.stdout)


main()
