"""What each conversion was executed at, beside what the market offered."""

from django.db import models

from settlement.models.conversions import Conversion


def _sum(digits: int) -> models.DecimalField:
    """An exact sum of many amounts with so many decimals."""
    return models.DecimalField(max_digits=32 + digits, decimal_places=digits)


class Execution(models.Model):
    """One booked conversion that traded, and its benchmarks, USDT for one coin. Entered after it is booked.

    `order_price` is the index at which counter priced the orders of the conversion's side, weighted by coin; null where
    there is none (only carried coin, or exercises, which were priced by a settlement average). `sent_price` is halfway
    between bid and ask when the order was sent that was executed; null where nobody noted it. `minute_price` is the
    volume-weighted average of all trades at the venue in the minute of the first fill, ours among them, and
    `minute_coin` their coin; both stay null unless the venue's answer is known. Only `venue` is asked; it is
    empty where nobody noted it. What lost most of a day is found by the index `execution_lost`
    (settlement/migrations/0027_executions_lost.py).
    """

    class Answer(models.TextChoices):
        AWAITED = "AWAITED", "the venue is still to be asked, or has not answered"
        KNOWN = "KNOWN", "the venue has told it"
        NONE = "NONE", "the venue has no such minute, or nobody asks it any more"

    conversion = models.OneToOneField(
        Conversion,
        primary_key=True,
        on_delete=models.PROTECT,
        db_constraint=False,
        related_name="execution",
    )
    venue = models.CharField(max_length=32, db_default="")
    underlying = models.CharField(max_length=8)
    side = models.CharField(max_length=4, choices=Conversion.Side)
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    usdt = models.DecimalField(max_digits=28, decimal_places=8)
    minute = models.DateTimeField()  # its beginning
    order_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    sent_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    answer = models.CharField(max_length=7, choices=Answer, default=Answer.AWAITED)
    due_at = models.DateTimeField()  # when the venue is asked, or asked again
    left_out_at = models.DateTimeField(null=True)  # when the venue first answered without it
    minute_price = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    minute_coin = models.DecimalField(max_digits=28, decimal_places=8, null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(answer="KNOWN", minute_price__isnull=False, minute_coin__isnull=False)
                | (~models.Q(answer="KNOWN") & models.Q(minute_price__isnull=True, minute_coin__isnull=True)),
                name="execution_minute_known",
            ),
        ]
        indexes = [
            models.Index(fields=["minute", "conversion"], name="execution_minute"),
            models.Index(
                fields=["underlying", "minute"],
                name="execution_awaited",
                condition=models.Q(answer="AWAITED"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.coin} {self.underlying} for {self.usdt}"


class ExecutionDay(models.Model):
    """A rollup: what the executions of one day (UTC) and coin add up to. Written by triggers of the executions' table.

    So it says at every moment what the rows say, however late one is entered or answered for, and whichever release
    writes it. Of each benchmark: the conversions that have it, the USDT gained against it, and the coin's worth at it,
    as `settlement.conversions.execution.gains` defines them. A day whose executions are gone has zeros.
    """

    day = models.DateField()
    underlying = models.CharField(max_length=8)
    conversions = models.BigIntegerField()
    awaited = models.BigIntegerField()  # the venue is still to tell their minutes
    coin = _sum(8)
    usdt = _sum(8)
    order_count = models.BigIntegerField()
    order_gain = _sum(16)
    order_notional = _sum(16)
    sent_count = models.BigIntegerField()
    sent_gain = _sum(16)
    sent_notional = _sum(16)
    minute_count = models.BigIntegerField()
    minute_gain = _sum(16)
    minute_notional = _sum(16)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "underlying"], name="execution_day_once")]

    def __str__(self) -> str:
        return f"{self.day}: {self.conversions} of {self.underlying}"


class ExecutionsRead(models.Model):
    """One row: how far the state changes are read for conversions that were booked.

    `counted` is the last one that is read, `seen` the last there was at `seen_at`: it is read when what was being
    written beside it is committed or undone, which are transactions below `seen_xid`.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    counted = models.BigIntegerField(default=0)
    seen = models.BigIntegerField(default=0)
    seen_xid = models.BigIntegerField(default=0, db_default=0)  # the first that had not begun
    seen_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"up to state change {self.counted}"
