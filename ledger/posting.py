"""Posting transfers, and proving the book.

Transfers are written in two places. Here `post` and `posting` check each one first. Counter's batches of orders,
payouts and exercises write theirs within their one statement (`counter.orders.writing`): all its accounts are of
USDT, and the table's constraint refuses an amount that is not positive. `trial_balance` proves what both wrote; that
there is no third place is held by tests/architecture/test_ledger_writers.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connections, router

from infra.db.composing import inserting
from infra.db.pipeline import Statement
from infra.db.rows import insert
from ledger.models import Account, Transfer


class LedgerError(Exception):
    """A transfer that the book refuses."""


class AmountNotPositive(LedgerError):
    """A transfer's amount is zero or negative."""


class AssetMismatch(LedgerError):
    """A transfer's asset differs from that of one of its accounts, or both accounts are the same."""


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """Trial balance of one asset: the sum over all accounts, `total`, has to be zero."""

    asset: str
    accounts: int
    debit_total: Decimal
    total: Decimal


def post(transfers: Sequence[Transfer]) -> None:
    """Write `transfers` in the caller's transaction, in order.

    Raises: AmountNotPositive, AssetMismatch; nothing is written then.
    """
    _check(transfers)
    insert(transfers)


def posting(transfers: Sequence[Transfer], *, if_any: str = "") -> list[Statement]:
    """`post` as a part of a larger statement (`infra.db.composing`).

    Raises: AmountNotPositive, AssetMismatch.
    """
    _check(transfers)
    return inserting(transfers, if_any=if_any)


def _check(transfers: Sequence[Transfer]) -> None:
    """Raises: AmountNotPositive, AssetMismatch."""
    for transfer in transfers:
        if transfer.amount <= 0:
            raise AmountNotPositive(f"{transfer.kind}: {transfer.amount}")
        debit, credit = transfer.debit_account, transfer.credit_account  # type: ignore[attr-defined]
        if not debit.asset == credit.asset == transfer.asset or debit.pk == credit.pk:
            raise AssetMismatch(f"{transfer.kind}: {debit} -> {credit} in {transfer.asset}")


def balances(
    account_model: type[Account], transfer_model: type[Transfer]
) -> list[tuple[int, str, str, Decimal]]:
    """(account id, code, asset, balance on the account's normal side) of every account, summed from the transfers."""
    with connections[router.db_for_read(transfer_model)].cursor() as cursor:
        cursor.execute(f"""
            SELECT a.id, a.code, a.asset,
                   COALESCE(SUM(m.amount), 0) * CASE a.normal_side WHEN 'D' THEN 1 ELSE -1 END
            FROM {account_model._meta.db_table} AS a
            LEFT JOIN (
                SELECT debit_account_id AS account_id, SUM(amount) AS amount
                FROM {transfer_model._meta.db_table} GROUP BY 1
                UNION ALL
                SELECT credit_account_id, -SUM(amount) FROM {transfer_model._meta.db_table} GROUP BY 1
            ) AS m ON m.account_id = a.id
            GROUP BY a.id, a.code, a.asset, a.normal_side ORDER BY a.asset, a.code
        """)  # noqa: S608 - table names come from the models
        return cursor.fetchall()


def trial_balance(account_model: type[Account], transfer_model: type[Transfer]) -> list[AssetBalance]:
    """Debits less credits of all accounts of each asset: zero unless a transfer crossed assets or lost an account.

    The transfers are read once, and added up by their two accounts before anything is joined to them.
    """
    with connections[router.db_for_read(transfer_model)].cursor() as cursor:
        cursor.execute(f"""
            WITH flows AS MATERIALIZED (
                SELECT debit_account_id, credit_account_id, SUM(amount) AS amount
                FROM {transfer_model._meta.db_table} GROUP BY 1, 2
            )
            SELECT COALESCE(a.asset, '?'), COUNT(DISTINCT a.id),
                   COALESCE(SUM(m.debit), 0), COALESCE(SUM(m.debit - m.credit), 0)
            FROM (
                SELECT debit_account_id AS account_id, SUM(amount) AS debit, 0 AS credit FROM flows GROUP BY 1
                UNION ALL
                SELECT credit_account_id, 0, SUM(amount) FROM flows GROUP BY 1
            ) AS m LEFT JOIN {account_model._meta.db_table} AS a ON a.id = m.account_id
            GROUP BY 1 ORDER BY 1
        """)  # noqa: S608 - table names come from the models
        return [AssetBalance(*row) for row in cursor.fetchall()]
