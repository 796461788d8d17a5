"""Which orders the load sends: the demo's mix of opens and closes, small, on many options, of many customers."""

import random
from collections import deque
from collections.abc import Sequence

from demo.mix import AT_FILL_SHARE, CLOSE_SHARE

MOST_CONTRACTS = 3


class OrderMix:
    """Orders of one run as JSON; each close names an order that the same customer sent before it.

    A customer's orders have to be sent in the order in which they are made, one request after the other.
    """

    def __init__(self, *, customers: int, symbols: Sequence[str], run_id: str) -> None:
        self._run_id = run_id
        self._symbols = symbols
        self._random = random.Random(run_id)
        self._number = 0
        self._held: list[deque[tuple[str, int]]] = [deque() for _ in range(customers)]

    def single(self, customer: int) -> str:
        """The customer's next order."""
        client_order_id = f"{self._run_id}-{self._number}"
        self._number += 1
        held, chance = self._held[customer], self._random.random
        if held and chance() < CLOSE_SHARE:
            return self._close(client_order_id, held)
        contracts = 1 + int(chance() * MOST_CONTRACTS)
        held.append((client_order_id, contracts))
        symbol = self._symbols[int(chance() * len(self._symbols))]
        return (
            f'{{"type":"open","client_order_id":"{client_order_id}","symbol":"{symbol}",'
            f'"contracts":{contracts}}}'
        )

    def batch(self, customer: int, count: int) -> str:
        """The customer's next `count` orders as one request."""
        return f'{{"orders":[{",".join([self.single(customer) for _ in range(count)])}]}}'

    def _close(self, client_order_id: str, held: deque[tuple[str, int]]) -> str:
        opened_by, contracts = held.popleft()
        part = contracts if self._random.random() < 0.5 else max(1, contracts // 2)
        if part < contracts:
            held.append((opened_by, contracts - part))
        payout = "at_fill" if self._random.random() < AT_FILL_SHARE else "instant"
        return (
            f'{{"type":"close","client_order_id":"{client_order_id}","opened_by":"{opened_by}",'
            f'"contracts":{part},"payout":"{payout}"}}'
        )
