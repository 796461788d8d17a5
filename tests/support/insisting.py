"""Customers' programs that order at a steady rate, come what may, and send again as docs/api.md says."""

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count

from counter.access.request_signing import LONGEST_RECV_WINDOW_MS
from examples.python.crossbook_client import Client, CrossbookError, Order, OutcomeUnknown

CLOSE_EVERY = 3  # orders
UNDER_WAY = 32  # at most: far more than are, so that no slow answer slows the questions
# Refusals of one attempt: of a price that will be there again, or because it was long on its way.
NOT_NOW = {"quote_stale", "quote_missing", "coin_halted", "signature_expired"}
AGAIN_AFTER_SECONDS = 1.0
INSISTS_FOR_SECONDS = 180.0  # then an order counts as refused for good
MOST_USDT, LEAST_USDT = Decimal(10_000), Decimal("0.01")


class Customer:
    """One account: its credentials, and the orders that were acknowledged to it, by client order id."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.acknowledged: dict[str, str] = {}
        self.held: deque[str] = deque()  # positions to close, by the id that opened them
        self._url, self._key, self._secret = url, key, secret
        self._clients = threading.local()

    @property
    def client(self) -> Client:
        """This thread's own."""
        if not hasattr(self._clients, "client"):
            self._clients.client = Client(
                self._url, key=self._key, secret=self._secret, recv_window_ms=LONGEST_RECV_WINDOW_MS
            )
        return self._clients.client


class Insisting:
    """Opens, and every third a close, of customers in turn, from now until `stop`.

    Open loop: each order is due at its time, whether earlier ones are answered or not. `refused` counts the codes by
    which orders were refused for good; `unanswered` are the ids that have no outcome.
    """

    def __init__(self, customers: Sequence[Customer], *, symbol: str, a_second: float) -> None:
        self.refused: Counter[str] = Counter()
        self.unanswered: set[str] = set()
        self._customers, self._symbol = customers, symbol
        self._every_seconds = 1 / a_second
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="customer")
        self._clock = threading.Thread(target=self._run)
        self._clock.start()

    @property
    def acknowledged(self) -> int:
        """Orders so far."""
        return sum(len(customer.acknowledged) for customer in self._customers)

    def stop(self) -> None:
        """Order nothing more; returns when each order has its outcome, or nobody insists any longer."""
        self._stopping.set()
        self._clock.join()
        self._pool.shutdown()

    def _run(self) -> None:
        began = time.monotonic()
        for number in count():
            if self._stopping.wait(max(0.0, began + number * self._every_seconds - time.monotonic())):
                return
            self._pool.submit(self._order, self._customers[number % len(self._customers)], number)

    def _order(self, customer: Customer, number: int) -> None:
        name = f"insisting-{number}"
        closes = customer.held.popleft() if number % CLOSE_EVERY == 2 and customer.held else None
        self.unanswered.add(name)
        until = time.monotonic() + INSISTS_FOR_SECONDS
        while time.monotonic() < until:
            try:
                customer.acknowledged[name] = self._send(customer.client, name, closes).id
            except OutcomeUnknown:
                continue
            except CrossbookError as refusal:
                if refusal.code in NOT_NOW:
                    time.sleep(AGAIN_AFTER_SECONDS)
                    continue
                self.refused[refusal.code] += 1
            else:
                if closes is None:
                    customer.held.append(name)
            self.unanswered.discard(name)
            return

    def _send(self, client: Client, name: str, closes: str | None) -> Order:
        if closes is None:
            return client.open(client_order_id=name, symbol=self._symbol, contracts=1, max_cost=MOST_USDT)
        return client.close(client_order_id=name, opened_by=closes, min_proceeds=LEAST_USDT)
