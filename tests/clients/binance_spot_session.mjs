// One trading session of the unmodified npm package @binance/spot; prints what the client saw as one JSON object.
// This package has no wallet endpoints, so transfers are left to the other clients.
import { Spot } from "@binance/spot";

const [basePath, apiKey, apiSecret, prefix] = process.argv.slice(2);
const symbol = "BTCUSDT";

const client = new Spot({ configurationRestAPI: { apiKey, apiSecret, basePath } }).restAPI;
const data = async (response) => (await response).data();

const { asks } = await data(client.depth({ symbol, limit: 5 }));
const ask = asks[0][0];
const limit = await data(
  client.newOrder({
    symbol,
    side: "BUY",
    type: "LIMIT",
    timeInForce: "IOC",
    quantity: "0.01",
    price: ask,
    newClientOrderId: `${prefix}-limit`,
  }),
);
const market = await data(
  client.newOrder({ symbol, side: "SELL", type: "MARKET", quantity: "0.005", newClientOrderId: `${prefix}-market` }),
);
const found = await data(client.getOrder({ symbol, origClientOrderId: `${prefix}-limit` }));
const orders = await data(client.allOrders({ symbol }));
const trades = await data(client.myTrades({ symbol, orderId: limit.orderId }));
const account = await data(client.getAccount());
let error = "";
try {
  await data(
    client.newOrder({ symbol, side: "BUY", type: "LIMIT", timeInForce: "IOC", quantity: "0.00001", price: ask }),
  );
} catch (refused) {
  error = String(refused);
}
console.log(
  JSON.stringify({
    limit,
    market,
    found,
    orders: orders.map((order) => order.clientOrderId),
    trades: trades.map((trade) => String(trade.orderId)),
    balances: Object.fromEntries(account.balances.map((item) => [item.asset, item.free])),
    error,
  }),
);
