"""What reconciliation has found: breaks, each with its trace, age and owner, and the runs with their watermarks."""

from datetime import datetime
from decimal import Decimal

from django.db import models
from django_fsm import FSMField, transition

from infra.db.lifecycles import Lifecycle


class ReconciliationBreak(Lifecycle):
    """One difference between venue, desk ledger and counter's clearing, from when it was found until it was balanced.

    `amount` of `asset` is what the other side has above the desk's book; negative: what it lacks. It closes itself when
    a run finds it balanced, and says by what; two people may book it to suspense or capital, or accept what a fill
    and the venue say of one trade; nobody closes it by hand.
    """

    class State(models.TextChoices):
        OPEN = "OPEN"
        CLOSED = "CLOSED"

    what = models.CharField(max_length=64)
    where = models.CharField(max_length=96)
    detail = models.TextField()
    state = FSMField(default=State.OPEN, choices=State, max_length=12, protected=True)
    version = models.IntegerField(default=0)
    asset = models.CharField(max_length=64, blank=True)
    amount = models.DecimalField(max_digits=28, decimal_places=8, null=True)
    conversion_id = models.BigIntegerField(null=True)
    order_id = models.BigIntegerField(null=True)  # counter's
    symbol = models.CharField(max_length=24, blank=True)
    venue_trade_id = models.CharField(max_length=64, blank=True)
    venue_transfer_id = models.CharField(max_length=64, blank=True)
    account = models.CharField(max_length=64, blank=True)  # of the desk's chart
    effect = models.JSONField(default=list)  # (account, asset, amount as text) that would make the book agree
    since = models.DateTimeField()  # when it happened, as far as it is known
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    # Users live in counter's database: the id tells them apart, the name is the one at that time.
    owner_id = models.BigIntegerField(null=True)
    owner = models.CharField(max_length=150, blank=True)
    owned_since = models.DateTimeField(null=True)
    written_off_at = models.DateTimeField(null=True)  # booked by two people, to suspense or to capital
    accepted_at = models.DateTimeField(null=True)  # two people say that `detail` is so, and stays so
    # What it has moved the mirror by.
    corrected = models.DecimalField(max_digits=28, decimal_places=8, default=Decimal(0), db_default=0)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.TextField(blank=True)

    class Meta:
        verbose_name = "reconciliation break"
        permissions = [
            ("own_reconciliationbreak", "Can take a reconciliation break into their own hands"),
            (
                "write_off_reconciliationbreak",
                "Can request that a reconciliation break is written off to suspense",
            ),
            (
                "book_capital_reconciliationbreak",
                "Can request that a reconciliation break is booked as the desk's capital",
            ),
            (
                "book_cash_reconciliationbreak",
                "Can request that a reconciliation break is booked as cash brought in or taken out",
            ),
            ("run_reconciliation", "Can have everything reconciled at once"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["what", "where"], condition=models.Q(state="OPEN"), name="break_one_open"
            ),
            models.CheckConstraint(
                condition=models.Q(state="OPEN", closed_at__isnull=True, closed_by="")
                | (models.Q(state="CLOSED", closed_at__isnull=False) & ~models.Q(closed_by="")),
                name="break_closed_by_something",
            ),
        ]
        indexes = [
            models.Index(
                fields=["since"],
                name="break_written_off",
                condition=models.Q(written_off_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.what}: {self.where}"

    @transition(field=state, source=State.OPEN, target=State.CLOSED)
    def close(self, *, by: str, at: datetime) -> None:
        """A matching booking, or the other side's own move, has balanced it."""
        self.closed_by, self.closed_at = by, at


class ReconciliationRun(models.Model):
    """One run: what was compared, what came of it, and how far everything before it is known to agree."""

    at = models.DateTimeField()
    seconds = models.DecimalField(max_digits=9, decimal_places=3)
    by = models.CharField(max_length=150)
    trades_until = models.DateTimeField()  # the venue's trades and transfers before are reconciled
    orders_until = models.BigIntegerField()  # counter's clearing of orders up to this id is reconciled
    legs_until = models.BigIntegerField()  # `balances` are those of the legs up to this id
    balances = models.JSONField()  # amounts as text, by account and asset
    checked = models.IntegerField()
    found = models.IntegerField()
    closed = models.IntegerField()
    open = models.IntegerField()
    in_flight = models.IntegerField()
    unchecked = models.TextField(blank=True)  # what could not be compared, and why

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}: {self.open} open"
