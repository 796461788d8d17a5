"""Kill switches: what a person has stopped, of one coin or of all, each throw, and who asks to resume trading."""

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
        verbose_name = "kill switch"
        verbose_name_plural = "kill switches"
        permissions = [
            ("stop_trading", "Can stop trading"),
            ("approve_resume_trading", "Can have trading go on"),
        ]

    def __str__(self) -> str:
        return self.coins

    @property
    def coins(self) -> str:
        """What it switches, for people."""
        return coins_text(self.underlying)

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

    @transition(
        field=state,
        source=[State.OPENS_STOPPED, State.ALL_STOPPED],
        target=State.RUNNING,
        permission=STOP,
    )
    def take_back(self, *, reason: str, by: str, at: datetime) -> None:
        """Their own stop, by the person who threw it, before which nothing was stopped."""
        self._thrown(reason, by, at)

    @transition(field=state, source=State.ALL_STOPPED, target=State.OPENS_STOPPED, permission=STOP)
    def take_back_closes(self, *, reason: str, by: str, at: datetime) -> None:
        """Their own stop, by the person who threw it, before which opens were stopped: that stop stands again."""
        self._thrown(reason, by, at)

    def _thrown(self, reason: str, by: str, at: datetime) -> None:
        self.reason, self.by, self.since = reason, by, at


class TradingSwitchChange(models.Model):
    """Who threw a switch, when, from where to where and why. Append-only.

    `takes_back` is the stop that was taken back by it, once at most.
    """

    underlying = models.CharField(max_length=8)
    from_state = models.CharField(max_length=16)
    to_state = models.CharField(max_length=16)
    reason = models.TextField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()
    takes_back = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="taken_back_by"
    )

    class Meta:
        verbose_name = "throw of a kill switch"
        verbose_name_plural = "kill switches thrown"

    def __str__(self) -> str:
        return f"{self.by} {self.deed}"

    @property
    def coins(self) -> str:
        """What it switches, for people."""
        return coins_text(self.underlying)

    @property
    def is_stop(self) -> bool:
        """Whether more is stopped after it than before."""
        ranks = TradingSwitch.State.values
        return ranks.index(self.to_state) > ranks.index(self.from_state)

    @property
    def deed(self) -> str:
        """What the person did, after their name."""
        if self.is_stop or self.from_state == self.to_state:
            return f"threw the switch of {self.coins}"
        if self.takes_back_id:
            return f"took back the stop of {self.coins}"
        closes = self.to_state != TradingSwitch.State.RUNNING
        return f"resumed {'closes of ' if closes else ''}{self.coins}"


class ResumeRequest(models.Model):
    """A person who may not resume trading asks for it, while the throw that they saw stands. Append-only."""

    change = models.ForeignKey(TradingSwitchChange, models.PROTECT, related_name="resume_requests")
    reason = models.TextField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        verbose_name = "request to resume trading"
        verbose_name_plural = "requests to resume trading"
        constraints = [models.UniqueConstraint(fields=["change", "by"], name="asked_once_by_each_person")]

    def __str__(self) -> str:
        return f"{self.by} asks to resume trading"


def coins_text(underlying: str) -> str:
    """What a switch is of, for people."""
    return "all coins" if underlying == ALL_COINS else underlying
