// A customer's session by a client whose types were generated from the schema; prints what it saw as one JSON object.
//     node session.js URL STREAM_URL KEY SECRET SYMBOL
import { createHmac } from "node:crypto";
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./crossbook.js";

type Schemas = components["schemas"];

const [url, streamUrl, key, secret, symbol] = process.argv.slice(2) as [string, string, string, string, string];
const called: string[] = [];
let lastMs = 0;

// Signs each request as docs/api.md says.
const signed: Middleware = {
  async onRequest({ request, schemaPath }) {
    called.push(`${request.method} ${schemaPath}`);
    lastMs = Math.max(Date.now(), lastMs + 1);
    const { pathname, search } = new URL(request.url);
    const body = await request.clone().text();
    const text = `${lastMs}${request.method}${pathname}${search}${body}`;
    request.headers.set("X-API-Key", key);
    request.headers.set("X-API-Timestamp", String(lastMs));
    request.headers.set("X-API-Signature", createHmac("sha256", secret).update(text).digest("hex"));
    return request;
  },
};

function clientOf(baseUrl: string) {
  const client = createClient<paths>({ baseUrl });
  client.use(signed);
  return client;
}

function good<T>(answer: { data?: T; error?: Schemas["ErrorBody"]; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status} ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

function first<T>(list: readonly T[]): T {
  const [found] = list;
  if (found === undefined) {
    throw new Error("an empty list");
  }
  return found;
}

const client = clientOf(url);

const now = good(await client.GET("/api/v1/time"));
if (Date.parse(now.now) !== now.now_ms) {
  throw new Error("the server tells two times");
}
const instrument = first(good(await client.GET("/api/v1/instruments", { params: { query: { symbol } } })).results);
const quote: Schemas["QuoteBody"] = first(
  good(await client.GET("/api/v1/quotes", { params: { query: { symbol } } })).results,
);
if (quote.is_stale || quote.coin_state !== "normal") {
  throw new Error("the price is stale");
}

const index = good(await client.GET("/api/v1/index", { params: { query: { underlying: "BTC", span: "hour" } } }));
const greeks = first(good(await client.GET("/api/v1/greeks", { params: { query: { symbol } } })).results);
if (index.underlying !== "BTC" || greeks.symbol !== symbol || !(Number(greeks.gamma) > 0)) {
  throw new Error("the index or the greeks are of something else");
}

const firm = good(await client.POST("/api/v1/quotes", { body: { side: "open", symbol, contracts: 2 } }));
const opened = good(
  await client.POST("/api/v1/orders", {
    body: { type: "open", client_order_id: "a", symbol, contracts: 2, quote_id: firm.quote_id },
  }),
);
const close: Schemas["CloseByOpeningOrder"] = {
  type: "close",
  client_order_id: "b",
  opened_by: "a",
  contracts: 1,
  min_proceeds: "1",
  payout: "instant",
};
const closed = good(await client.POST("/api/v1/orders", { body: close }));
const position_id = opened.position_id;
const left = good(await client.POST("/api/v1/quotes", { body: { side: "close", position_id } }));
const batch = good(
  await client.POST("/api/v1/orders/batch", {
    body: {
      orders: [
        { type: "close", client_order_id: "c", position_id, quote_id: left.quote_id },
        { type: "open", client_order_id: "d", symbol: "BTC-1JAN20-1-C", contracts: 1 },
      ],
    },
  }),
);

const read = good(await client.GET("/api/v1/orders/{order_id}", { params: { path: { order_id: opened.id } } }));
if (read.client_order_id !== "a" || read.cost !== opened.cost || read.placed_at !== opened.placed_at) {
  throw new Error("an order that is read is not the one that was placed");
}
const pending = good(
  await client.GET("/api/v1/orders", { params: { query: { symbol, state: "pending", limit: 500 } } }),
);
const position = good(
  await client.GET("/api/v1/positions/{position_id}", { params: { path: { position_id } } }),
);
const ended = good(await client.GET("/api/v1/positions", { params: { query: { state: "closed" } } }));
if (!ended.results.some((each) => each.id === position.id)) {
  throw new Error("the position is not listed");
}
const past: Schemas["PortfolioBody"] = good(await client.GET("/api/v1/portfolio", { params: { query: { span: "day" } } }));
if (past.points.some((point) => point.value !== null && point.profit === null)) {
  throw new Error("a profit is not known of what has a value");
}
const account = first(good(await client.GET("/api/v1/accounts")).results);
const DAY_MS = 24 * 3600 * 1000;
const placedAt = Date.parse(opened.placed_at);
const range = { from: new Date(placedAt - DAY_MS).toISOString(), to: new Date(placedAt + DAY_MS).toISOString() };
const entries = good(await client.GET("/api/v1/ledger", { params: { query: range } })).results;
const csv: string = good(await client.GET("/api/v1/ledger.csv", { params: { query: range }, parseAs: "text" }));
const statement = good(
  await client.GET("/api/v1/statements/{month}", { params: { path: { month: opened.placed_at.slice(0, 7) } } }),
);
const withdrawal = first(good(await client.GET("/api/v1/withdrawals")).results);

// A stream has no end: what has come of it is read, then it is left.
async function firstEvent(): Promise<[string, Schemas["StreamEvents"]["snapshot"]]> {
  const leaving = new AbortController();
  const answer = await clientOf(streamUrl).GET("/api/v1/stream", {
    params: { query: { channels: "orders,positions,balance" } },
    parseAs: "stream",
    signal: leaving.signal,
  });
  if (!answer.data) {
    throw new Error(`the stream is answered with ${answer.response.status}`);
  }
  const reader = answer.data.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const found = /event: (.+)\ndata: (.+)\n/.exec(text);
    if (found !== null) {
      leaving.abort();
      return [found[1]!, JSON.parse(found[2]!) as Schemas["Snapshot"]];
    }
    const part = await reader.read();
    if (part.done) {
      throw new Error(`the stream has ended: ${text}`);
    }
    text += part.value;
  }
}
const [event, snapshot] = await firstEvent();

