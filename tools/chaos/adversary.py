"""Customers who live off wrong prices: they know each moment in which a book is odd, and trade then at any price.

Before, they hold calls and puts. While a book is odd, and for some seconds after, they open more and close what they
hold, with both payouts and bounds that any price keeps; in between they take their gains. What the odd prices would
have brought, had counter gone by them, is noted: a run in which that is nothing has tried nothing.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import requests

from tools.chaos.true_prices import Tops
from tools.load.customers import Load
from tools.load.mix import Order

THREADS = 16
CONTRACTS = 20
FIRST_POSITIONS = 12
ODD_EVERY_SECONDS, CALM_EVERY_SECONDS = 0.5, 3.0
AFTERMATH_SECONDS = 4.0
ANY_COST, ANY_PROCEEDS = "100000000", "0.000001"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A moment in which orders were sent, and what the venue showed then."""

    at: datetime
    shown: Tops
    symbols: tuple[str, ...]  # of the options that were to be opened
    sold: tuple[str, ...]  # of those that were to be closed
    contracts: int = CONTRACTS  # of each


class Adversary:
    """Trades through `load` for several customers in a thread of its own, from `begin` to `stop`."""

    def __init__(
        self,
        load: Load,
        *,
        tokens: Sequence[str],
        symbols: Sequence[str],
        is_odd: Callable[[float], bool],
        shown: Callable[[], Tops],
        clock: Callable[[], datetime],
        seed: int,
    ) -> None:
        self.attempts: list[Attempt] = []
        self.bought: dict[str, str] = {}  # symbol by client order id of the open
        self.sent: list[str] = []  # client order ids
        self._load = load
        self._tokens = tokens
        self._symbols = symbols
        self._is_odd = is_odd
        self._shown = shown
        self._clock = clock
        self._chance = random.Random(f"{seed}:adversary")
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="adversary")
        self._thread = threading.Thread(target=self._trade, name="adversary", daemon=True)

    def begin(self) -> None:
        """Buy what can be sold later, and begin."""
        for token in self._tokens:
            for _ in range(FIRST_POSITIONS):
                self._send(token, self._open())
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more, and wait until what was sent has its outcome."""
        self._stopping.set()
        self._thread.join()
        self._pool.shutdown()

    def _trade(self) -> None:
        calm_until = 0.0
        while not self._stopping.wait(ODD_EVERY_SECONDS):
            if self._is_odd(AFTERMATH_SECONDS):
                self._strike()
            elif time.monotonic() >= calm_until:
                calm_until = time.monotonic() + CALM_EVERY_SECONDS
                self._calm()

    def _strike(self) -> None:
        """Both kinds of both coins opened, and as many positions closed, one payout each in turn."""
        token = self._chance.choice(self._tokens)
        try:
            shown = self._shown()
        except (requests.RequestException, ValueError):
            shown = {}
        opens = [self._open() for _ in range(4)]
        closes = list(self._closes(token, 4))
        for order in (*opens, *closes):
            self._send(token, order)
        self.attempts.append(
            Attempt(
                self._clock(),
                shown,
                tuple(order["symbol"] for order in opens),
                tuple(self.bought[order["opened_by"]] for order in closes),
            )
        )

    def _calm(self) -> None:
        token = self._chance.choice(self._tokens)
        for order in (*self._closes(token, 2), *(self._open() for _ in range(4))):
            self._send(token, order)

    def _open(self) -> Order:
        order: Order = {
            "type": "open",
            "client_order_id": self._load.next_id(),
            "symbol": self._chance.choice(self._symbols),
            "contracts": CONTRACTS,
            "max_cost": ANY_COST,
        }
        self.bought[order["client_order_id"]] = order["symbol"]
        return order

    def _closes(self, token: str, count: int) -> Iterator[Order]:
        for number in range(count):
            held = self._load.take_held(token)
            if held is None:
                return
            opened_by, contracts = held
            yield {
                "type": "close",
                "client_order_id": self._load.next_id(),
                "opened_by": opened_by,
                "contracts": contracts,
                "payout": ("instant", "at_fill")[number % 2],
                "min_proceeds": ANY_PROCEEDS,
            }

    def _send(self, token: str, order: Order) -> None:
        self.sent.append(order["client_order_id"])
        self._pool.submit(self._load.send, token, [order])
