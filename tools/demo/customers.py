"""The demo's customers: accounts with USDT and tokens, made anew or found again."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rest_framework.authtoken.models import Token

from counter.money import accounts

DEPOSIT_USDT = Decimal(250_000)
PAUPER_USDT = Decimal(25)


@dataclass(frozen=True, slots=True)
class DemoCustomer:
    """A customer of the demo; `pauper` has too little money and is there to be refused."""

    customer_id: int
    token: str
    pauper: bool = False


def fund(*, count: int, run_id: str, now: datetime) -> list[DemoCustomer]:
    """`count` customers with a fresh deposit each; the last one has next to nothing."""
    customers = []
    for number in range(count):
        pauper = number == count - 1 and count > 1
        name, amount = ("pauper", PAUPER_USDT) if pauper else (str(number), DEPOSIT_USDT)
        customer_id, token = fund_one(reference=f"demo-{name}", amount=amount, run_id=run_id, now=now)
        customers.append(DemoCustomer(customer_id, token, pauper))
    return customers


def fund_one(*, reference: str, amount: Decimal, run_id: str, now: datetime) -> tuple[int, str]:
    """Id and token of the customer of that reference, made if need be, after the run's deposit of USDT."""
    customer = accounts.open_customer(reference=reference, password=None, now=now)
    accounts.deposit(customer_id=customer.pk, amount=amount, reference=f"{run_id}-{customer.pk}", now=now)
    token, _ = Token.objects.get_or_create(user=customer.user)
    return customer.pk, token.key