const registered = good(
  await client.POST("/api/v1/webhook-endpoints", {
    body: { url: "https://bot.example.org/", types: ["order.settled"] },
  }),
);
const endpointPath = { params: { path: { endpoint_id: registered.id } } };
const rotated = good(await client.POST("/api/v1/webhook-endpoints/{endpoint_id}/secret", endpointPath));
if (rotated.secret === registered.secret) {
  throw new Error("the secret is the same");
}
const stopped = good(
  await client.PATCH("/api/v1/webhook-endpoints/{endpoint_id}", { ...endpointPath, body: { enabled: false } }),
);
const endpoints = good(await client.GET("/api/v1/webhook-endpoints")).results;
if (endpoints.length !== 1 || first(endpoints).id !== stopped.id) {
  throw new Error("the endpoint is not listed");
}
const deleted = await client.DELETE("/api/v1/webhook-endpoints/{endpoint_id}", endpointPath);
if (deleted.response.status !== 204) {
  throw new Error("the endpoint was not deleted");
}

const refused = await client.POST("/api/v1/orders", {
  body: { type: "close", client_order_id: "e", position_id, contracts: 1 },
});
if (refused.error === undefined) {
  throw new Error("a closed position was closed");
}
const tooMuch = await client.POST("/api/v1/orders", {
  body: { type: "open", client_order_id: "f", symbol, contracts: 1_000_000 },
});
if (tooMuch.error === undefined) {
  throw new Error("more was opened than the limit allows");
}
const limited: Schemas["Problem"] = tooMuch.error.error;

console.log(
  JSON.stringify({
    called: called,
    strike: instrument.strike,
    cost: [firm.cost, opened.cost],
    proceeds: [closed.proceeds, batch.results[0]?.order?.proceeds],
    statuses: batch.results.map((outcome) => outcome.status),
    batch_error: batch.results[1]?.error?.code,
    pending: pending.results.map((order) => order.client_order_id),
    position: [position.state, position.remaining],
    balance: [account.balance, statement.closing_balance, snapshot.balance?.balance],
    kinds: entries.map((entry) => entry.kind),
    csv_lines: csv.trimEnd().split("\n").length,
    withdrawal: [withdrawal.state, withdrawal.amount],
    event,
    endpoint: [stopped.disabled_by, stopped.types[0]],
    error: [refused.error.error.code, refused.error.error.final],
    limited: [limited.code, limited.field, limited.limit, limited.left],
  }),
);
