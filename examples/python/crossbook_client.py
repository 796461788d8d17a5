"""A client of Crossbook's customers' API: signed requests, typed answers, orders that may safely be sent again.

Needs Python 3.11 and `requests`. Amounts are Decimal: USDT with 6 decimals, coin and prices with 8.

    client = Client("https://options.example.org", key="cbk_...", secret="cbs_...")
    symbol = next(quote.symbol for quote in client.quotes(underlying="BTC") if quote.cost)
    quote = client.firm_quote(symbol=symbol, contracts=2)
    order = client.open(client_order_id="bot7-1", symbol=quote.symbol, contracts=2, quote_id=quote.quote_id)
"""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

import requests
from requests.auth import AuthBase

T = TypeVar("T")

TRIES = 4
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
SILENT_SECONDS = 45.0  # three heartbeats of the stream
# Sent again, these may well succeed; every other answer stays what it is.
DONE = range(200, 300)
TRY_AGAIN = (
    *range(300, 400),
    429,
    502,
    503,
    504,
)  # a redirect is no answer of Crossbook, and is not followed

NOTHING_DONE = ("overloaded", "desk_behind")  # of answers 503


class CrossbookError(Exception):
    """The API refused: `code` is stable and for programs; docs/api-errors.md lists them."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: dict[str, str],
        final_after_ms: int = 0,
        left: Decimal | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.detail = detail
        self.left = left  # of the limit or the balance that the order would have gone beyond
        # Until then an earlier attempt of the same client_order_id that had no answer may still be placed.
        self.final_after_ms = final_after_ms
        self.had_no_answer = False  # an earlier attempt of the same call


class OutcomeUnknown(Exception):
    """No answer after all tries. An order may have been placed: send it again under the same client_order_id."""


class Signed(AuthBase):
    """Signs a request with an API key: HMAC-SHA256 over time, window, method, path with query, and body."""

    def __init__(self, key: str, secret: str, *, recv_window_ms: int = 5000) -> None:
        self._key = key
        self._secret = secret.encode()
        self._recv_window = str(recv_window_ms)
        self._last_ms = 0
        self.clock_ahead_seconds = 0.0  # of the server before ours

    def go_by(self, servers_now: datetime) -> None:
        """Sign by the server's clock from now on."""
        self.clock_ahead_seconds = (servers_now - datetime.now(UTC)).total_seconds()
        self._last_ms = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # Two requests that are alike need different times: a signature counts once.
        self._last_ms = max(int((time.time() + self.clock_ahead_seconds) * 1000), self._last_ms + 1)
        timestamp = str(self._last_ms)
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        signed = f"{timestamp}{self._recv_window}{request.method}{request.path_url}".encode() + bytes(body)
        request.headers["X-API-Key"] = self._key
        request.headers["X-API-Timestamp"] = timestamp
        request.headers["X-API-Recv-Window"] = self._recv_window
        request.headers["X-API-Signature"] = hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
        return request


@dataclass(frozen=True, slots=True)
class Instrument:
    """An option that has not expired."""

    symbol: str
    underlying: str
    kind: str  # C or P
    strike: Decimal  # USDT for one coin
    expires_at: datetime
    multiplier: Decimal  # coin in one contract
    state: str


@dataclass(frozen=True, slots=True)
class Quote:
    """What one contract costs and brings now; premiums are coin for one coin, the rest is USDT."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    mark: Decimal
    index_price: Decimal
    cost: Decimal | None
    proceeds: Decimal | None
    quoted_at: datetime
    is_stale: bool
    coin_state: str


@dataclass(frozen=True, slots=True)
class FirmQuote:
    """A price that one order gets if it names `quote_id` before `expires_at`; USDT."""

    quote_id: str
    symbol: str
    side: str
    contracts: int
    spread: Decimal
    cost: Decimal | None
    proceeds: Decimal | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """How the desk settled an order; USDT."""

    price: Decimal
    value: Decimal
    fee: Decimal
    due: Decimal
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted order; `state` and `settlement` are told when it is read, not when it is placed."""

    id: str
    client_order_id: str
    type: str
    symbol: str
    contracts: int
    position_id: str
    coin: Decimal
    fair: Decimal
    spread: Decimal
    cost: Decimal | None
    proceeds: Decimal | None
    payout: str
    placed_at: datetime
    state: str | None = None
    settlement: Settlement | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """What one opening order bought; amounts in USDT."""

    id: str
    symbol: str
    contracts: int
    remaining: int
    unpaid: int
    cost: Decimal
    proceeds: Decimal
    state: str
    opened_at: datetime
    closed_at: datetime | None
    settlement_index: Decimal | None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One movement on the account, in USDT: positive in, negative out."""

    id: str
    kind: str
    amount: Decimal
    balance_after: Decimal
    order_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One of the stream: docs/api-stream.md says which there are; `data` is JSON, amounts in it are strings."""

    name: str
    id: str | None
    data: dict[str, Any]


