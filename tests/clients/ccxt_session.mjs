// One trading session of unmodified ccxt for JavaScript; prints what the client saw as one JSON object.
import ccxt from "ccxt";

const [url, apiKey, secret, prefix] = process.argv.slice(2);
const symbol = "BTC/USDT";

const client = new ccxt.binance({
  apiKey,
  secret,
  options: { defaultType: "spot", fetchMarkets: { types: ["spot"] }, fetchCurrencies: false, fetchMargins: false },
});
client.number = String;
for (const [name, address] of Object.entries(client.urls.api)) {
  client.urls.api[name] = url + new URL(address).pathname;
}

const ask = (await client.fetchBidsAsks([symbol]))[symbol].ask;
const limit = await client.createOrder(symbol, "limit", "buy", "0.01", ask, {
  timeInForce: "IOC",
  newClientOrderId: `${prefix}-limit`,
});
const market = await client.createOrder(symbol, "market", "sell", "0.005", undefined, {
  newClientOrderId: `${prefix}-market`,
});
const found = await client.fetchOrder(undefined, symbol, { origClientOrderId: `${prefix}-limit` });
const orders = await client.fetchOrders(symbol);
const trades = await client.fetchMyTrades(symbol, undefined, undefined, { orderId: limit.id });
const balances = await client.fetchBalance();
await client.transfer("USDT", "12.5", "funding", "spot");
const transfers = await client.fetchTransfers("USDT", undefined, undefined, {
  fromAccount: "funding",
  toAccount: "spot",
});
let error = "";
try {
  await client.createOrder(symbol, "limit", "buy", "0.00001", ask, { timeInForce: "IOC" });
} catch (refused) {
  error = String(refused);
}
console.log(
  JSON.stringify({
    limit: limit.info,
    market: market.info,
    found: found.info,
    orders: orders.map((order) => order.clientOrderId),
    trades: trades.map((trade) => trade.order),
    balances: balances.free,
    error,
    transfers: transfers.map((item) => item.amount),
    funding: (await client.fetchBalance({ type: "funding" })).free,
  }),
);
