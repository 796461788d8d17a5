"""Breaks of reconciliation that stand open, and what the desk's accounts hold."""

from collections.abc import Sequence
from typing import Any

from ledger.posting import balances
from settlement.models import DeskAccount, DeskTransfer, ReconciliationBreak


def open_breaks() -> dict[str, ReconciliationBreak]:
    """By what is wrong; one of each."""
    return {row.what: row for row in ReconciliationBreak.objects.filter(state="OPEN")}


def balances_of_the_desk() -> Sequence[Any]:
    """(id, account, asset, amount) of each of the desk's accounts."""
    return balances(DeskAccount, DeskTransfer)