class Client:
    """Speaks for one customer; not to be shared by threads."""

    def __init__(
        self, url: str, *, key: str, secret: str, recv_window_ms: int = 5000, timeout_seconds: float = 10.0
    ) -> None:
        self._url = url.rstrip("/")
        self._signed = Signed(key, secret, recv_window_ms=recv_window_ms)
        self._timeout_seconds = timeout_seconds
        self._http = requests.Session()
        self._http.auth = self._signed
        self._unanswered: set[str] = set()  # client_order_ids

    # --- what is for sale -----------------------------------------------------------------------------------------

    def server_time(self) -> datetime:
        """The time by which the server judges signatures; other calls go by it as soon as ours is too far off."""
        return datetime.fromisoformat(self._get("/api/v1/time")["now"])

    def instruments(self, *, underlying: str | None = None) -> list[Instrument]:
        """Options that have not expired."""
        return _all_of(Instrument, self._get("/api/v1/instruments", underlying=underlying))

    def quotes(self, *, underlying: str | None = None, symbol: str | None = None) -> list[Quote]:
        """Present prices."""
        return _all_of(Quote, self._get("/api/v1/quotes", underlying=underlying, symbol=symbol))

    def firm_quote(
        self, *, symbol: str | None = None, position_id: str | None = None, contracts: int | None = None
    ) -> FirmQuote:
        """A firm price: to open `contracts` of `symbol`, or to close those of a position."""
        side = "open" if position_id is None else "close"
        body = {"side": side, "symbol": symbol, "position_id": position_id, "contracts": contracts}
        return _one(FirmQuote, self._post("/api/v1/quotes", body))

    # --- orders -----------------------------------------------------------------------------------------------------

    def open(
        self,
        *,
        client_order_id: str,
        symbol: str,
        contracts: int,
        max_cost: Decimal | None = None,
        quote_id: str | None = None,
    ) -> Order:
        """Buy contracts for `max_cost` USDT at most, or at the price of a firm quote: always give one of the two.

        May be called again with the same arguments after any outcome of the first call: it is one order.
        """
        body = {"type": "open", "client_order_id": client_order_id, "symbol": symbol, "contracts": contracts}
        return self._place(body | {"max_cost": max_cost, "quote_id": quote_id})

    def close(
        self,
        *,
        client_order_id: str,
        position_id: str | None = None,
        opened_by: str | None = None,
        contracts: int | None = None,
        min_proceeds: Decimal | None = None,
        payout: str = "instant",
        quote_id: str | None = None,
    ) -> Order:
        """Sell contracts of a position (all that are left unless `contracts` says how many), named in one of two ways.

        For `min_proceeds` USDT at least, or at the price of a firm quote: always give one of the two.
        May be called again with the same arguments after any outcome of the first call: it is one order.
        """
        body = {"type": "close", "client_order_id": client_order_id, "payout": payout, "quote_id": quote_id}
        named = {"position_id": position_id, "opened_by": opened_by}
        size = {"contracts": contracts, "min_proceeds": min_proceeds}
        return self._place(body | named | size)

    def _place(self, body: dict[str, Any]) -> Order:
        """Place it, or find out that an earlier attempt did, which had no answer: a refusal says nothing of those."""
        name = body["client_order_id"]
        try:
            return _one(Order, self._post("/api/v1/orders", body))
        except OutcomeUnknown:
            self._unanswered.add(name)
            raise
        except CrossbookError as refused:
            if not refused.final_after_ms or not (refused.had_no_answer or name in self._unanswered):
                raise
            time.sleep(refused.final_after_ms / 1000)
            earlier = self.find_order(name)
            self._unanswered.discard(name)
            if earlier is None:
                raise
            return earlier

    def order(self, order_id: str) -> Order:
        """An order as it stands now."""
        return _one(Order, self._get(f"/api/v1/orders/{order_id}"))

    def find_order(self, client_order_id: str) -> Order | None:
        """The order of that name, if it was ever accepted."""
        found = self._get("/api/v1/orders", client_order_id=client_order_id)
        return next(iter(_all_of(Order, found)), None)

    def orders(
        self,
        *,
        state: str | None = None,
        symbol: str | None = None,
        begin: datetime | None = None,
        end: datetime | None = None,
    ) -> Iterator[Order]:
        """All orders, newest first; those placed from `begin` on and before `end`, which have time zones."""
        return self._pages(Order, "/api/v1/orders", state=state, symbol=symbol, **_times(begin, end))

    # --- what the customer has ----------------------------------------------------------------------------------------

    def balance(self) -> Decimal:
        """USDT."""
        [account] = self._get("/api/v1/accounts")["results"]
        return Decimal(account["balance"])

    def positions(
        self, *, state: str | None = None, begin: datetime | None = None, end: datetime | None = None
    ) -> Iterator[Position]:
        """All positions, newest first; those opened from `begin` on and before `end`."""
        return self._pages(Position, "/api/v1/positions", state=state, **_times(begin, end))

    def ledger(self, *, begin: datetime | None = None, end: datetime | None = None) -> Iterator[LedgerEntry]:
        """All movements on the account, newest first; those made from `begin` on and before `end`."""
        return self._pages(LedgerEntry, "/api/v1/ledger", **_times(begin, end))

    # --- the stream ---------------------------------------------------------------------------------------------------

    def events(
        self, *, channels: str = "orders,positions,balance", underlying: str | None = None
    ) -> Iterator[Event]:
        """What happens, from now on until the key is revoked; a connection that is lost is made again.

        After each loss comes a `snapshot` with everything that may have changed meanwhile.
        Raises: CrossbookError when the stream is refused.
        """
        query = {"channels": channels} | ({"underlying": underlying} if underlying else {})
        last_id, pause = None, FIRST_PAUSE_SECONDS
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
            try:
                with self._http.get(
                    f"{self._url}/api/v1/stream",
                    params=query,
                    headers=headers,
                    stream=True,
                    timeout=(self._timeout_seconds, SILENT_SECONDS),
                ) as answer:
                    if not answer.ok and answer.status_code not in TRY_AGAIN:
                        self._go_by_the_server_or_raise(_error(answer))
                    for event in _events(answer.iter_lines(chunk_size=None)) if answer.ok else ():
                        last_id, pause = event.id or last_id, FIRST_PAUSE_SECONDS
                        yield event
                        if event.name == "end" and event.data["code"] == "revoked":
                            return
            except requests.RequestException:
                pass
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    # --- asking -------------------------------------------------------------------------------------------------------

    def _pages(self, kind: type[T], path: str, **query: Any) -> Iterator[T]:
        cursor = None
        while True:
            page = self._get(path, cursor=cursor, **query)
            yield from _all_of(kind, page)
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _get(self, path: str, **query: Any) -> Any:
        return self._ask(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        raw = json.dumps(given, default=str).encode()
        return self._ask("POST", path, data=raw, headers={"Content-Type": "application/json"})

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        """Send it until there is an answer that stands, signed anew each time, for a signature counts once."""
        pause, problem, had_no_answer = FIRST_PAUSE_SECONDS, "no answer", False
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
            pause *= 2
            try:
                answer = self._http.request(
                    method,
                    f"{self._url}{path}",
                    timeout=self._timeout_seconds,
                    allow_redirects=False,
                    **options,
                )
            except (requests.ConnectionError, requests.Timeout) as error:
                problem, had_no_answer = str(error), True
                continue
            if answer.status_code in DONE:
                return answer.json()
            refused = _error(answer)
            problem, refused.had_no_answer = str(refused), had_no_answer
            had_no_answer |= answer.status_code in (502, 503, 504) and refused.code not in NOTHING_DONE
            nothing_done = answer.status_code == 429 or (answer.status_code == 401 and not had_no_answer)
            if attempt == TRIES - 1 and nothing_done:
                raise refused
            if answer.status_code not in TRY_AGAIN:
                self._go_by_the_server_or_raise(refused)
            pause = max(pause, float(answer.headers.get("Retry-After", 0)))
        raise OutcomeUnknown(problem)

    def _go_by_the_server_or_raise(self, refused: CrossbookError) -> None:
        """Before another try of what was refused for its time only: by a wrong clock, or long on its way."""
        if refused.code != "signature_expired":
            raise refused
        self._signed.go_by(datetime.fromisoformat(refused.detail["now"]))


def _error(answer: requests.Response) -> CrossbookError:
    try:
        told = answer.json()["error"]
    except (ValueError, KeyError, TypeError):  # of something between us and Crossbook
        return CrossbookError(answer.status_code, "unreadable", answer.text[:200], {})
    detail, after_ms = told.get("detail") or {}, told.get("final_after_ms", 0)
    left = Decimal(told["left"]) if "left" in told else None
    return CrossbookError(answer.status_code, told["code"], told["message"], detail, after_ms, left)


def _events(lines: Iterator[bytes]) -> Iterator[Event]:
    """Server-sent events; comments and fields that are not ours are passed over."""
    name, event_id, data = "message", None, []
    for line in lines:
        field, _, value = line.decode().partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "id":
            event_id = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            yield Event(name, event_id, json.loads("\n".join(data)))
            name, event_id, data = "message", None, []


def _times(begin: datetime | None, end: datetime | None) -> dict[str, str | None]:
    """`from` and `to` of a list."""
    return {
        "from": None if begin is None else begin.isoformat(),
        "to": None if end is None else end.isoformat(),
    }


def _all_of(kind: type[T], page: dict[str, Any]) -> list[T]:
    return [_one(kind, found) for found in page["results"]]


def _one(kind: type[T], found: dict[str, Any]) -> T:
    """A message from JSON; fields that this client does not know are left out."""
    types = get_type_hints(kind)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _value(types[name], value) for name, value in found.items() if name in known})


def _value(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, UnionType):
        kind = get_args(kind)[0]
    if kind is Decimal:
        return Decimal(value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    return _one(kind, value) if is_dataclass(kind) and isinstance(kind, type) else value
