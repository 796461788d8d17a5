"""One session of unmodified python-binance on the venue's streams; prints what the client saw as one JSON object."""

import asyncio
import json
import sys

from binance import AsyncClient, BinanceSocketManager  # type: ignore[import-not-found]

URL, KEY, SECRET, PREFIX = sys.argv[1:5]
SYMBOL = "ETHUSDT"
STREAMS_URL = URL.replace("http", "ws", 1)


class LocalClient(AsyncClient):
    """The client at another address."""

    API_URL = f"{URL}/api"
    WS_API_URL = f"{STREAMS_URL}/ws-api/v3"


class LocalSocketManager(BinanceSocketManager):
    """Its streams at another address."""

    STREAM_URL = f"{STREAMS_URL}/"


async def first(socket):
    async with socket as stream:
        return await stream.recv()


async def watched_order(manager, client):
    """The filled order and the balance, as the account's stream tells them."""
    order = balance = None
    async with manager.user_socket() as stream:
        await client.create_order(
            symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.05", newClientOrderId=PREFIX
        )
        while order is None or order["X"] != "FILLED" or balance is None:
            message = await stream.recv()
            if message["e"] == "executionReport":
                order = message
            elif message["e"] == "outboundAccountPosition":
                balance = next(item["f"] for item in message["B"] if item["a"] == "ETH")
    return order, balance


async def main() -> None:
    client = await LocalClient.create(KEY, SECRET)
    manager = LocalSocketManager(client)
    ticker = await first(manager.symbol_book_ticker_socket(SYMBOL))
    trade = await first(manager.trade_socket(SYMBOL))
    candle = (await first(manager.kline_socket(SYMBOL)))["k"]
    book = await first(manager.depth_socket(SYMBOL, depth="10"))
    combined = await first(manager.multiplex_socket([f"{SYMBOL.lower()}@aggTrade", "btcusdt@bookTicker"]))
    order, balance = await watched_order(manager, client)
    seen = {
        "top": {"bid": ticker["b"], "ask": ticker["a"]},
        "trade": {"id": trade["t"], "price": trade["p"]},
        "candle": [str(candle[name]) for name in "tohlcv"],
        "book": {side: [level[0] for level in book[side]] for side in ("bids", "asks")},
        "combined": combined["stream"],
        "order": order,
        "balance": balance,
    }
    await client.close_connection()
    json.dump(seen, sys.stdout)


asyncio.run(main())
