"""The desk's inbox: every order once for each (source, order id), and what contradicted an order already held."""

from django.db import models
from django_fsm import FSMField, transition

from infra.db.lifecycles import Lifecycle


class AcceptedOrder(Lifecycle):
    """A customer's order as the desk holds it. Its content is never changed; its state goes with its conversion.

    Acceptance writes the row once, as RECEIVED, and reads it to tell a known order from a conflict. From then on it is
    settlement's: only settlement moves it, by the transitions below.

    One that counter never placed is DISOWNED by two people: it keeps its share of its conversion, and gives its id up.
    """

    class State(models.TextChoices):
        RECEIVED = "RECEIVED"
        CONVERTING = "CONVERTING"
        SETTLED = "SETTLED"
        REPORTED = "REPORTED"
        DISOWNED = "DISOWNED"

    class Door(models.TextChoices):
        QUEUE = "queue"
        PULL = "pull"
        IMPORT = "import"

    source = models.CharField(max_length=32)
    order_id = models.BigIntegerField()
    kind = models.CharField(max_length=8)
    symbol = models.CharField(max_length=32)
    underlying = models.CharField(max_length=8)
    contracts = models.IntegerField()
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    index_price = models.DecimalField(max_digits=20, decimal_places=8)
    fair = models.DecimalField(max_digits=20, decimal_places=6)
    payout = models.CharField(max_length=8)
    placed_at = models.DateTimeField()
    door = models.CharField(max_length=8, choices=Door)
    state = FSMField(default=State.RECEIVED, choices=State, max_length=12, protected=True)
    version = models.IntegerField(
        db_default=0
    )  # the number of its last step; 0 until one that its mover logged
    conversion_id = models.BigIntegerField(null=True)
    received_at = models.DateTimeField()
    converting_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    reported_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "order_id"], name="accepted_order_once")]
        indexes = [
            models.Index(
                fields=["underlying", "id"],
                name="accepted_order_received",
                condition=models.Q(state="RECEIVED"),
            ),
            models.Index(fields=["conversion_id", "id"], name="accepted_order_conversion"),
            models.Index(
                fields=["id"], name="accepted_order_unreported", condition=models.Q(state="SETTLED")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source}/{self.order_id} {self.kind} {self.coin} {self.underlying}"

    @transition(field=state, source=State.RECEIVED, target=State.CONVERTING)
    def convert(self) -> None:
        """A conversion has claimed it."""

    @transition(field=state, source=State.CONVERTING, target=State.RECEIVED)
    def release(self) -> None:
        """Its conversion came to nothing; the next one may claim it."""

    @transition(field=state, source=State.CONVERTING, target=State.SETTLED)
    def settle(self) -> None:
        """Its share of a conversion is booked."""

    @transition(field=state, source=State.SETTLED, target=State.REPORTED)
    def report(self) -> None:
        """The counter has taken the settlement."""

    @transition(field=state, source=[State.RECEIVED, State.SETTLED, State.REPORTED], target=State.DISOWNED)
    def disown(self) -> None:
        """Counter has no such order: what it came to is in suspense, and its id is free for counter's own."""


class OrderStep(models.Model):
    """A step of an accepted order, the first from no state. Append-only, written by the statement that moves the order.

    Steps have no gap: `number` is the version that the move gave the order. What moved it without a log, as the code of
    the version before this table, is `unlogged`: the database noted the step, by its own clock.
    """

    pk = models.CompositePrimaryKey("order_id", "number")
    order_id = models.BigIntegerField()  # the desk's own id of it
    number = models.IntegerField()
    from_state = models.CharField(max_length=12, blank=True)  # blank: it was received
    to_state = models.CharField(max_length=12)
    conversion_id = models.BigIntegerField(null=True)  # that claimed, settled or released it
    at = models.DateTimeField()
    unlogged = models.BooleanField(db_default=False)

    def __str__(self) -> str:
        return f"accepted order {self.order_id}: {self.from_state} -> {self.to_state}"


class OrderStepsBegin(models.Model):
    """One row: orders up to `after_id` were there before their steps were logged. Append-only."""

    after_id = models.BigIntegerField()

    def __str__(self) -> str:
        return f"after {self.after_id}"


class Conflict(models.Model):
    """An order kept aside: its id came again with other content, or its content cannot be settled. Never applied."""

    class Reason(models.TextChoices):
        OTHER_CONTENT = "other_content"
        INVALID = "invalid"

    source = models.CharField(max_length=32)
    order_id = models.BigIntegerField()
    reason = models.CharField(max_length=16, choices=Reason)
    received = models.JSONField()
    digest = models.CharField(max_length=64)
    door = models.CharField(max_length=8, choices=AcceptedOrder.Door)
    noted_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolution = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "order_id", "digest"], name="conflict_noted_once")
        ]
        indexes = [
            models.Index(
                fields=["noted_at"], name="conflict_open", condition=models.Q(resolved_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"{self.source}/{self.order_id}"
