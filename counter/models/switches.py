"""Kill switches: what a person has stopped, of one coin or of all, and each time that one was thrown."""

from datetime import datetime

from django.db import models
from django_fsm import FSMField, transition

from infra.db.lifecycles import Lifecycle

ALL_COINS = "*"
STOP, RESUME = "counter.stop_trading", "counter.approve_resume_trading"


class TradingSwitch(Lifecycle):
    """The switch of a coin, or of ALL_COINS; read by every batch of orders together with the option."""

    class State(models.TextChoices):
        RUNNING = "RUNNING"
        OPENS_STOPPED = "OPENS_STOPPED"
        ALL_STOPPED = "ALL_STOPPED"

    underlying = models.CharField(max_length=8, unique=True)
    state = FSMField(default=State.RUNNING, choices=State, max_length=16, protected=True)
    reason = models.TextField(blank=True)
    by = models.CharField(max_length=150, blank=True)
    since = models.DateTimeField()

    class Meta:
        verbose_name_plural = "trading switches"
        permissions = [
            ("stop_trading", "Can stop trading"),
            ("approve_resume_trading", "Can have trading go on"),
        ]

    def __str__(self) -> str:
        return f"{self.coins}: {self.get_state_display().lower()}"

    @property
    def coins(self) -> str:
        """What it switches, for people."""
        return "all coins" if self.underlying == ALL_COINS else self.underlying

    @transition(field=state, source=State.RUNNING, target=State.OPENS_STOPPED, permission=STOP)
    def stop_opens(self, *, reason: str, by: str, at: datetime) -> None:
        """No new positions; closing goes on."""
        self._thrown(reason, by, at)

    @transition(
        field=state,
        source=[State.RUNNING, State.OPENS_STOPPED],
        target=State.ALL_STOPPED,
        permission=STOP,
    )
    def stop_all(self, *, reason: str, by: str, at: datetime) -> None:
        """Neither opens nor closes."""
        self._thrown(reason, by, at)

    @transition(field=state, source=State.ALL_STOPPED, target=State.OPENS_STOPPED, permission=RESUME)
    def resume_closes(self, *, reason: str, by: str, at: datetime) -> None:
        """Customers get out again."""
        self._thrown(reason, by, at)

    @transition(
        field=state,
        source=[State.OPENS_STOPPED, State.ALL_STOPPED],
        target=State.RUNNING,
        permission=RESUME,
    )
    def resume(self, *, reason: str, by: str, at: datetime) -> None:
        """Trading goes on, as far as the circuit breaker lets it."""
        self._thrown(reason, by, at)

    def _thrown(self, reason: str, by: str, at: datetime) -> None:
        self.reason, self.by, self.since = reason, by, at


class TradingSwitchChange(models.Model):
    """Who threw a switch, when, from where to where and why. Append-only."""

    underlying = models.CharField(max_length=8)
    from_state = models.CharField(max_length=16)
    to_state = models.CharField(max_length=16)
    reason = models.TextField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.underlying}: {self.from_state} -> {self.to_state}"
