"""One trading session of unmodified binance-sdk-spot; prints what the client saw as one JSON object.

This package has no wallet endpoints, so transfers are left to the other clients.
"""

import json
import sys

from binance_common.configuration import ConfigurationRestAPI  # type: ignore[import-not-found]
from binance_common.errors import BadRequestError  # type: ignore[import-not-found]
from binance_sdk_spot.spot import Spot  # type: ignore[import-not-found]

URL, KEY, SECRET, PREFIX = sys.argv[1:5]
SYMBOL = "BTCUSDT"


def main() -> None:
    configuration = ConfigurationRestAPI(api_key=KEY, api_secret=SECRET, base_path=URL)
    client = Spot(config_rest_api=configuration).rest_api
    symbols = client.exchange_info(symbol=SYMBOL).data().symbols
    depth = client.depth(symbol=SYMBOL, limit=5).data()
    ask = depth.asks[0][0]
    limit = client.new_order(
        symbol=symbols[0].symbol,
        side="BUY",
        type="LIMIT",
        time_in_force="IOC",
        quantity="0.01",
        price=ask,
        new_client_order_id=f"{PREFIX}-limit",
    ).data()
    market = client.new_order(
        symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.005", new_client_order_id=f"{PREFIX}-market"
    ).data()
    found = client.get_order(symbol=SYMBOL, orig_client_order_id=f"{PREFIX}-limit", recv_window=5000.5).data()
    orders = client.all_orders(symbol=SYMBOL).data()
    trades = client.my_trades(symbol=SYMBOL, order_id=limit.order_id).data()
    account = client.get_account().data()
    try:
        client.new_order(
            symbol=SYMBOL, side="BUY", type="LIMIT", time_in_force="IOC", quantity="0.00001", price=ask
        )
        error = ""
    except BadRequestError as refused:
        error = str(refused)
    seen = {
        "limit": limit.to_dict(),
        "market": market.to_dict(),
        "found": found.to_dict(),
        "orders": [order.client_order_id for order in orders],
        "trades": [str(trade.order_id) for trade in trades],
        "balances": {item.asset: item.free for item in account.balances},
        "error": error,
    }
    json.dump(seen, sys.stdout)


main()
