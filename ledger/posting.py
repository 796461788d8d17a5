"""Posting transfers and proving the book: the only ways in, and the trial balance that checks them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connections, router

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
    for transfer in transfers:
        if transfer.amount <= 0:
            raise AmountNotPositive(f"{transfer.kind}: {transfer.amount}")
        debit, credit = transfer.debit_account, transfer.credit_account  # type: ignore[attr-defined]
        if not debit.asset == credit.asset == transfer.asset or debit.pk == credit.pk:
            raise AssetMismatch(f"{transfer.kind}: {debit} -> {credit} in {transfer.asset}")
    if transfers:
        type(transfers[0])._default_manager.bulk_create(transfers)


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
