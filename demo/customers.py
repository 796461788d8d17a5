"""The demo's customers: accounts with USDT and tokens, made anew or found again."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rest_framework.authtoken.models import Token

from counter import accounts

DEPOSIT_USDT = Decimal(250_000)
PAUPER_USDT = Decimal(25)


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """Somebody who trades in the demo; `pauper` is there to be refused."""

    customer_id: int
    token: str
    pauper: bool = False


def fund(*, count: int, run_id: str, now: datetime) -> list[DemoCustomer]:
    """`count` customers with a fresh deposit each; the last one has next to nothing."""
    customers = []
    for number in range(count):
        pauper = number == count - 1 and count > 1
        customer = accounts.open_customer(
            reference=f"demo-{'pauper' if pauper else number}", password=None, now=now
        )
        accounts.deposit(
            customer_id=customer.pk,
            amount=PAUPER_USDT if pauper else DEPOSIT_USDT,
            reference=f"{run_id}-{customer.pk}",
            now=now,
        )
        token, _ = Token.objects.get_or_create(user=customer.user)
        customers.append(DemoCustomer(customer.pk, token.key, pauper))
    return customers
