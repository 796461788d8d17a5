"""How each coin is traded at the moment, how that has changed, and what the desk has last said of its own condition."""

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django_fsm import FSMField, transition

from counter.circuit_breaker import State
from infra.db.lifecycles import Lifecycle

_CHOICES = [(state.value, state.value.lower()) for state in State]


class TradingStatus(Lifecycle):
    """One coin's state, written by the feed with every tick and read with the option by every order."""

    State = State

    underlying = models.CharField(max_length=8, unique=True)
    state = FSMField(default=State.NORMAL.value, choices=_CHOICES, max_length=8, protected=True)
    spread_rate = models.DecimalField(max_digits=7, decimal_places=6)  # a fraction of an order's fair value
    reasons = ArrayField(models.CharField(max_length=24), default=list)
    why = models.TextField(blank=True)
    # What is not hedged, as it was judged against its limits; null where no index is known.
    exposure_usdt = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    # Of the option book, in USDT: delta, and vega for one percentage point; null without limits on them.
    book_delta_usdt = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    book_vega_usdt = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    # Of all coins: USDT paid to customers at once whose orders are not settled, and whether closes may add to it.
    payout_float_usdt = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    pays_at_once = models.BooleanField(default=True, db_default=True)
    # Thousandths of its orders that are admitted, by `counter.trading.back_pressure`: all unless the desk is behind.
    admitted_permille = models.SmallIntegerField(default=1000, db_default=1000)
    is_paced = models.BooleanField(
        default=True, db_default=True
    )  # by how fast the desk settles; else all is admitted
    # What an order's size is charged by (`counter.pricing.impact`): how far from 0 the book's delta and vega and the
    # unconverted premiums cost the whole rate, in USDT; null or 0 charges nothing.
    delta_depth = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    vega_depth = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    premium_depth = models.DecimalField(max_digits=28, decimal_places=6, null=True)
    # What was measured last, less all of BookFlow at that moment: with the flows of now it is the book of now.
    delta_base = models.DecimalField(max_digits=40, decimal_places=16, null=True)
    vega_base = models.DecimalField(max_digits=40, decimal_places=16, null=True)
    premium_base = models.DecimalField(max_digits=40, decimal_places=16, null=True)
    # The worse state of its own switch and that of all coins: where orders read it.
    stop = models.CharField(max_length=16, default="RUNNING", db_default="RUNNING")
    since = models.DateTimeField()
    easing_since = models.DateTimeField(null=True)
    judged_at = models.DateTimeField()  # nobody watches the coin when this is long ago

    class Meta:
        verbose_name_plural = "trading statuses"

    def __str__(self) -> str:
        return f"{self.underlying} {self.state}"

    @transition(field=state, source=[State.NORMAL, State.HALTED], target=State.WIDE)
    def widen(self) -> None:
        """A cause asks for caution, or the worst of it is over."""

    @transition(field=state, source=[State.NORMAL, State.WIDE], target=State.HALTED)
    def halt(self) -> None:
        """No new positions are opened; closing goes on."""

    @transition(field=state, source=State.WIDE, target=State.NORMAL)
    def reopen(self) -> None:
        """The causes have been gone for a while."""


class BookFlow(models.Model):
    """How the orders that one session of the database (by its process id) took have moved a coin's book, since ever.

    From the exchange's side: delta and premiums in coin, vega in USDT. Written by that session alone, with its orders,
    so nobody waits for anybody; the sum of all rows is how far the book has come.
    """

    pk = models.CompositePrimaryKey("underlying", "writer")
    underlying = models.CharField(max_length=8)
    writer = models.IntegerField()
    delta = models.DecimalField(max_digits=40, decimal_places=16)
    vega = models.DecimalField(max_digits=40, decimal_places=16)
    premium = models.DecimalField(max_digits=40, decimal_places=16)

    def __str__(self) -> str:
        return f"{self.underlying} by {self.writer}"


class TradingStatusChange(models.Model):
    """Who moved a coin from where to where, when and why. Append-only."""

    underlying = models.CharField(max_length=8)
    from_state = models.CharField(max_length=8, blank=True)  # blank: it was judged for the first time
    to_state = models.CharField(max_length=8)
    spread_rate = models.DecimalField(max_digits=7, decimal_places=6)
    reasons = ArrayField(models.CharField(max_length=24), default=list)
    why = models.TextField(blank=True)
    at = models.DateTimeField()
    by = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.underlying}: {self.from_state} -> {self.to_state}"


class DeskCondition(models.Model):
    """What the desk said last of one coin; `as_of` by its own clock, `received_at` by ours."""

    underlying = models.CharField(max_length=8, unique=True)
    unhedged_coin = models.DecimalField(
        max_digits=20, decimal_places=8, default=Decimal(0)
    )  # still to be bought (positive) or sold (negative)
    venue_halted_since = models.DateTimeField(null=True)
    doubtful_since = models.DateTimeField(
        null=True
    )  # the oldest conversion of unknown outcome, or a person's
    # Of the orders in all such conversions, opens and closes alike; null if the desk does not say.
    doubtful_coin = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    venue_ms = models.IntegerField(default=0, db_default=0)  # that the venue lately took to answer
    as_of = models.DateTimeField()
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.underlying}: {self.unhedged_coin} unhedged"


class DeskProgress(models.Model):
    """How far the desk's reports of one coin have come, written with each: what is behind is counted from it."""

    underlying = models.CharField(max_length=8, primary_key=True)
    settled = models.BigIntegerField(default=0)  # orders, since ever
    newest_at = models.DateTimeField()  # when the newest order was placed that is settled

    class Meta:
        verbose_name_plural = "desk progress"

    def __str__(self) -> str:
        return f"{self.underlying}: {self.settled} settled"
