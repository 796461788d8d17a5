"""Customers' programs: opens and closes over HTTP, singles and batches, at a steady rate and come what may.

Open loop: a request is due at its time whether or not earlier ones are answered, so a slow answer cannot hide by
slowing the questions. Each has a deadline; an order without a clear answer is sent again under the same client order
id until it has one.
"""

import json
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from tools.load.heard import Answered, Heard, SentRequest
from tools.load.mix import Order, OrderMix

THREADS = 64
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
RETRY_AFTER_SECONDS = 0.5
# How long an order is asked about after the last was sent.
PATIENCE_SECONDS = 120.0
BATCH_SHARE, BATCH_ORDERS = 0.3, (2, 20)
ORDERS, BATCH = "/api/v1/orders", "/api/v1/orders/batch"
# A close that was refused so can be tried again.
NOT_NOW = {"quote_stale", "quote_missing", "payout_at_fill_only", "price_moved", "trading_stopped"}


class Load:
    """Sends about `orders` orders in `seconds`, a share of the requests as batches; `heard` can be read meanwhile."""

    def __init__(
        self,
        *,
        url: str,
        tokens: Sequence[str],
        symbols: Sequence[str],
        orders: float,
        seconds: float,
        run_id: str,
        seed: int | str,
        batch_share: float = BATCH_SHARE,
        heard: Heard | None = None,
    ) -> None:
        self.heard = heard or Heard()
        self._url = url
        self._tokens = tokens
        self._requests = round(orders / (1 - batch_share + batch_share * sum(BATCH_ORDERS) / 2))
        self._seconds = seconds
        self._batch_share = batch_share
        self._chance = random.Random(seed)
        self._mix = OrderMix(symbols=symbols, run_id=run_id, chance=self._chance)
        self._lock = threading.Lock()
        self._give_up_at = time.monotonic() + PATIENCE_SECONDS
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        self._connections = urllib3.PoolManager(maxsize=2 * THREADS, retries=False, timeout=timeout)

    def run(self) -> None:
        """Send everything; returns when each order has its outcome, or nobody has patience left."""
        started = time.monotonic()
        self._give_up_at = started + self._seconds + PATIENCE_SECONDS
        with ThreadPoolExecutor(THREADS, thread_name_prefix="customer") as pool:
            for number in range(self._requests):
                due = started + number * self._seconds / self._requests
                time.sleep(max(0.0, due - time.monotonic()))
                pool.submit(self.send, *self._choose())
        self._connections.clear()

    def _choose(self) -> tuple[str, list[Order]]:
        """Whose request comes next, and the orders in it."""
        with self._lock:
            token = self._chance.choice(self._tokens)
            count = self._chance.randint(*BATCH_ORDERS) if self._chance.random() < self._batch_share else 1
            return token, [self._mix.order(token) for _ in range(count)]

    def next_id(self) -> str:
        """A client order id of this run."""
        with self._lock:
            return self._mix.next_id()

    def take_held(self, token: str) -> tuple[str, int] | None:
        """A position for somebody to close, the oldest: its opening order's client id, and contracts."""
        with self._lock:
            return self._mix.take(token)

    def send(self, token: str, orders: list[Order]) -> None:
        """Send until every order has an outcome, or nobody has patience left."""
        self.heard.sent([order["client_order_id"] for order in orders])
        began = time.monotonic()
        single = len(orders) == 1
        body = json.dumps(orders[0] if single else {"orders": orders}).encode()
        while time.monotonic() < self._give_up_at:
            answer = self._post(ORDERS if single else BATCH, token, body)
            if answer is not None:
                status, content = answer
                results = [_as_result(status, content)] if single else content["results"]
                for order, result in zip(orders, results, strict=True):
                    self._conclude(token, order, result)
                self.heard.conclude(time.monotonic() - began)
                return
            time.sleep(RETRY_AFTER_SECONDS)

    def _conclude(self, token: str, order: Order, result: dict[str, Any]) -> None:
        if "error" in result:
            code = result["error"]["code"]
            self.heard.refuse(order["client_order_id"], code, customer=token)
            if order["type"] == "close" and code in NOT_NOW:
                with self._lock:
                    self._mix.hold(token, order["opened_by"], order["contracts"])
            return
        self.heard.accept(order["client_order_id"], result["order"]["id"])
        if order["type"] == "open":
            with self._lock:
                self._mix.hold(token, order["client_order_id"], order["contracts"])

    def _post(self, path: str, token: str, body: bytes) -> tuple[int, Any] | None:
        """Status and content of an answer that says what became of the orders, None of any other."""
        began = time.monotonic()
        answered, detail, code, answer = Answered.YES, "", "", None
        try:
            response = self._connections.request(
                "POST",
                self._url + path,
                body=body,
                headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
            )
            if response.status >= 500:
                answered, detail = Answered.SERVER_ERROR, f"{response.status} {response.data[:200]!r}"
                code = code_of(response.status, response.data)
            else:
                answer = response.status, response.json()
        except urllib3.exceptions.NewConnectionError as error:  # to urllib3 a time-out as well
            answered, detail = Answered.CONNECTION_LOST, repr(error)
        except urllib3.exceptions.TimeoutError as error:
            answered, detail = Answered.TIMED_OUT, repr(error)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            answered, detail = Answered.CONNECTION_LOST, repr(error)
        self.heard.note(SentRequest(began, time.monotonic(), answered, detail, code))
        return answer


def code_of(status: int, body: bytes) -> str:
    """The status and stable code of an error's body, and the status alone where the body has none."""
    try:
        return f"{status} {json.loads(body)['error']['code']}"
    except (ValueError, LookupError, TypeError):
        return str(status)


def _as_result(status: int, content: Any) -> dict[str, Any]:
    """The answer to a single order in the form in which a batch answers each of its orders."""
    return {"order": content} if status == 201 else content
