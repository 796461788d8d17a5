"""Customers and counter's book: USDT accounts and transfers.

A customer's balance is stored on the account and can never be negative; system accounts have no stored balance, so
that no row is touched by every order.
"""

from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from ledger import models as ledger

FIRST_CUSTOMER_ACCOUNT_ID = 1000


class Customer(models.Model):
    """Somebody who holds USDT here and buys options; `reference` is the name in the exchange's own systems."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    reference = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.reference


class Account(ledger.Account):
    """A USDT account: one for each customer, and the system accounts of `counter.money.chart` below id 1000."""

    id = models.BigAutoField(primary_key=True)
    customer = models.OneToOneField(Customer, null=True, on_delete=models.PROTECT)
    balance = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    # Of a customer: what is left of the open positions and their cost, as `counter.limits.in_force` recounts it, and
    # the moment at which they have paid for their orders in time.
    open_contracts = models.BigIntegerField(default=0, db_default=0)
    open_cost = models.DecimalField(
        max_digits=20, decimal_places=6, default=Decimal(0), db_default=Decimal(0)
    )
    orders_due_at = models.DateTimeField(null=True)
    # This customer's limits; null is the default of the settings. `counter.limits.in_force` keeps who set them and why.
    contracts_limit = models.IntegerField(null=True)
    notional_limit = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    orders_limit = models.IntegerField(null=True)  # a second

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["code", "asset"], name="account_code_asset"),
            models.CheckConstraint(condition=models.Q(balance__gte=0), name="account_balance_not_negative"),
            models.CheckConstraint(
                condition=models.Q(customer__isnull=True, balance__isnull=True)
                | models.Q(customer__isnull=False, balance__isnull=False),
                name="account_balance_only_for_customers",
            ),
        ]


class Transfer(ledger.Transfer):
    """One leg of counter's book; `balance_after` is the customer's balance once it is posted."""

    debit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="debits", db_constraint=False, db_index=False
    )
    credit_account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="credits", db_constraint=False, db_index=False
    )
    order_id = models.BigIntegerField(null=True)
    balance_after = models.DecimalField(max_digits=20, decimal_places=6, null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="transfer_amount_positive")
        ]
        indexes = [
            # Statements ask for customers only: the system accounts' millions of rows stay out of the indexes.
            models.Index(
                fields=["debit_account", "id"],
                name="transfer_customer_debit",
                condition=models.Q(debit_account__gte=FIRST_CUSTOMER_ACCOUNT_ID),
            ),
            models.Index(
                fields=["credit_account", "id"],
                name="transfer_customer_credit",
                condition=models.Q(credit_account__gte=FIRST_CUSTOMER_ACCOUNT_ID),
            ),
            # Legs lie in the order of their orders, so a few blocks hold those of one, and nothing is kept for each.
            BrinIndex(
                fields=["order_id"], name="transfer_order_blocks", pages_per_range=16, autosummarize=True
            ),
        ]
