"""The load: opens and closes over HTTP at a steady rate, as the customers' programs would send them.

Open loop: an order is due at its time whether or not the one before has been answered, so a slow answer cannot hide
by slowing the questions. An order without a clear answer is sent again under the same client order id.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import urllib3

from demo.customers import DemoCustomer
from demo.mix import AT_FILL_SHARE, CLOSE_SHARE

THREADS = 16
TRIES = 20
RETRY_AFTER_SECONDS = 0.5
TIMEOUT_SECONDS = 10.0


@dataclass(slots=True)
class Sent:
    """What came of the load: counts, and how long each final answer took."""

    submitted: int = 0
    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    unanswered: int = 0
    answer_ms: list[float] = field(default_factory=list)


class Load:
    """Sends `orders` over `seconds` seconds; `sent` can be read while it runs."""

    def __init__(
        self,
        *,
        url: str,
        customers: Sequence[DemoCustomer],
        symbols: Sequence[str],
        orders: int,
        seconds: float,
        run_id: str,
    ) -> None:
        self.sent = Sent()
        self._url = f"{url}/api/v1/orders"
        self._customers = customers
        self._symbols = symbols
        self._orders = orders
        self._seconds = seconds
        self._run_id = run_id
        self._random = random.Random(run_id)
        self._lock = threading.Lock()
        self._connections = urllib3.PoolManager(maxsize=THREADS, retries=False, timeout=TIMEOUT_SECONDS)
        self._held: deque[tuple[DemoCustomer, int, int]] = deque()

    def run(self) -> None:
        """Send everything; returns when each order has its answer."""
        started = time.monotonic()
        with ThreadPoolExecutor(THREADS, thread_name_prefix="load") as pool:
            for number in range(self._orders):
                due = started + number * self._seconds / self._orders
                time.sleep(max(0.0, due - time.monotonic()))
                pool.submit(self._send, number)

    def _send(self, number: int) -> None:
        customer, body = self._choose(number)
        with self._lock:
            self.sent.submitted += 1
        started = time.monotonic()
        response = self._post(customer, body)
        elapsed_ms = (time.monotonic() - started) * 1000
        with self._lock:
            if response is None:
                self.sent.unanswered += 1
                return
            self.sent.answer_ms.append(elapsed_ms)
            answer = response.json()
            if response.status == 201:
                self.sent.accepted += 1
                if body["type"] == "open":
                    self._held.append((customer, int(answer["position_id"]), body["contracts"]))
            else:
                code = answer["error"]["code"]
                self.sent.rejected[code] = self.sent.rejected.get(code, 0) + 1

    def _choose(self, number: int) -> tuple[DemoCustomer, dict]:
        with self._lock:
            client_order_id = f"{self._run_id}-{number}"
            if self._held and self._random.random() < CLOSE_SHARE:
                customer, position_id, contracts = self._held.popleft()
                part = contracts if self._random.random() < 0.5 else max(1, contracts // 2)
                if part < contracts:
                    self._held.append((customer, position_id, contracts - part))
                payout = "at_fill" if self._random.random() < AT_FILL_SHARE else "instant"
                return customer, {
                    "type": "close",
                    "client_order_id": client_order_id,
                    "position_id": position_id,
                    "contracts": part,
                    "payout": payout,
                }
            customer = self._random.choice(self._customers)
            return customer, {
                "type": "open",
                "client_order_id": client_order_id,
                "symbol": self._random.choice(self._symbols),
                "contracts": self._random.randint(1, 20),
            }

    def _post(self, customer: DemoCustomer, body: dict) -> urllib3.BaseHTTPResponse | None:
        """The final answer; a broken connection or a 5xx leaves the order in doubt, and its id makes asking safe."""
        for attempt in range(TRIES):
            try:
                response = self._connections.request(
                    "POST", self._url, json=body, headers={"Authorization": f"Token {customer.token}"}
                )
                if response.status < 500:
                    return response
            except urllib3.exceptions.HTTPError:
                pass
            with self._lock:
                self.sent.repeated += 1
            time.sleep(RETRY_AFTER_SECONDS * min(attempt + 1, 4))
        return None
