"""What is for sale: option series, their current quotes, and the index prices that settle them."""

from django.db import models
from django_fsm import FSMField, transition

from counter.option_state import OptionState
from infra.db.lifecycles import Lifecycle

HALT = "counter.halt_option"


class Option(Lifecycle):
    """One coin-margined European option; a contract is `multiplier` coin."""

    class State(models.TextChoices):
        LISTED = OptionState.LISTED.value
        HALTED = OptionState.HALTED.value
        EXPIRED = OptionState.EXPIRED.value
        SETTLED = OptionState.SETTLED.value

    class Kind(models.TextChoices):
        CALL = "C", "call"
        PUT = "P", "put"

    symbol = models.CharField(max_length=32, unique=True)
    underlying = models.CharField(max_length=8)
    kind = models.CharField(max_length=1, choices=Kind)
    strike = models.DecimalField(max_digits=20, decimal_places=8)
    expires_at = models.DateTimeField()
    multiplier = models.DecimalField(max_digits=12, decimal_places=8)
    state = FSMField(default=State.LISTED, choices=State, protected=True)
    settlement_index = models.DecimalField(max_digits=20, decimal_places=8, null=True)

    class Meta:
        permissions = [("halt_option", "Can halt a series and have it resumed")]
        indexes = [
            models.Index(fields=["underlying", "expires_at", "strike"], name="option_chain"),
            # Sweeps look for what has to end, every two seconds: what has ended long ago is left out.
            models.Index(
                fields=["state", "expires_at"], name="option_unsettled", condition=~models.Q(state="SETTLED")
            ),
        ]

    def __str__(self) -> str:
        return self.symbol

    @transition(field=state, source=State.LISTED, target=State.HALTED, permission=HALT)
    def halt(self) -> None:
        """No new orders are taken."""

    @transition(field=state, source=State.HALTED, target=State.LISTED, permission=HALT)
    def resume(self) -> None:
        """Orders are taken again."""

    @transition(field=state, source=[State.LISTED, State.HALTED], target=State.EXPIRED)
    def expire(self) -> None:
        """The series has reached its expiry; positions wait for the settlement index."""

    @transition(field=state, source=State.EXPIRED, target=State.SETTLED)
    def settle(self) -> None:
        """Every position is exercised or expired at `settlement_index`."""


class Quote(models.Model):
    """The current two-sided premium of an option in coin (6 decimals) and the index it was made at."""

    option = models.OneToOneField(Option, primary_key=True, on_delete=models.CASCADE)
    bid = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    ask = models.DecimalField(max_digits=12, decimal_places=6, null=True)
    mark = models.DecimalField(max_digits=12, decimal_places=6)
    implied_volatility = models.DecimalField(max_digits=8, decimal_places=6)
    index_price = models.DecimalField(max_digits=20, decimal_places=8)
    # Of the option's expiry, USDT for one coin; null until the feed has quoted it by this release.
    forward = models.DecimalField(max_digits=20, decimal_places=8, null=True)
    # Of the option on one coin, as at the quote: coin, and USDT for a percentage point of volatility. Null where its
    # coin charges nothing for an order's size.
    delta = models.DecimalField(max_digits=8, decimal_places=6, null=True)
    vega = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    quoted_at = models.DateTimeField()
    # What customers may have seen in the last seconds: premium times index, USDT for one coin, the lowest ask and the
    # highest bid since `seen_since` and in the seconds before that.
    lowest_ask = models.DecimalField(max_digits=32, decimal_places=14, null=True)
    lowest_ask_before = models.DecimalField(max_digits=32, decimal_places=14, null=True)
    highest_bid = models.DecimalField(max_digits=32, decimal_places=14, null=True)
    highest_bid_before = models.DecimalField(max_digits=32, decimal_places=14, null=True)
    seen_since = models.DateTimeField(null=True)
    # Of the series' limits, as the feed measured it last: contracts, and USDT of their cost.
    contracts_left = models.BigIntegerField(null=True)
    notional_left = models.DecimalField(max_digits=28, decimal_places=6, null=True)

    def __str__(self) -> str:
        return f"{self.option_id} {self.bid}/{self.ask} at {self.index_price}"


class IndexPrice(models.Model):
    """The index of an underlying at one moment, kept for the settlement average."""

    underlying = models.CharField(max_length=8)
    price = models.DecimalField(max_digits=20, decimal_places=8)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["underlying", "-at"], name="index_price_latest")]

    def __str__(self) -> str:
        return f"{self.underlying} {self.price}"
