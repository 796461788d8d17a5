"""Conversions: what one batch of orders needed from the venue, what the venue did, and each order's share of it."""

from decimal import Decimal
from typing import Any

from django.db import models
from django_fsm import FSMField, transition

from acceptance.models import AcceptedOrder
from infra.db.lifecycles import Lifecycle


class Carry(models.Model):
    """Coin of one underlying that no open conversion has claimed: still to buy (positive) or to sell (negative).

    Locked only by planning and booking, once a batch. `usdt` is what it was worth when it was carried out.
    """

    underlying = models.CharField(max_length=8, primary_key=True)
    coin = models.DecimalField(max_digits=20, decimal_places=8, default=Decimal(0))
    usdt = models.DecimalField(max_digits=28, decimal_places=8, default=Decimal(0))

    class Meta:
        verbose_name_plural = "carries"

    def __str__(self) -> str:
        return f"{self.coin} {self.underlying}"


class CoinRest(models.Model):
    """When a coin is tried again whose orders executed nothing, or whose prices could not be had, time after time."""

    underlying = models.CharField(max_length=8, primary_key=True)
    in_a_row = models.IntegerField()
    due_at = models.DateTimeField()
    why = models.TextField()

    def __str__(self) -> str:
        return f"{self.underlying}: {self.why}"


def was_sent(conversion: Any) -> bool:
    """A condition of asking the venue for it."""
    return bool(conversion.submitted_at is not None)


