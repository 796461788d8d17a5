"""Counter's chart of system accounts; their ids are fixed, so that the hot path never looks them up."""

from enum import IntEnum
from typing import Any

from ledger.models import NormalSide

USDT = "USDT"


class SystemAccount(IntEnum):
    """clearing: owed to the desk; spread: Crossbook's income; external: the world that deposits come from;
    withdrawals: reserved for the wallet to pay out."""

    CLEARING = 1
    SPREAD = 2
    EXTERNAL = 3
    WITHDRAWALS = 4


NORMAL_SIDES = {
    SystemAccount.CLEARING: NormalSide.CREDIT,
    SystemAccount.SPREAD: NormalSide.CREDIT,
    SystemAccount.EXTERNAL: NormalSide.DEBIT,
    SystemAccount.WITHDRAWALS: NormalSide.CREDIT,
}


def ensure_system_accounts(*, using: str, **signal: Any) -> None:
    """Create what is missing of the chart. Runs after each migration, also after a test's flush."""
    from counter.models import Account

    if using != "default":
        return
    Account.objects.using(using).bulk_create(
        [
            Account(id=account, code=account.name.lower(), asset=USDT, normal_side=side)
            for account, side in NORMAL_SIDES.items()
        ],
        ignore_conflicts=True,
    )
