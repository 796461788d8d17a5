"""What a batch of orders writes: one statement, however many orders it holds, and the moves that go with it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from counter import events
from counter.models import Position
from counter.orders.requests import Order
from counter.orders.rows import AccountRow, PositionRow, TransferRow
from counter.orders.sql import ORDER_COLUMNS
from counter.pricing.impact import Measures
from infra.db.arrays import array, columns
from infra.db.composing import together
from infra.db.pipeline import Statement, ask
from infra.db.transitions import moving

NO_FLOWS: Mapping[str, Measures] = MappingProxyType({})
ACCOUNT_COLUMNS = ("id", "balance", "open_contracts", "open_cost", "orders_due_at")
# The parts of the one statement that writes a batch, of which each has those that it needs: one that writes nothing
# costs the server 20 to 160 us all the same. The accounts are locked: balances are set, not added to.
BALANCES = """
    UPDATE counter_account AS a SET balance = v.balance, open_contracts = v.open_contracts,
        open_cost = v.open_cost, orders_due_at = v.orders_due_at
    FROM unnest(%s::bigint[], %s::numeric[], %s::bigint[], %s::numeric[], %s::timestamptz[])
        AS v(id, balance, open_contracts, open_cost, orders_due_at) WHERE a.id = v.id
"""
ORDERS = """
    INSERT INTO counter_syncorder (
        id, customer_id, client_order_id, kind, option_id, position_id, symbol, underlying, contracts, premium,
        index_price, coin, fair, spread, amount, "limit", payout, state, placed_at, quote_id)
    SELECT * FROM unnest(
        %s::bigint[], %s::bigint[], %s::varchar[], %s::varchar[], %s::bigint[], %s::bigint[], %s::varchar[],
        %s::varchar[], %s::int[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
        %s::numeric[], %s::numeric[], %s::varchar[], %s::varchar[], %s::timestamptz[], %s::bigint[])
"""
TOLD_ORDERS = f"{ORDERS} RETURNING id, customer_id, kind, payout"
OPENED = """
    INSERT INTO counter_position (
        id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at)
    SELECT * FROM unnest(
        %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::int[], %s::int[], %s::numeric[],
        %s::numeric[], %s::varchar[], %s::timestamptz[])
"""
REDUCED = """
    UPDATE counter_position AS p SET remaining = v.remaining, unpaid = v.unpaid, proceeds = v.proceeds
    FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::numeric[]) AS v(id, remaining, unpaid, proceeds)
    WHERE p.id = v.id
"""
# A row for each session of the database, which nobody else writes: orders of several writers wait for none of it.
FLOWED = """
    INSERT INTO counter_bookflow AS f (writer, underlying, delta, vega, premium)
    SELECT pg_backend_pid(), v.* FROM unnest(%s::varchar[], %s::numeric[], %s::numeric[], %s::numeric[])
        AS v(underlying, delta, vega, premium)
    ON CONFLICT (writer, underlying) DO UPDATE SET delta = f.delta + EXCLUDED.delta,
        vega = f.vega + EXCLUDED.vega, premium = f.premium + EXCLUDED.premium
"""
TRANSFERS = """
    INSERT INTO counter_transfer (
        debit_account_id, credit_account_id, asset, amount, kind, order_id, balance_after, created_at)
    SELECT v.debit, v.credit, 'USDT', v.amount, v.kind, v.order_id, v.balance_after, %s::timestamptz
    FROM unnest(%s::bigint[], %s::bigint[], %s::numeric[], %s::varchar[], %s::bigint[], %s::numeric[])
        AS v(debit, credit, amount, kind, order_id, balance_after)
"""
PAYOUTS = {events.PAYOUT_CREDITED: f"orders WHERE {events.PAID_AT_ONCE}"}
OPENED_COLUMNS = (
    *("id", "customer_id", "option_id", "contracts", "remaining", "unpaid", "cost", "proceeds"),
    *("state", "opened_at"),
)
REDUCED_COLUMNS = ("id", "remaining", "unpaid", "proceeds")
TRANSFER_COLUMNS = ("debit", "credit", "amount", "kind", "order_id", "balance_after")


def write(
    *,
    accounts: Iterable[AccountRow],
    orders: Sequence[Order],
    positions: Iterable[PositionRow],
    transfers: Sequence[TransferRow],
    now: datetime,
    moves: Iterable[Statement] = (),
    flows: Mapping[str, Measures] = NO_FLOWS,
    tells: bool = True,
) -> int:
    """Write everything that a batch changed, in one statement and its `moves`, in the caller's transaction.

    Returns how many rows the `moves` have moved: one that is in no source state stays as it is, with all that it has.
    What it has ended is left to `ending`, but for positions that it has opened itself, which are stored as open first.
    `flows` is how it has moved the books, by coin. `tells` is false where it is known that nobody hears of payouts.
    """
    changed = [position for position in positions if position.changed]
    tells = tells and any(order.kind != "OPEN" for order in orders)
    moved_books = [array(list(flows)), *columns(list(flows.values()), Measures._fields)]
    parts = {
        "balances": _part(BALANCES, [account for account in accounts if account.changed], ACCOUNT_COLUMNS),
        "orders": _part(TOLD_ORDERS if tells else ORDERS, orders, ORDER_COLUMNS),
        "opened": _part(OPENED, [position for position in changed if position.is_new], OPENED_COLUMNS),
        "reduced": _part(REDUCED, [position for position in changed if not position.is_new], REDUCED_COLUMNS),
        "told": [events.telling(PAYOUTS, now)] if tells else [],
        "flowed": [Statement(FLOWED, moved_books)] if flows else [],
        "transfers": _part(TRANSFERS, transfers, TRANSFER_COLUMNS, now),
    }
    _, *moved = ask("default", together(parts, "SELECT"), *moves)
    return sum(map(len, moved))


def _part(sql: str, rows: Sequence[Any], names: Sequence[str], *first: Any) -> list[Statement]:
    """A part that writes these columns of `rows`; none without rows."""
    return [Statement(sql, [*first, *columns(rows, names)])] if rows else []


def ending(
    transition: Any, positions: Sequence[PositionRow], now: datetime, returning: Sequence[str] = ()
) -> list[Statement]:
    """What writes positions of which nothing is left while it moves them: a row costs all its indexes each time."""
    written = ("remaining", "unpaid", "proceeds")
    return moving(
        Position,
        transition,
        [position.id for position in positions],
        same={"closed_at": now},
        each={name: [getattr(position, name) for position in positions] for name in written},
        returning=returning,
    )
