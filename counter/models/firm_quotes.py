"""Firm quotes: a price that one customer was promised for one order, for a few seconds."""

from django.db import models
from django_fsm import FSMField, transition

from counter.models.accounts import Customer
from counter.models.options import Option
from infra.db.lifecycles import Lifecycle


class FirmQuote(Lifecycle):
    """What an order of this customer, option, side and size gets if it names the quote before `expires_at`.

    Given and used only under the lock of its customer's account. Amounts are as in a sync order.
    """

    class State(models.TextChoices):
        GIVEN = "GIVEN"
        USED = "USED"

    class Kind(models.TextChoices):
        OPEN = "OPEN"
        CLOSE = "CLOSE"

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    kind = models.CharField(max_length=8, choices=Kind)
    option = models.ForeignKey(Option, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    position_id = models.BigIntegerField(null=True)  # of what is to be closed
    contracts = models.IntegerField()
    premium = models.DecimalField(max_digits=12, decimal_places=6)
    index_price = models.DecimalField(max_digits=20, decimal_places=8)
    coin = models.DecimalField(max_digits=20, decimal_places=8)
    fair = models.DecimalField(max_digits=20, decimal_places=6)
    spread = models.DecimalField(max_digits=20, decimal_places=6)
    amount = models.DecimalField(max_digits=20, decimal_places=6)  # cost or proceeds
    given_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    state = FSMField(default=State.GIVEN, choices=State, max_length=8, protected=True)
    order_id = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["customer", "expires_at"], name="firm_quote_live")]

    def __str__(self) -> str:
        return f"{self.kind} {self.contracts} of option {self.option_id} for {self.amount}"

    @transition(field=state, source=State.GIVEN, target=State.USED)
    def use(self) -> None:
        """An order was placed at this price."""
