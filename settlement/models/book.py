"""The desk's double-entry book by asset: venue and reserve wallets, options book, counter's mirror, results."""

from django.db import models

from ledger import models as ledger


class DeskAccount(ledger.Account):
    """One account of the desk's chart (`settlement.book.chart`) in one asset."""

    id = models.BigAutoField(primary_key=True)
    asset = models.CharField(max_length=64)  # all that a venue credits, not only what we trade

    class Meta:
        constraints = [models.UniqueConstraint(fields=["code", "asset"], name="desk_account_code_asset")]


class DeskTransfer(ledger.Transfer):
    """One leg of the desk's book, traced to the conversion, transfer, break or clearing payment that caused it."""

    asset = models.CharField(max_length=64)
    debit_account = models.ForeignKey(
        DeskAccount, on_delete=models.PROTECT, related_name="debits", db_constraint=False, db_index=False
    )
    credit_account = models.ForeignKey(
        DeskAccount, on_delete=models.PROTECT, related_name="credits", db_constraint=False, db_index=False
    )
    conversion_id = models.BigIntegerField(null=True)
    funds_transfer_id = models.BigIntegerField(null=True)
    break_id = models.BigIntegerField(null=True)
    clearing_payment_id = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="desk_transfer_amount_positive")
        ]
        indexes = [models.Index(fields=["conversion_id"], name="desk_transfer_conversion")]
