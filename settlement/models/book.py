"""The desk's double-entry book by asset: venue and reserve wallets, options book, counter's mirror, results."""

from django.db import models

from ledger import models as ledger


class DeskAccount(ledger.Account):
    """One account of the desk's chart (`settlement.chart`) in one asset."""

    id = models.BigAutoField(primary_key=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["code", "asset"], name="desk_account_code_asset")]


class DeskTransfer(ledger.Transfer):
    """One leg of the desk's book, traced to the conversion, funds transfer or reconciliation break that caused it."""

    debit_account = models.ForeignKey(
        DeskAccount, on_delete=models.PROTECT, related_name="debits", db_constraint=False, db_index=False
    )
    credit_account = models.ForeignKey(
        DeskAccount, on_delete=models.PROTECT, related_name="credits", db_constraint=False, db_index=False
    )
    conversion_id = models.BigIntegerField(null=True)
    funds_transfer_id = models.BigIntegerField(null=True)
    break_id = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="desk_transfer_amount_positive")
        ]
        indexes = [models.Index(fields=["conversion_id"], name="desk_transfer_conversion")]
