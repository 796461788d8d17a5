"""A customer's ledger: the transfers of the account, each with the balance it left and the order it belongs to.

Invariant: entries of one account have their ids in the order of their balances, for both are given under its lock. So a
time is turned into an id once, and from there on a statement is a range of ids: it adds up, and the next one begins
where it ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from infra.db.ids_by_time import begin_id

MAX_ID = 2**63 - 1
PAGE = 1000

# Each side is read from its own partial index and stops at the limit, however long the history is.
_ENTRIES = """
    SELECT e.id, e.kind, CASE WHEN e.is_credit THEN e.amount ELSE -e.amount END, e.balance_after, e.created_at,
           e.order_id, o.client_order_id, o.kind, o.symbol, o.fair, o.spread, o.settlement_fee
    FROM (
        (SELECT id, kind, amount, balance_after, order_id, created_at, true AS is_credit
         FROM counter_transfer
         WHERE credit_account_id = %(account)s AND credit_account_id >= 1000 AND id >= %(first)s AND id < %(end)s
         ORDER BY id {direction} LIMIT %(limit)s)
        UNION ALL
        (SELECT id, kind, amount, balance_after, order_id, created_at, false
         FROM counter_transfer
         WHERE debit_account_id = %(account)s AND debit_account_id >= 1000 AND id >= %(first)s AND id < %(end)s
         ORDER BY id {direction} LIMIT %(limit)s)
        ORDER BY id {direction} LIMIT %(limit)s
    ) AS e LEFT JOIN counter_syncorder AS o ON o.id = e.order_id
    ORDER BY e.id {direction}
"""
NEWEST_FIRST, OLDEST_FIRST = (_ENTRIES.format(direction=direction) for direction in ("DESC", "ASC"))
FIRST_ENTRY = """
    SELECT min(id) FROM (
        (SELECT id FROM counter_transfer
         WHERE credit_account_id = %(account)s AND credit_account_id >= 1000 AND id >= %(first)s
             AND created_at >= %(at)s
         ORDER BY id LIMIT 1)
        UNION ALL
        (SELECT id FROM counter_transfer
         WHERE debit_account_id = %(account)s AND debit_account_id >= 1000 AND id >= %(first)s
             AND created_at >= %(at)s
         ORDER BY id LIMIT 1)
    ) AS entries
"""


@dataclass(frozen=True, slots=True)
class EntryOrder:
    """The order of an entry: USDT `fair` and `spread`, and its share of the venue's `fee` once that is reported."""

    client_order_id: str
    kind: str
    symbol: str
    fair: Decimal
    spread: Decimal
    fee: Decimal | None


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One transfer seen from the customer: `amount` USDT is positive when it came in."""

    id: int
    kind: str
    amount: Decimal
    balance_after: Decimal
    created_at: datetime
    order_id: int | None
    order: EntryOrder | None


@dataclass(frozen=True, slots=True)
class IdRange:
    """The entries from the id `first` on and before `end`."""

    first: int = 0
    end: int = MAX_ID


def ids_between(*, account_id: int, from_time: datetime | None, to_time: datetime | None) -> IdRange:
    """The account's entries from the first one made at `from_time` or later, up to the first at `to_time` or later."""
    return IdRange(
        0 if from_time is None else first_entry_id(account_id, from_time),
        MAX_ID if to_time is None else first_entry_id(account_id, to_time),
    )


def first_entry_id(account_id: int, at: datetime) -> int:
    """Id of the account's first entry made at a time or later, MAX_ID when there is none."""
    first = begin_id("counter_transfer", "created_at", at)
    with connection.cursor() as cursor:
        cursor.execute(FIRST_ENTRY, {"account": account_id, "first": first, "at": at})
        (found,) = cursor.fetchone()
    return MAX_ID if found is None else found


def ledger_entries(*, account_id: int, within: IdRange, limit: int) -> list[LedgerEntry]:
    """Up to `limit` of the entries within a range, newest first."""
    return _read(NEWEST_FIRST, account_id, within, limit)


def all_entries(*, account_id: int, within: IdRange) -> Iterator[LedgerEntry]:
    """Every entry within a range, oldest first, read a page at a time."""
    first = within.first
    while page := _read(OLDEST_FIRST, account_id, IdRange(first, within.end), PAGE):
        yield from page
        first = page[-1].id + 1


def balance_before(account_id: int, entry_id: int) -> tuple[Decimal, int]:
    """USDT that the account held before an id, and the id of the entry that left it (-1 when there was none)."""
    newest = ledger_entries(account_id=account_id, within=IdRange(0, entry_id), limit=1)
    return (newest[0].balance_after, newest[0].id) if newest else (Decimal(0), -1)


def _read(sql: str, account_id: int, within: IdRange, limit: int) -> list[LedgerEntry]:
    asked = {"account": account_id, "first": within.first, "end": within.end, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        return [_entry(*row) for row in cursor.fetchall()]


def _entry(
    entry_id: int,
    kind: str,
    amount: Decimal,
    balance_after: Decimal,
    created_at: datetime,
    order_id: int | None,
    *order: Any,
) -> LedgerEntry:
    known = None if order_id is None else EntryOrder(*order)
    return LedgerEntry(entry_id, kind, amount, balance_after, created_at, order_id, known)
