"""Which orders customers send: opens and closes, small, on many options."""

import random
from collections import deque
from collections.abc import Sequence
from typing import Any

CLOSE_SHARE = 0.35
AT_FILL_SHARE = 0.25  # of the closes
MOST_CONTRACTS = 20

Order = dict[str, Any]


class OrderMix:
    """Orders of one run by customer; each close names an open of the same customer that is `held`.

    Not for several threads at once.
    """

    def __init__(
        self,
        *,
        symbols: Sequence[str],
        run_id: str,
        chance: random.Random,
        most_contracts: int = MOST_CONTRACTS,
    ) -> None:
        self._run_id = run_id
        self._symbols = symbols
        self._chance = chance
        self._most_contracts = most_contracts
        self._number = 0
        self._held: dict[str, deque[tuple[str, int]]] = {}

    def order(self, customer: str) -> Order:
        """The customer's next order. Nothing is held by it yet: `hold` what it opened once that is there to close."""
        if customer in self._held and self._chance.random() < CLOSE_SHARE:
            return self._close(customer)
        return {
            "type": "open",
            "client_order_id": self.next_id(),
            "symbol": self._chance.choice(self._symbols),
            "contracts": self._chance.randint(1, self._most_contracts),
        }

    def next_id(self) -> str:
        """A client order id of this run."""
        self._number += 1
        return f"{self._run_id}-{self._number}"

    def hold(self, customer: str, client_order_id: str, contracts: int) -> None:
        """The customer has these contracts to close, by the client id of the order that opened them."""
        self._held.setdefault(customer, deque()).append((client_order_id, contracts))

    def take(self, customer: str) -> tuple[str, int] | None:
        """What the customer has held longest, to be closed: the opening order's client id, and contracts."""
        held = self._held.get(customer)
        if held is None:
            return None
        taken = held.popleft()
        if not held:
            del self._held[customer]
        return taken

    def _close(self, customer: str) -> Order:
        taken = self.take(customer)
        assert taken is not None  # noqa: S101 - `order` has asked
        opened_by, contracts = taken
        part = contracts if self._chance.random() < 0.5 else max(1, contracts // 2)
        if part < contracts:
            self.hold(customer, opened_by, contracts - part)
        return {
            "type": "close",
            "client_order_id": self.next_id(),
            "opened_by": opened_by,
            "contracts": part,
            "payout": "at_fill" if self._chance.random() < AT_FILL_SHARE else "instant",
        }
