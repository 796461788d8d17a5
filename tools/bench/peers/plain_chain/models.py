"""Accounts, positions, orders, what the venue did for them, and the ledger."""

from django.db import models


class Account(models.Model):
    """A customer's USDT."""

    name = models.CharField(max_length=64, unique=True)
    balance = models.DecimalField(max_digits=20, decimal_places=6)


class Position(models.Model):
    """What a customer holds of one option."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    symbol = models.CharField(max_length=32)
    contracts = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "symbol"], name="one_position")]


class Order(models.Model):
    """One order on its way: placed, converted, balanced, reported."""

    class State(models.TextChoices):
        PLACED = "PLACED"
        CONVERTED = "CONVERTED"
        BALANCED = "BALANCED"
        REPORTED = "REPORTED"

    account = models.ForeignKey(Account, on_delete=models.PROTECT)
    symbol = models.CharField(max_length=32)
    contracts = models.IntegerField()
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    cost = models.DecimalField(max_digits=20, decimal_places=6)
    state = models.CharField(max_length=10, choices=State, default=State.PLACED)
    placed_at = models.DateTimeField()
    reported_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="order_open", condition=~models.Q(state="REPORTED")),
        ]


class Fill(models.Model):
    """What the venue did for an order."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT)
    price = models.DecimalField(max_digits=20, decimal_places=8)
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    fee = models.DecimalField(max_digits=20, decimal_places=8)


class LedgerEntry(models.Model):
    """One leg of a posting; an order's legs of one asset add up to zero."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT)
    account = models.CharField(max_length=32)
    asset = models.CharField(max_length=8)
    amount = models.DecimalField(max_digits=20, decimal_places=8)
