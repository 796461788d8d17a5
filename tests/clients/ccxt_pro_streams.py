"""One session of unmodified ccxt.pro on the venue's streams; prints what the client saw as one JSON object."""

import asyncio
import json
import sys
from urllib.parse import urlsplit

import ccxt.pro

URL, KEY, SECRET, PREFIX = sys.argv[1:5]
SYMBOL = "ETH/USDT"


def moved(address):
    if isinstance(address, dict):
        return {name: moved(inner) for name, inner in address.items()}
    parts = urlsplit(address)
    return (URL.replace("http", "ws", 1) if parts.scheme == "wss" else URL) + parts.path


def connect() -> ccxt.pro.binance:
    options = {
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "fetchCurrencies": False,
        "fetchMargins": False,
    }
    client = ccxt.pro.binance({"apiKey": KEY, "secret": SECRET, "options": options})
    client.number = str
    client.urls["api"] = moved(client.urls["api"])
    return client


async def watch_order(client, client_order_id):
    """What the account's stream tells of an order until it is filled."""
    told = []
    while not told or told[-1]["X"] != "FILLED":
        for order in await client.watch_orders(SYMBOL):
            if order["clientOrderId"] == client_order_id and order["info"] not in told:
                told.append(order["info"])
    return told[-1]


async def main() -> None:
    client = connect()
    tickers = await client.watch_bids_asks([SYMBOL, "BTC/USDT"])
    tickers |= await client.watch_bids_asks([SYMBOL])
    trades = await client.watch_trades(SYMBOL)
    candles = await client.watch_ohlcv(SYMBOL, "1m")
    for _ in range(5):
        book = await client.watch_order_book(SYMBOL)
    watching = asyncio.ensure_future(watch_order(client, PREFIX))
    balances = asyncio.ensure_future(client.watch_balance())
    await asyncio.sleep(0.5)  # until the account's stream is on
    await client.create_order(SYMBOL, "market", "buy", "0.05", None, {"newClientOrderId": PREFIX})
    seen = {
        "top": {"bid": tickers[SYMBOL]["bid"], "ask": tickers[SYMBOL]["ask"]},
        "trade": {"id": trades[-1]["info"]["t"], "price": trades[-1]["info"]["p"]},
        "candle": [str(value) for value in candles[-1]],
        "book": {side: [str(level[0]) for level in book[side]] for side in ("bids", "asks")},
        "order": await watching,
        "balance": (await balances)["free"]["ETH"],
    }
    await client.close()
    json.dump(seen, sys.stdout)


asyncio.run(main())
