"""What was lost or doubled, by the customers' own record against both systems' tables.

Lost: answered with 2xx and not in counter, or in counter and never reported. Doubled: one request with two orders, a
position that nobody opened, a leg that was booked twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counter.public_ids import Kind, row_id
from infra.db.rows import rows_of
from tools.demo.figures import Start
from tools.load.heard import Heard

ORDERS = "SELECT client_order_id, id, state FROM counter_syncorder WHERE id > %s AND client_order_id LIKE %s"
DOUBLED_ORDERS = """
    SELECT client_order_id || ': ' || count(*) || ' orders' FROM counter_syncorder
    WHERE id > %s AND client_order_id LIKE %s GROUP BY customer_id, client_order_id HAVING count(*) > 1
"""
DOUBLED_LEGS = """
    SELECT 'order ' || order_id || ': ' || count(*) || ' legs ' || kind FROM counter_transfer
    WHERE order_id > %s GROUP BY order_id, kind, debit_account_id, credit_account_id HAVING count(*) > 1
"""
UNFOUNDED_POSITIONS = """
    SELECT 'position ' || p.id || ': no order opened it' FROM counter_position AS p
    WHERE NOT EXISTS (SELECT FROM counter_syncorder AS o WHERE o.position_id = p.id AND o.kind = 'OPEN')
"""
UNREPORTED = """
    SELECT id, state, extract(epoch FROM now() - placed_at)::int FROM counter_syncorder
    WHERE state <> 'SETTLED' ORDER BY id LIMIT 50
"""
AT_THE_DESK = """
    SELECT o.order_id, o.state, c.id, c.state, c.reason, c.due_at FROM acceptance_acceptedorder AS o
    LEFT JOIN settlement_conversion AS c ON c.id = o.conversion_id WHERE o.order_id = ANY(%s)
"""


@dataclass(slots=True)
class Proof:
    """Each entry names a row; nothing is wrong when both lists are empty. `stored` counts orders of the run."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stored: int = 0


def prove(heard: Heard, start: Start) -> Proof:
    """Hold what the customers were told against what is stored."""
    stored = {
        client_id: (order_id, state)
        for client_id, order_id, state in rows_of("default", ORDERS, start.orders)
    }
    return Proof(
        lost=[*_missing(heard.accepted, stored), *unreported()],
        doubled=[
            *(f"{client_order_id}: answered with two orders" for client_order_id in heard.contradicted),
            *(text for (text,) in rows_of("default", DOUBLED_ORDERS, start.orders)),
            *(text for (text,) in rows_of("default", DOUBLED_LEGS, [start.order_id])),
            *(text for (text,) in rows_of("default", UNFOUNDED_POSITIONS, [])),
        ],
        stored=len(stored),
    )


def _missing(accepted: Mapping[str, str], stored: Mapping[str, tuple[int, str]]) -> list[str]:
    told = {client_order_id: row_id(Kind.ORDER, order_id) for client_order_id, order_id in accepted.items()}
    return [
        f"{client_order_id}: answered as order {order_id}, counter has {stored.get(client_order_id, 'none')}"
        for client_order_id, order_id in told.items()
        if client_order_id not in stored or stored[client_order_id][0] != order_id
    ]


def unreported() -> list[str]:
    """Orders, of any run, that the desk has not reported, with where they stand on both sides; at most 50."""
    orders = rows_of("default", UNREPORTED, [])
    desk = {row[0]: row[1:] for row in rows_of("desk", AT_THE_DESK, [[row[0] for row in orders]])}
    return [
        f"order {order_id}: {state} at counter for {age_s} s, {_place(desk.get(order_id))}"
        for order_id, state, age_s in orders
    ]


def _place(row: Sequence[Any] | None) -> str:
    if row is None:
        return "not at the desk"
    state, conversion_id, conversion_state, reason, due_at = row
    if conversion_id is None:
        return f"{state} at the desk, in no conversion"
    due = f", due at {due_at:%H:%M:%S}" if due_at else ""
    return f"{state} at the desk, conversion {conversion_id} {conversion_state}{due} {reason}".rstrip()
