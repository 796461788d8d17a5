"""A customer's session by a client that was generated from the schema; prints what the client saw as one JSON object.

session.py URL STREAM_URL KEY SECRET SYMBOL
"""

import hashlib
import hmac
import json
import sys
import time
from collections.abc import Generator
from datetime import timedelta
from types import ModuleType
from typing import Any

import httpx
from crossbook import Client
from crossbook.api.account import (
    download_ledger,
    list_accounts,
    list_ledger_entries,
    list_withdrawals,
    read_portfolio,
    read_statement,
)
from crossbook.api.market import (
    ask_firm_quote,
    list_greeks,
    list_instruments,
    list_quotes,
    read_index,
    read_time,
)
from crossbook.api.orders import list_orders, place_order, place_orders, read_order
from crossbook.api.positions import list_positions, read_position
from crossbook.api.stream import stream
from crossbook.api.webhooks import (
    change_webhook_endpoint,
    delete_webhook_endpoint,
    list_webhook_endpoints,
    register_webhook_endpoint,
    rotate_webhook_secret,
)
from crossbook.models import (
    CloseByOpeningOrder,
    CloseByPosition,
    CloseQuote,
    ErrorBody,
    EventType,
    IndexSpan,
    NewWebhookEndpoint,
    OpenOrder,
    OpenQuote,
    OrderBatchBody,
    OrderState,
    Payout,
    PortfolioSpan,
    PositionState,
    Snapshot,
    WebhookEndpointChange,
)

url, stream_url, key, secret, symbol = sys.argv[1:]
called: list[str] = []


class Signed(httpx.Auth):
    """Signs each request as docs/api.md says."""

    requires_request_body = True
    _last_ms = 0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        self._last_ms = max(int(time.time() * 1000), self._last_ms + 1)
        target = request.url.raw_path.decode()
        signed = f"{self._last_ms}{request.method}{target}".encode() + request.content
        request.headers["X-API-Key"] = key
        request.headers["X-API-Timestamp"] = str(self._last_ms)
        request.headers["X-API-Signature"] = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        yield request


def client_of(address: str) -> Client:
    return Client(
        base_url=address, httpx_args={"auth": Signed(), "trust_env": False}, raise_on_unexpected_status=True
    )


client = client_of(url)


def call(operation: ModuleType, *arguments: Any, **named: Any) -> Any:
    """The good answer of an operation, as the client reads it."""
    called.append(operation.__name__.rpartition(".")[2])
    answer = operation.sync_detailed(*arguments, client=client, **named)
    assert answer.status_code in (200, 201), answer
    assert answer.parsed is not None
    return answer.parsed


def first_event() -> tuple[str, Snapshot]:
    """A stream has no end, so its request is the client's and its reading is not."""
    called.append("stream")
    listening = client_of(stream_url).get_httpx_client()
    with listening.stream(**stream._get_kwargs(channels="orders,positions,balance")) as answer:
        assert answer.status_code == 200, answer
        lines = answer.iter_lines()
        event = next(line for line in lines if line.startswith("event: "))
        data = next(line for line in lines if line.startswith("data: "))
    return event.removeprefix("event: "), Snapshot.from_dict(json.loads(data.removeprefix("data: ")))


now = call(read_time)
assert now.now_ms == int(now.now.timestamp() * 1000)
instrument = call(list_instruments, symbol=symbol).results[0]
quote = call(list_quotes, symbol=symbol).results[0]
assert not quote.is_stale

index = call(read_index, underlying="BTC", span=IndexSpan.HOUR)
greeks = call(list_greeks, symbol=symbol).results[0]
assert (index.underlying, greeks.symbol) == ("BTC", symbol)

asked = OpenQuote(side="open", symbol=symbol, contracts=2)
firm = call(ask_firm_quote, body=asked)
opened = call(
    place_order,
    body=OpenOrder(type_="open", client_order_id="a", symbol=symbol, contracts=2, quote_id=firm.quote_id),
)
closed = call(
    place_order,
    body=CloseByOpeningOrder(
        type_="close",
        client_order_id="b",
        opened_by="a",
        contracts=1,
        min_proceeds="1",
        payout=Payout.INSTANT,
    ),
)
left = call(ask_firm_quote, body=CloseQuote(side="close", position_id=opened.position_id))
batch = call(
    place_orders,
    body=OrderBatchBody(
        orders=[
            CloseByPosition(
                type_="close",
                client_order_id="c",
                position_id=opened.position_id,
                quote_id=left.quote_id,
            ),
            OpenOrder(type_="open", client_order_id="d", symbol="BTC-1JAN20-1-C", contracts=1),
        ]
    ),
)

read = call(read_order, opened.id)
assert (read.client_order_id, read.cost, read.placed_at) == ("a", opened.cost, opened.placed_at)
pending = call(list_orders, symbol=symbol, state=OrderState.PENDING, limit=500)
position = call(read_position, opened.position_id)
assert position in call(list_positions, state=PositionState.CLOSED).results
account = call(list_accounts).results[0]
assert call(read_portfolio, span=PortfolioSpan.DAY).points == []
begins_at, ends_at = opened.placed_at - timedelta(days=1), opened.placed_at + timedelta(days=1)
entries = call(list_ledger_entries, from_=begins_at, to=ends_at).results
lines = call(download_ledger, from_=begins_at, to=ends_at).splitlines()
statement = call(read_statement, f"{opened.placed_at:%Y-%m}")
withdrawal = call(list_withdrawals).results[0]
event, snapshot = first_event()
address = NewWebhookEndpoint(url="https://bot.example.org/", types=[EventType.ORDER_SETTLED])
endpoint = call(register_webhook_endpoint, body=address)
rotated = call(rotate_webhook_secret, endpoint.id)
assert rotated.secret != endpoint.secret
stopped = call(change_webhook_endpoint, endpoint.id, body=WebhookEndpointChange(enabled=False))
assert stopped in call(list_webhook_endpoints).results
called.append("delete_webhook_endpoint")
assert delete_webhook_endpoint.sync_detailed(endpoint.id, client=client).status_code == 204

refused = place_order.sync(
    client=client,
    body=CloseByPosition(type_="close", client_order_id="e", position_id=opened.position_id, contracts=1),
)
assert isinstance(refused, ErrorBody)
too_much = place_order.sync(
    client=client,
    body=OpenOrder(type_="open", client_order_id="f", symbol=symbol, contracts=1_000_000),
)
assert isinstance(too_much, ErrorBody)

sys.stdout.write(
    json.dumps(
        {
            "called": called,
            "strike": instrument.strike,
            "cost": [firm.cost, opened.cost],
            "proceeds": [closed.proceeds, batch.results[0].order.proceeds],
            "statuses": [outcome.status for outcome in batch.results],
            "batch_error": batch.results[1].error.code,
            "pending": [order.client_order_id for order in pending.results],
            "position": [position.state, position.remaining],
            "balance": [account.balance, statement.closing_balance, snapshot.balance.balance],
            "kinds": [entry.kind for entry in entries],
            "csv_lines": len(lines),
            "withdrawal": [withdrawal.state, withdrawal.amount],
            "event": event,
            "endpoint": [stopped.disabled_by, stopped.types[0]],
            "error": [refused.error.code, refused.error.final],
            "limited": [
                *(too_much.error.code, too_much.error.field),
                *(too_much.error.limit, too_much.error.left),
            ],
        }
    )
)
