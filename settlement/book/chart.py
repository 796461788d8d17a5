"""The desk's chart of accounts: every code, on which side it is positive, and what it holds."""

from collections.abc import Iterable
from functools import lru_cache

from ledger.models import NormalSide
from settlement.models import DeskAccount

USDT = "USDT"

VENUE = "venue"  # the trading (spot) wallet
INVENTORY = "inventory"  # the reserve (funding) wallet
COUNTER = "counter"  # what counter owes the desk: the mirror of counter's clearing account
OPTIONS = "options"  # coin that the desk owes the options book
TRADING = "trading"  # the two sides of conversions; what stays is the carry
FEES = "fees"
PNL = "pnl:conversion"
ROUNDING = "rounding"
CASH = "cash"  # what counter has paid outside of the venue's wallets, less what was paid to it or brought in from it
CAPITAL = "capital"  # what the wallets held before the first order
SUSPENSE = "suspense"  # what nobody has explained yet

NORMAL_SIDES = {
    VENUE: NormalSide.DEBIT,
    INVENTORY: NormalSide.DEBIT,
    COUNTER: NormalSide.DEBIT,
    CASH: NormalSide.DEBIT,
    TRADING: NormalSide.DEBIT,
    FEES: NormalSide.DEBIT,
    SUSPENSE: NormalSide.DEBIT,
    OPTIONS: NormalSide.CREDIT,
    PNL: NormalSide.CREDIT,
    ROUNDING: NormalSide.CREDIT,
    CAPITAL: NormalSide.CREDIT,
}


class Chart:
    """Accounts by (code, asset), created when first used; one object serves one transaction, or one round."""

    def __init__(self, accounts: Iterable[DeskAccount] | None = None) -> None:
        known = DeskAccount.objects.all() if accounts is None else accounts
        self._accounts = {(account.code, account.asset): account for account in known}

    def account(self, code: str, asset: str) -> DeskAccount:
        """The account, created if this asset is new to it."""
        self.create_missing([(code, asset)])
        return self._accounts[code, asset]

    def create_missing(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Create the accounts (code, asset) that there are not yet, in one statement; others may do so meanwhile."""
        missing = sorted(set(wanted) - self._accounts.keys())
        if not missing:
            return
        DeskAccount.objects.bulk_create(
            (DeskAccount(code=code, asset=asset, normal_side=NORMAL_SIDES[code]) for code, asset in missing),
            ignore_conflicts=True,
        )
        self._accounts |= {(account.code, account.asset): account for account in DeskAccount.objects.all()}


def chart_of(accounts: Iterable[str]) -> Chart:
    """The chart of accounts that were read along with something else: `ID CODE ASSET` each."""
    return Chart(map(_account, accounts))


@lru_cache(maxsize=1024)
def _account(told: str) -> DeskAccount:
    """Made once for all rounds: an account never changes, and making a row of Django's takes 30 µs."""
    key, code, asset = told.split(" ", 2)
    return DeskAccount(id=int(key), code=code, asset=asset)
