"""The customers: opens and closes, singles and batches, at a steady rate and come what may.

Open loop: a request is due at its time whether or not earlier ones are answered. Each has a deadline; an order without
a clear answer is sent again under the same client order id until it has one.
"""

import json
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from chaos.answers import Answered, Asked, Heard
from demo.mix import AT_FILL_SHARE, CLOSE_SHARE

THREADS = 64
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
RETRY_AFTER_SECONDS = 0.5
# How long an order is asked about after the last was sent.
PATIENCE_SECONDS = 120.0
BATCH_SHARE, BATCH_ORDERS = 0.3, (2, 20)
MEAN_ORDERS = (1 - BATCH_SHARE) + BATCH_SHARE * sum(BATCH_ORDERS) / 2
MOST_CONTRACTS = 20
ORDERS, BATCH = "/api/v1/orders", "/api/v1/orders/batch"

Order = dict[str, Any]


class Load:
    """Sends `orders_per_s` orders a second for `seconds`; `heard` can be read while it runs."""

    def __init__(
        self,
        *,
        url: str,
        tokens: Sequence[str],
        symbols: Sequence[str],
        orders_per_s: float,
        seconds: float,
        run_id: str,
        seed: int,
    ) -> None:
        self.heard = Heard()
        self._url = url
        self._tokens = tokens
        self._symbols = symbols
        self._requests = round(orders_per_s * seconds / MEAN_ORDERS)
        self._seconds = seconds
        self._run_id = run_id
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._number = 0
        self._held: dict[str, deque[tuple[str, int]]] = {token: deque() for token in tokens}
        self._give_up_at = 0.0
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS)
        self._connections = urllib3.PoolManager(maxsize=THREADS, retries=False, timeout=timeout)

    def run(self) -> None:
        """Send everything; returns when each order has its outcome, or nobody has patience left."""
        started = time.monotonic()
        self._give_up_at = started + self._seconds + PATIENCE_SECONDS
        with ThreadPoolExecutor(THREADS, thread_name_prefix="customer") as pool:
            for number in range(self._requests):
                due = started + number * self._seconds / self._requests
                time.sleep(max(0.0, due - time.monotonic()))
                pool.submit(self._send, *self._choose())
        self._connections.clear()

    def _choose(self) -> tuple[str, list[Order]]:
        """Whose request comes next, and the orders in it."""
        with self._lock:
            token = self._chance.choice(self._tokens)
            count = self._chance.randint(*BATCH_ORDERS) if self._chance.random() < BATCH_SHARE else 1
            return token, [self._order(token) for _ in range(count)]

    def _order(self, token: str) -> Order:
        self._number += 1
        client_order_id = f"{self._run_id}-{self._number}"
        held = self._held[token]
        if not held or self._chance.random() >= CLOSE_SHARE:
            return {
                "type": "open",
                "client_order_id": client_order_id,
                "symbol": self._chance.choice(self._symbols),
                "contracts": self._chance.randint(1, MOST_CONTRACTS),
            }
        opened_by, contracts = held.popleft()
        part = contracts if self._chance.random() < 0.5 else max(1, contracts // 2)
        if part < contracts:
            held.append((opened_by, contracts - part))
        return {
            "type": "close",
            "client_order_id": client_order_id,
            "opened_by": opened_by,
            "contracts": part,
            "payout": "at_fill" if self._chance.random() < AT_FILL_SHARE else "instant",
        }

    def _send(self, token: str, orders: list[Order]) -> None:
        """Send until every order has an outcome."""
        self.heard.sent([order["client_order_id"] for order in orders])
        single = len(orders) == 1
        body = json.dumps(orders[0] if single else {"orders": orders}).encode()
        while time.monotonic() < self._give_up_at:
            answer = self._post(ORDERS if single else BATCH, token, body)
            if answer is not None:
                status, content = answer
                results = [_as_result(status, content)] if single else content["results"]
                for order, result in zip(orders, results, strict=True):
                    self._conclude(token, order, result)
                return
            time.sleep(RETRY_AFTER_SECONDS)

    def _conclude(self, token: str, order: Order, result: dict[str, Any]) -> None:
        if "error" in result:
            self.heard.refuse(order["client_order_id"], result["error"]["code"])
            return
        self.heard.accept(order["client_order_id"], int(result["order"]["id"]))
        if order["type"] == "open":
            with self._lock:
                self._held[token].append((order["client_order_id"], order["contracts"]))

    def _post(self, path: str, token: str, body: bytes) -> tuple[int, Any] | None:
        """Status and content of an answer that says what became of the orders, None of any other."""
        began = time.monotonic()
        answered, detail, answer = Answered.YES, "", None
        try:
            response = self._connections.request(
                "POST",
                self._url + path,
                body=body,
                headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
            )
            if response.status >= 500:
                answered, detail = Answered.SERVER_ERROR, f"{response.status} {response.data[:200]!r}"
            else:
                answer = response.status, response.json()
        except urllib3.exceptions.TimeoutError as error:
            answered, detail = Answered.TIMED_OUT, repr(error)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            answered, detail = Answered.CONNECTION_LOST, repr(error)
        self.heard.note(Asked(began, time.monotonic(), answered, detail))
        return answer


def _as_result(status: int, content: Any) -> dict[str, Any]:
    """The answer to a single order in the form in which a batch answers each of its orders."""
    return {"order": content} if status == 201 else content
