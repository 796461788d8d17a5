"""Double entry: accounts and append-only transfers, as abstract models that each system gives its own tables.

A transfer moves one positive amount of one asset from a debit account to a credit account, so a book balances by
construction; what could unbalance it (an account of another asset) is refused by `post` and found by `trial_balance`.
"""

from django.db import models


class NormalSide(models.TextChoices):
    """The side on which an account's balance is positive: assets and expenses debit, debts and income credit."""

    DEBIT = "D", "debit"
    CREDIT = "C", "credit"


class Account(models.Model):
    """One account of one asset; `code` names it in the system's chart."""

    code = models.CharField(max_length=64)
    asset = models.CharField(max_length=8)
    normal_side = models.CharField(max_length=1, choices=NormalSide)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.code} {self.asset}"


class Transfer(models.Model):
    """One movement of `amount` of `asset` from a debit account to a credit account. Never changed, never deleted.

    Subclasses declare `debit_account` and `credit_account` against their own Account, without a database constraint:
    a foreign key would lock the system accounts' rows in every order's transaction.
    """

    id = models.BigAutoField(primary_key=True)
    asset = models.CharField(max_length=8)
    amount = models.DecimalField(max_digits=28, decimal_places=8)
    kind = models.CharField(max_length=24)
    created_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.asset}"
