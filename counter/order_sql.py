"""Set-based reads and writes of a batch of orders: a fixed number of statements, however many orders it holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from counter.order_requests import Order

ORDER_COLUMNS = tuple(field.name for field in fields(Order))

LOCK_ACCOUNTS = """
    SELECT customer_id, id, balance FROM counter_account
    WHERE customer_id = ANY(%s) ORDER BY id FOR UPDATE
"""
ORDERS_BY_CLIENT_ID = f"""
    SELECT {", ".join(f'o."{column}"' for column in ORDER_COLUMNS)}
    FROM unnest(%s::bigint[], %s::varchar[]) AS asked(customer_id, client_order_id)
    JOIN counter_syncorder AS o USING (customer_id, client_order_id)
"""  # noqa: S608 - the columns are our own
POSITIONS = """
    SELECT id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at
    FROM counter_position WHERE id = ANY(%s)
"""
OPTIONS = """
    SELECT o.id, o.symbol, o.underlying, o.multiplier, o.state, o.expires_at, q.bid, q.ask, q.index_price, q.quoted_at
    FROM counter_option AS o LEFT JOIN counter_quote AS q ON q.option_id = o.id
    WHERE o.symbol = ANY(%s) OR o.id = ANY(%s)
"""
NEXT_IDS = "SELECT nextval(pg_get_serial_sequence('counter_syncorder', 'id')) FROM generate_series(1, %s)"

# One statement for everything a batch of orders writes. The accounts are locked: balances are set, not added to.
WRITE = """
    WITH balances AS (
        UPDATE counter_account AS a SET balance = v.balance
        FROM unnest(%s::bigint[], %s::numeric[]) AS v(id, balance) WHERE a.id = v.id
    ), orders AS (
        INSERT INTO counter_syncorder (
            id, customer_id, client_order_id, kind, option_id, position_id, symbol, underlying, contracts, premium,
            index_price, coin, fair, spread, amount, "limit", payout, state, placed_at)
        SELECT * FROM unnest(
            %s::bigint[], %s::bigint[], %s::varchar[], %s::varchar[], %s::bigint[], %s::bigint[], %s::varchar[],
            %s::varchar[], %s::int[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
            %s::numeric[], %s::numeric[], %s::varchar[], %s::varchar[], %s::timestamptz[])
    ), opened AS (
        INSERT INTO counter_position (
            id, customer_id, option_id, contracts, remaining, unpaid, cost, proceeds, state, opened_at, closed_at)
        SELECT * FROM unnest(
            %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::int[], %s::int[], %s::numeric[],
            %s::numeric[], %s::varchar[], %s::timestamptz[], %s::timestamptz[])
    ), reduced AS (
        UPDATE counter_position AS p SET remaining = v.remaining, unpaid = v.unpaid, proceeds = v.proceeds
        FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::numeric[]) AS v(id, remaining, unpaid, proceeds)
        WHERE p.id = v.id
    )
    INSERT INTO counter_transfer (
        debit_account_id, credit_account_id, asset, amount, kind, order_id, balance_after, created_at)
    SELECT v.debit, v.credit, 'USDT', v.amount, v.kind, v.order_id, v.balance_after, %s
    FROM unnest(%s::bigint[], %s::bigint[], %s::numeric[], %s::varchar[], %s::bigint[], %s::numeric[])
        AS v(debit, credit, amount, kind, order_id, balance_after)
"""


@dataclass(slots=True)
class AccountRow:
    """A customer's locked account."""

    id: int
    balance: Decimal
    changed: bool = False


@dataclass(slots=True)
class PositionRow:
    """A position as it stands within the batch; `is_new` when the batch itself opens it."""

    id: int
    customer_id: int
    option_id: int
    contracts: int
    remaining: int
    unpaid: int
    cost: Decimal
    proceeds: Decimal
    state: str
    opened_at: datetime
    closed_at: datetime | None = None
    is_new: bool = False
    changed: bool = False


@dataclass(frozen=True, slots=True)
class OptionRow:
    """An option with its current quote, if it has one."""

    id: int
    symbol: str
    underlying: str
    multiplier: Decimal
    state: str
    expires_at: datetime
    bid: Decimal | None
    ask: Decimal | None
    index_price: Decimal | None
    quoted_at: datetime | None


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One leg to be written; amounts in USDT."""

    debit: int
    credit: int
    amount: Decimal
    kind: str
    order_id: int
    balance_after: Decimal | None


def _rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def lock_accounts(customer_ids: Iterable[int]) -> dict[int, AccountRow]:
    """Accounts by customer id, locked in the order of their ids until the transaction ends."""
    rows = _rows(LOCK_ACCOUNTS, [list(customer_ids)])
    return {customer: AccountRow(account, balance) for customer, account, balance in rows}


def orders_by_client_id(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Order]:
    """Stored orders among (customer id, client order id) pairs."""
    pairs = list(keys)
    rows = _rows(ORDERS_BY_CLIENT_ID, [[pair[0] for pair in pairs], [pair[1] for pair in pairs]])
    orders = [Order(*row) for row in rows]
    return {(order.customer_id, order.client_order_id): order for order in orders}


def positions(ids: Iterable[int]) -> dict[int, PositionRow]:
    """Positions by id. Their customers' accounts must be locked: that lock is what guards positions."""
    wanted = list(ids)
    return {row[0]: PositionRow(*row) for row in _rows(POSITIONS, [wanted])} if wanted else {}


def options(*, symbols: Iterable[str], ids: Iterable[int]) -> list[OptionRow]:
    """Options with their quotes, by symbol or by id."""
    return [OptionRow(*row) for row in _rows(OPTIONS, [list(symbols), list(ids)])]


def next_order_ids(count: int) -> list[int]:
    """Fresh order ids; unused ones leave gaps, which nothing depends on."""
    return [row[0] for row in _rows(NEXT_IDS, [count])]


def _columns(rows: Sequence[Any], names: Sequence[str]) -> list[list[Any]]:
    return [[getattr(row, name) for row in rows] for name in names]


def write(
    *,
    accounts: Iterable[AccountRow],
    orders: Sequence[Order],
    positions: Iterable[PositionRow],
    transfers: Sequence[TransferRow],
    now: datetime,
) -> None:
    """Write everything that a batch changed, in one statement, in the caller's transaction."""
    changed = [position for position in positions if position.changed]
    opened = [position for position in changed if position.is_new]
    reduced = [position for position in changed if not position.is_new]
    parameters: list[Any] = [
        *_columns([account for account in accounts if account.changed], ["id", "balance"]),
        *_columns(orders, ORDER_COLUMNS),
        *_columns(
            opened,
            [
                *("id", "customer_id", "option_id", "contracts", "remaining", "unpaid", "cost", "proceeds"),
                *("state", "opened_at", "closed_at"),
            ],
        ),
        *_columns(reduced, ["id", "remaining", "unpaid", "proceeds"]),
        now,
        *_columns(transfers, ["debit", "credit", "amount", "kind", "order_id", "balance_after"]),
    ]
    with connection.cursor() as cursor:
        cursor.execute(WRITE, parameters)
