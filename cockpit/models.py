"""What the cockpit remembers: running totals of both systems, and how full the broker's queues were."""

from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


def _usdt() -> models.DecimalField:
    return models.DecimalField(max_digits=28, decimal_places=8, default=Decimal(0))


class Tally(models.Model):
    """A rollup: totals since the first one, in which every order, booking and venue call counts exactly once.

    The class keeps the name that its table, its permission (`view_tally`), its task and its metric have.
    `counted_...` is the last row of a growing table that is in the totals, `seen_...` the last there was: what was seen
    is counted by a later rollup, when what was being written beside it is committed or undone.
    """

    at = models.DateTimeField(unique=True)
    as_of = models.DateTimeField()  # when what is counted was seen
    seen_order = models.BigIntegerField()
    seen_state_change = models.BigIntegerField()
    seen_attempt = models.BigIntegerField()
    counted_order = models.BigIntegerField()
    counted_state_change = models.BigIntegerField()
    counted_attempt = models.BigIntegerField()
    accepted = models.BigIntegerField(default=0)
    synced = models.BigIntegerField(default=0)
    settled = models.BigIntegerField(default=0)
    reported = models.BigIntegerField(default=0)
    conversions = models.BigIntegerField(default=0)
    turnover = _usdt()  # what customers' orders were settled at, opens and closes
    spread = _usdt()  # gains are positive, here and below
    slippage = _usdt()
    carry = _usdt()  # result of coin that was carried from one conversion to the next
    fees = _usdt()  # the desk's; what a payout at fill bears is the customer's
    rounding = _usdt()
    settle_seconds = models.FloatField(default=0)
    settle_counts = ArrayField(models.BigIntegerField())  # by bucket of `cockpit.histogram`
    above_venue_seconds = models.FloatField(default=0)
    above_venue_counts = ArrayField(models.BigIntegerField())
    calls = models.JSONField(default=list)  # [call, outcome, code, how many]

    class Meta:
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.at}: {self.accepted} accepted"


class QueueDepth(models.Model):
    """How many messages waited in one of the broker's queues when it was last asked."""

    queue = models.CharField(max_length=128, primary_key=True)
    messages = models.BigIntegerField()
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.queue}: {self.messages}"


class DayStatement(models.Model):
    """What both books say of one day (UTC): accounts, trial balances and results, as `cockpit.days` adds them up.

    Append-only: a day may be stated again, but what was stated stays.
    """

    day = models.DateField()
    content = models.JSONField()
    digest = models.CharField(max_length=64)  # SHA-256 of the content
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField()

    class Meta:
        permissions = [("make_daystatement", "Can have the statement of a day made")]
        indexes = [models.Index(fields=["day", "-id"], name="day_statement_newest")]

    def __str__(self) -> str:
        return f"{self.day}: {self.digest[:12]}"


class DayClose(models.Model):
    """A day that two people have closed: one has made its statement, another one has found it right. Append-only."""

    day = models.DateField(unique=True)
    statement = models.OneToOneField(DayStatement, on_delete=models.PROTECT)
    made_by = models.CharField(max_length=150)
    closed_by = models.CharField(max_length=150)
    closed_at = models.DateTimeField()
    note = models.TextField(blank=True, db_default="", default="")  # of what the venue tells otherwise

    class Meta:
        permissions = [("approve_dayclose", "Can close a day")]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(made_by=models.F("closed_by")), name="day_closed_by_another"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} closed by {self.made_by} and {self.closed_by}"


class DayWork(models.Model):
    """A statement or a close that somebody has asked for, and how far a worker is with it.

    `step` of `cockpit.days.STEPS` are done. `statement` is what is to be closed, or what came of a request for one. A
    `refusal` says why nothing came of it.
    """

    class Kind(models.TextChoices):
        STATE = "STATE", "the statement"
        CLOSE = "CLOSE", "the close"

    day = models.DateField()
    kind = models.CharField(max_length=5, choices=Kind)
    statement = models.ForeignKey(DayStatement, null=True, on_delete=models.PROTECT, db_index=False)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    step = models.SmallIntegerField(default=0)
    stepped_at = models.DateTimeField(null=True)  # null: no worker has taken it up
    ended_at = models.DateTimeField(null=True)
    refusal = models.TextField(blank=True)
    note = models.TextField(blank=True, db_default="", default="")  # of who closes

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day"], condition=models.Q(ended_at__isnull=True), name="day_work_one_open"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="STATE") | models.Q(statement__isnull=False),
                name="day_work_closes_a_statement",
            ),
        ]
        indexes = [models.Index(fields=["day", "-id"], name="day_work_newest")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.day}"

    def statement_of(self) -> DayStatement:
        """The statement that is to be closed, or was made. Raises: LookupError when there is none yet."""
        if self.statement is None:
            raise LookupError(f"{self} has no statement")
        return self.statement


class StaffKey(models.Model):
    """By what a program of a member of staff says who asks at `/staff/v1/`; of the key itself only its SHA-256."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="staff_keys")
    label = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)  # to a minute

    def __str__(self) -> str:
        return f"{self.label} of {self.user}"
