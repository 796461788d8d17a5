"""How many refused orders a customer may send: as many a second as orders, before the order queue and the database.

A refusal costs us nearly what an order does, and leaves nothing behind that could count it exactly. So each process
counts for itself, in memory; an accepted order makes up for a refused one, so nobody is slowed down who mostly trades.
"""

import time

from django.conf import settings

MOST_CUSTOMERS = 100_000
MOST_BURSTS = 3  # that a customer can owe, however much came at once


class TooManyRefusals(Exception):
    """The customer has had so many of late that this one is not looked at."""


class Refusals:
    """What each customer's refused orders have used up: the generic cell rate algorithm, on the monotonic clock."""

    def __init__(self) -> None:
        self._due_at: dict[int, float] = {}

    def check(self, customer_id: int) -> None:
        """Go on unless the customer has used up the refusals that the rate allows.

        Raises: TooManyRefusals.
        """
        due_at = self._due_at.get(customer_id)
        if due_at is not None and due_at - time.monotonic() > settings.CUSTOMER_BURST_SECONDS:
            raise TooManyRefusals

    def count(self, customer_id: int, *, refused: int, accepted: int) -> None:
        """Count the outcomes of a request."""
        due_at = self._due_at.get(customer_id)
        if not refused and due_at is None:
            return
        now = time.monotonic()
        due_at = max(due_at or now, now) + (refused - accepted) / settings.CUSTOMER_ORDERS_PER_S
        due_at = min(due_at, now + MOST_BURSTS * settings.CUSTOMER_BURST_SECONDS)
        if due_at > now:
            self._due_at[customer_id] = due_at
        else:
            self._due_at.pop(customer_id, None)
        if len(self._due_at) > MOST_CUSTOMERS:
            self._due_at = {customer: due for customer, due in self._due_at.items() if due > now}


refusals = Refusals()
