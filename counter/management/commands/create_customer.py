"""Create a customer with an API token, once: the same reference again prints the same token."""

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rest_framework.authtoken.models import Token

from counter.money.accounts import deposit, open_customer
from counter.money.cash import AccountError


class Command(BaseCommand):
    """Prints the token; `Authorization: Token ...` then speaks for the customer."""

    help = "Create a customer, optionally with an opening deposit, and print his API token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the customer's name in the exchange's own systems")
        parser.add_argument("--password", help="lets the customer log in to pages; none means token only")
        parser.add_argument("--deposit", metavar="USDT", help="opening deposit, made once for the customer")

    def handle(self, *, reference: str, password: str | None, **options: Any) -> None:
        now = timezone.now()
        amount = _amount(options["deposit"])
        customer = open_customer(reference=reference, password=password, now=now)
        if amount is not None:
            try:
                deposit(customer_id=customer.pk, amount=amount, reference=f"opening:{customer.pk}", now=now)
            except AccountError as error:
                raise CommandError(f"{type(error).__name__}: {error}") from error
        token, _ = Token.objects.get_or_create(user=customer.user)
        self.stdout.write(token.key)


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise CommandError(f"{text} is not an amount of USDT") from error
