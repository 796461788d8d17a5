"""Sync orders: every accepted order, and at the same time the transactional outbox towards the desk."""

from django.db import models
from django_fsm import FSMField, transition

from counter.models.accounts import Customer
from counter.models.options import Option
from infra.db.lifecycles import Lifecycle


class SyncOrder(Lifecycle):
    """One accepted order with the price it was given; never changed but for its way through the desk."""

    class State(models.TextChoices):
        PENDING = "PENDING"
        SYNCED = "SYNCED"
        SETTLED = "SETTLED"

    class Kind(models.TextChoices):
        OPEN = "OPEN"
        CLOSE = "CLOSE"
        EXERCISE = "EXERCISE"

    class Payout(models.TextChoices):
        INSTANT = "instant"
        AT_FILL = "at_fill"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    client_order_id = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind)
    option = models.ForeignKey(Option, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    position_id = models.BigIntegerField()
    symbol = models.CharField(max_length=32)
    underlying = models.CharField(max_length=8)
    contracts = models.IntegerField()
    premium = models.DecimalField(max_digits=12, decimal_places=6)
    index_price = models.DecimalField(max_digits=20, decimal_places=8)
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    fair = models.DecimalField(max_digits=20, decimal_places=6)
    spread = models.DecimalField(max_digits=20, decimal_places=6)
    amount = models.DecimalField(
        max_digits=20, decimal_places=6
    )  # cost, or proceeds (zero until paid at fill)
    limit = models.DecimalField(
        max_digits=20, decimal_places=6, null=True
    )  # max_cost or min_proceeds as asked
    payout = models.CharField(max_length=8, choices=Payout, default=Payout.INSTANT)
    state = FSMField(default=State.PENDING, choices=State, max_length=8, protected=True)
    placed_at = models.DateTimeField()
    quote_id = models.BigIntegerField(null=True)  # of the firm quote that it was placed at
    synced_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    conversion_id = models.BigIntegerField(null=True)
    settlement_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    settlement_value = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    settlement_fee = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    settlement_due = models.DecimalField(max_digits=20, decimal_places=6, null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "client_order_id"], name="sync_order_client_order_id"
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="sync_order_customer"),
            models.Index(
                fields=["placed_at", "id"], name="sync_order_pending", condition=models.Q(state="PENDING")
            ),
            models.Index(fields=["id"], name="sync_order_synced", condition=models.Q(state="SYNCED")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.contracts} {self.symbol}"

    @transition(field=state, source=State.PENDING, target=State.SYNCED)
    def sync(self) -> None:
        """The desk has stored it durably."""

    @transition(field=state, source=[State.PENDING, State.SYNCED], target=State.SETTLED)
    def settle(self) -> None:
        """The desk has settled it; a report also proves that it was synced."""
