"""What a customer has: balance, what is held with what it would bring now, the newest orders."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from counter.models import Account, SyncOrder
from trade import customer_texts
from trade.holdings import Holdings, holdings_of

SHOWN_ORDERS = 8


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order with what its state means."""

    order: SyncOrder
    state: customer_texts.Text
    meaning: customer_texts.Text

    @property
    def kind(self) -> customer_texts.Text:
        """What it did."""
        return customer_texts.ORDER_KINDS[self.order.kind]

    @property
    def is_open(self) -> bool:
        """Whether it bought."""
        return self.order.kind == SyncOrder.Kind.OPEN

    @property
    def is_paid_later(self) -> bool:
        """Whether its payout waits for the fill."""
        return self.order.payout == SyncOrder.Payout.AT_FILL and not self.is_settled

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.order.state == SyncOrder.State.SETTLED


@dataclass(frozen=True, slots=True)
class Book:
    """All of it at one moment."""

    balance: Decimal | None
    holdings: Holdings
    orders: list[ShownOrder]
    at: datetime

    @property
    def value(self) -> Decimal | None:
        """USDT that there would be if everything were closed now; None where something has no price."""
        totals = self.holdings.totals
        if self.balance is None or totals.unpriced or totals.awaited:
            return None
        return self.balance + (totals.worth or Decimal(0))


def balance_of(customer_id: int) -> Decimal | None:
    """USDT the customer can spend; None without an account."""
    return Account.objects.filter(customer_id=customer_id).values_list("balance", flat=True).first()


def book_of(
    *, customer_id: int, now: datetime, page: int = 1, opened: str | None = None, before: int | None = None
) -> Book:
    """Read a customer's book; `page`, `opened` and `before` choose what is shown of the holdings."""
    orders = SyncOrder.objects.filter(customer_id=customer_id).order_by("-pk")[:SHOWN_ORDERS]
    return Book(
        balance=balance_of(customer_id),
        holdings=holdings_of(customer_id=customer_id, now=now, page=page, opened=opened, before=before),
        orders=[placed(order) for order in orders],
        at=now,
    )


def placed(order: SyncOrder) -> ShownOrder:
    """An order as it is shown."""
    state, meaning = customer_texts.ORDER_STATES[order.state]
    return ShownOrder(order, state, meaning)