class Conversion(Lifecycle):
    """One netted batch of orders of one coin and at most one venue order, under an id stored before it is sent.

    A crossing that needs no venue order has quantity zero and goes from PLANNED to FILLED by itself.
    """

    class State(models.TextChoices):
        PLANNED = "PLANNED"
        SUBMITTED = "SUBMITTED"
        UNKNOWN = "UNKNOWN"
        RETRY_WAIT = "RETRY_WAIT"
        FILLED = "FILLED"
        BOOKED = "BOOKED"
        MISSED = "MISSED"
        MANUAL = "MANUAL"
        RELEASED = "RELEASED"

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    underlying = models.CharField(max_length=8)
    state = FSMField(default=State.PLANNED, choices=State, max_length=12, protected=True)
    version = models.IntegerField(default=0)
    place = models.SmallIntegerField(
        default=0, db_default=0
    )  # which of the coin's rounds in flight has sent it
    order_count = models.IntegerField()
    bought = models.DecimalField(max_digits=20, decimal_places=8)  # coin that opens needed
    sold = models.DecimalField(max_digits=20, decimal_places=8)  # coin that closes gave
    crossed = models.DecimalField(max_digits=20, decimal_places=8)
    carry_in_coin = models.DecimalField(max_digits=20, decimal_places=8)
    carry_in_usdt = models.DecimalField(max_digits=28, decimal_places=8)
    reference_price = models.DecimalField(max_digits=20, decimal_places=8)
    side = models.CharField(max_length=4, choices=Side, blank=True)
    quantity = models.DecimalField(max_digits=20, decimal_places=8)
    limit_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    client_order_id = models.CharField(max_length=36, unique=True)
    venue_order_id = models.CharField(max_length=64, blank=True)
    attempts = models.IntegerField(default=0)
    misses = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    waits_for_id = models.BigIntegerField(null=True)  # the funds transfer that it asked for
    reason = models.TextField(blank=True)
    filled_coin = models.DecimalField(max_digits=20, decimal_places=8, default=Decimal(0))
    filled_usdt = models.DecimalField(max_digits=28, decimal_places=8, default=Decimal(0))
    # What was settled against suspense because nobody can tell what the venue did.
    written_off_coin = models.DecimalField(max_digits=20, decimal_places=8, default=Decimal(0), db_default=0)
    written_off_usdt = models.DecimalField(max_digits=28, decimal_places=8, default=Decimal(0), db_default=0)
    price = models.DecimalField(max_digits=20, decimal_places=8, null=True)  # settlement price of every share
    fee_usdt = models.DecimalField(max_digits=28, decimal_places=8, null=True)
    carry_out_coin = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    carry_out_usdt = models.DecimalField(max_digits=28, decimal_places=8, null=True)
    planned_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True)
    filled_at = models.DateTimeField(null=True)
    booked_at = models.DateTimeField(null=True)

    OPEN_STATES = (
        State.PLANNED,
        State.SUBMITTED,
        State.UNKNOWN,
        State.RETRY_WAIT,
        State.FILLED,
        State.MANUAL,
    )

    class Meta:
        permissions = [("ask_venue_conversion", "Can have the venue asked about a conversion at once")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(quantity__gte=0), name="conversion_quantity_not_negative"
            ),
            models.UniqueConstraint(
                fields=["venue_order_id", "underlying"],
                condition=~models.Q(venue_order_id=""),
                name="conversion_venue_order_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["underlying", "state"],
                name="conversion_open",
                condition=~models.Q(state__in=["BOOKED", "MISSED", "RELEASED"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.side or 'cross'} {self.quantity} {self.underlying}"

    @transition(field=state, source=[State.PLANNED, State.RETRY_WAIT], target=State.SUBMITTED)
    def submit(self) -> None:
        """The order is about to be sent. No way leads here from UNKNOWN: what may live is never sent again."""

    @transition(field=state, source=State.SUBMITTED, target=State.UNKNOWN)
    def lose_sight(self) -> None:
        """The venue may or may not have it; only asking can tell."""

    @transition(field=state, source=State.SUBMITTED, target=State.RETRY_WAIT)
    def wait(self) -> None:
        """The venue has certainly not executed it; it may be sent again when due."""

    @transition(
        field=state, source=[State.PLANNED, State.SUBMITTED, State.UNKNOWN, State.MANUAL], target=State.FILLED
    )
    def fill(self) -> None:
        """Its fills are known and final, or it needed none."""

    @transition(field=state, source=State.FILLED, target=State.BOOKED)
    def book(self) -> None:
        """Fills, shares and legs are in the book."""

    @transition(field=state, source=[State.SUBMITTED, State.UNKNOWN, State.RETRY_WAIT], target=State.MISSED)
    def miss(self) -> None:
        """The venue has certainly executed nothing of it; its orders are released."""

    @transition(field=state, source=[State.SUBMITTED, State.UNKNOWN, State.RETRY_WAIT], target=State.MANUAL)
    def hand_over(self) -> None:
        """A person has to decide."""

    @transition(field=state, source=State.MANUAL, target=State.RELEASED)
    def release(self) -> None:
        """A person has shown that nothing was executed; its orders are released."""

    @transition(field=state, source=State.MANUAL, target=State.UNKNOWN, conditions=[was_sent])
    def hand_back(self) -> None:
        """The venue is asked once more; only its answer leads on from there."""


class Fill(models.Model):
    """One trade of a conversion's order as the venue reports it, or as two people have booked it by hand."""

    conversion = models.ForeignKey(Conversion, on_delete=models.PROTECT, related_name="fills")
    symbol = models.CharField(max_length=24)
    venue_trade_id = models.CharField(max_length=64)
    price = models.DecimalField(max_digits=20, decimal_places=8)
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    usdt = models.DecimalField(max_digits=28, decimal_places=8)
    fee = models.DecimalField(max_digits=28, decimal_places=8)
    fee_asset = models.CharField(max_length=64)
    fee_usdt = models.DecimalField(
        max_digits=28, decimal_places=8, null=True
    )  # worth of a fee in a third asset
    traded_at = models.DateTimeField()
    intervention_id = models.BigIntegerField(null=True)  # booked by hand, not on the venue's word

    class Meta:
        constraints = [models.UniqueConstraint(fields=["symbol", "venue_trade_id"], name="fill_once")]

    def __str__(self) -> str:
        return f"{self.coin} at {self.price}"


class Allocation(models.Model):
    """One order's exact share of its conversion. The unique order id is what makes settling twice impossible."""

    order = models.OneToOneField(
        AcceptedOrder,
        primary_key=True,
        on_delete=models.PROTECT,
        db_constraint=False,
        related_name="allocation",
    )
    conversion = models.ForeignKey(
        Conversion, on_delete=models.PROTECT, related_name="allocations", db_constraint=False
    )
    value = models.DecimalField(max_digits=28, decimal_places=8)
    fee = models.DecimalField(max_digits=28, decimal_places=8)
    due = models.DecimalField(max_digits=20, decimal_places=6)
    slippage = models.DecimalField(max_digits=28, decimal_places=8)
    rounding = models.DecimalField(max_digits=28, decimal_places=8)

    def __str__(self) -> str:
        return f"{self.order_id}: {self.value}"
