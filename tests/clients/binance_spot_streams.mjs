// One session of the unmodified npm package @binance/spot on the venue's streams; prints what the client saw as JSON.
import { Spot } from "@binance/spot";

const [basePath, apiKey, apiSecret, prefix] = process.argv.slice(2);
const symbol = "ETHUSDT";
const wsURL = basePath.replace("http", "ws");

const client = new Spot({
  configurationRestAPI: { apiKey, apiSecret, basePath },
  configurationWebsocketAPI: { apiKey, apiSecret, wsURL: `${wsURL}/ws-api/v3` },
  configurationWebsocketStreams: { wsURL },
});
const first = (stream) => new Promise((resolve) => stream.on("message", resolve));

const streams = await client.websocketStreams.connect();
const [ticker, trade, candle, book] = await Promise.all([
  first(streams.bookTicker({ symbol: symbol.toLowerCase() })),
  first(streams.trade({ symbol: symbol.toLowerCase() })),
  first(streams.kline({ symbol: symbol.toLowerCase(), interval: "1m" })),
  first(streams.partialBookDepth({ symbol: symbol.toLowerCase(), levels: "10" })),
]);
await streams.disconnect();

const requests = await client.websocketAPI.connect();
const { stream } = await requests.userDataStreamSubscribeSignature();
const told = new Promise((resolve) => {
  const seen = {};
  stream.on("message", (message) => {
    if (message.e === "executionReport") seen.order = message;
    if (message.e === "outboundAccountPosition") seen.balance = message.B.find(({ a }) => a === "ETH").f;
    if (seen.order?.X === "FILLED" && seen.balance) resolve(seen);
  });
});
await client.restAPI.newOrder({
  symbol,
  side: "BUY",
  type: "MARKET",
  quantity: "0.05",
  newClientOrderId: prefix,
});
const { order, balance } = await told;
await requests.disconnect();

console.log(
  JSON.stringify({
    top: { bid: ticker.b, ask: ticker.a },
    trade: { id: Number(trade.t), price: trade.p },
    candle: [..."tohlcv"].map((name) => String(candle.k[name])),
    book: Object.fromEntries(["bids", "asks"].map((side) => [side, book[side].map(([price]) => price)])),
    order,
    balance,
  }),
);
