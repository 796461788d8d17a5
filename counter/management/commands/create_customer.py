"""Create a customer with an API token, once: the same reference again prints the same token."""

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from rest_framework.authtoken.models import Token

from counter.models import CashMovement, Customer
from counter.money.accounts import deposit, open_customer
from counter.money.cash import AccountError, ReferenceReused
from infra.coordination import clock


class Command(BaseCommand):
    """Prints the token; `Authorization: Token ...` then speaks for the customer."""

    help = "Create a customer, optionally with an opening deposit, and print the API token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the customer's name in the exchange's own systems")
        parser.add_argument("--password", help="lets the customer log in to pages; none means token only")
        parser.add_argument("--deposit", metavar="USDT", help="opening deposit, made once for the customer")

    def handle(self, *, reference: str, password: str | None, **options: Any) -> None:
        now = clock.of("default").now()
        amount = _amount(options["deposit"])
        known = Customer.objects.filter(reference=reference).select_related("user").first()
        _check_password(reference, password, known)
        try:
            with transaction.atomic():
                customer = open_customer(reference=reference, password=password, now=now)
                if amount is not None:
                    _deposit_once(customer, amount, now)
        except AccountError as error:
            raise CommandError(f"{type(error).__name__}: {error}") from error
        token, _ = Token.objects.get_or_create(user=customer.user)
        self.stdout.write(token.key)


def _check_password(reference: str, password: str | None, known: Customer | None) -> None:
    """Raises: CommandError for a weak one, and for another than the customer has."""
    if password is None:
        return
    if known is not None:
        if not known.user.check_password(password):
            raise CommandError(
                f"{reference} exists with another password. To change it: manage.py changepassword {reference}"
            )
        return
    try:
        validate_password(password, get_user_model()(username=reference))
    except ValidationError as error:
        raise CommandError(f"The password is too weak: {' '.join(error.messages)}") from error


def _deposit_once(customer: Customer, amount: Decimal, now: Any) -> None:
    """Raises: AccountError; CommandError when the opening deposit was another one."""
    reference = f"opening:{customer.pk}"
    try:
        deposit(customer_id=customer.pk, amount=amount, reference=reference, now=now)
    except ReferenceReused as error:
        made = CashMovement.objects.get(reference=reference)
        raise CommandError(
            f"{customer.reference} has had an opening deposit of {made.amount.normalize():f} USDT, and there is one "
            f"only: without --deposit the token is printed. Further money comes by the wallet service "
            f"(POST /wallet/v1/deposits); to try things out, create another customer."
        ) from error


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise CommandError(f"{text} is not an amount of USDT") from error
