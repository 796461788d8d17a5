// One trading session of the unmodified npm package binance; prints what the client saw as one JSON object.
import { MainClient } from "binance";

const [url, key, secret, prefix] = process.argv.slice(2);
const symbol = "BTCUSDT";

const client = new MainClient({ api_key: key, api_secret: secret, baseUrl: url, beautifyResponses: false });

const ask = (await client.getSymbolOrderBookTicker({ symbol })).askPrice;
const limit = await client.submitNewOrder({
  symbol,
  side: "BUY",
  type: "LIMIT",
  timeInForce: "IOC",
  quantity: "0.01",
  price: ask,
  newClientOrderId: `${prefix}-limit`,
  newOrderRespType: "FULL",
});
const market = await client.submitNewOrder({
  symbol,
  side: "SELL",
  type: "MARKET",
  quantity: "0.005",
  newClientOrderId: `${prefix}-market`,
});
const found = await client.getOrder({ symbol, origClientOrderId: `${prefix}-limit` });
const orders = await client.getAllOrders({ symbol });
const trades = await client.getAccountTradeList({ symbol, orderId: limit.orderId });
const account = await client.getAccountInformation();
await client.submitUniversalTransfer({ type: "FUNDING_MAIN", asset: "USDT", amount: "12.5" });
const transfers = await client.getUniversalTransferHistory({ type: "FUNDING_MAIN" });
let error = "";
try {
  await client.submitNewOrder({
    symbol, side: "BUY", type: "LIMIT", timeInForce: "IOC", quantity: "0.00001", price: ask,
  });
} catch (refused) {
  error = JSON.stringify(refused.body ?? refused);
}
const byAsset = (items) => Object.fromEntries(items.map((item) => [item.asset, item.free]));
console.log(
  JSON.stringify({
    limit,
    market,
    found,
    orders: orders.map((order) => order.clientOrderId),
    trades: trades.map((trade) => String(trade.orderId)),
    balances: byAsset(account.balances),
    error,
    transfers: transfers.rows.map((item) => item.amount),
    funding: byAsset(await client.getFundingAsset({})),
  }),
);
