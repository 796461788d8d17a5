"""What is at stake in what is stuck: how much money, and of how many customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from infra.db.rows import rows_of

# Of more orders than these the figures are of the first ones only, and say so.
ORDERS_READ = 10_000
STUCK = ("MANUAL", "UNKNOWN", "FILLED")
STUCK_AFTER_SECONDS = 30.0  # no alert of them fires earlier
CONVERTING = """
    SELECT c.state, o.order_id FROM settlement_conversion AS c
    JOIN acceptance_acceptedorder AS o ON o.conversion_id = c.id
    WHERE c.state = ANY(%s::varchar[]) AND c.state NOT IN ('BOOKED', 'MISSED', 'RELEASED')
    ORDER BY c.id LIMIT %s
"""
ORDERS = """
    SELECT count(DISTINCT customer_id), coalesce(sum(fair), 0)
    FROM counter_syncorder WHERE id = ANY(%s::bigint[])
"""
RESERVED = """
    SELECT count(DISTINCT customer_id), coalesce(sum(amount), 0) FROM counter_withdrawal WHERE state = 'RESERVED'
"""


@dataclass(frozen=True, slots=True)
class Stake:
    """USDT of how many customers; `at_least` where more is stuck than was read."""

    customers: int
    usdt: Decimal
    at_least: bool = False


def of_conversions(states: Sequence[str]) -> dict[str, Stake]:
    """Of the orders in conversions of some unfinished states, by the conversion's state.

    Raises: DatabaseError when either database does not answer.
    """
    rows = rows_of("desk", CONVERTING, [list(states), ORDERS_READ])
    found: dict[str, list[int]] = {}
    for state, order_id in rows:
        found.setdefault(state, []).append(order_id)
    return {state: _of_orders(ids, at_least=len(rows) == ORDERS_READ) for state, ids in found.items()}


def _of_orders(ids: list[int], *, at_least: bool) -> Stake:
    [(customers, usdt)] = rows_of("default", ORDERS, [ids])
    return Stake(customers, usdt, at_least)


def of_withdrawals() -> Stake:
    """Of those that the wallet service has not ended."""
    return Stake(*rows_of("default", RESERVED)[0])
