"""Make an API key for a customer; its secret is printed this once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from counter.access import api_keys
from counter.models import ApiKey, Customer
from infra.coordination import clock


class Command(BaseCommand):
    """Prints the key and its secret as two variables of a shell, which the examples read."""

    help = "Make an API key for a customer, and print it with its secret."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("reference", help="the customer's name in the exchange's own systems")
        parser.add_argument("--label", default="command line", help="what the key is for")
        parser.add_argument(
            "--scopes", default=",".join(ApiKey.Scope.values), help="comma-separated; all by default"
        )
        parser.add_argument(
            "--ip",
            action="append",
            default=[],
            metavar="NETWORK",
            help="where it may come from; may be repeated",
        )
        parser.add_argument("--rate", type=int, metavar="N", help="requests a second, orders included")
        parser.add_argument(
            "--days", type=int, metavar="N", help="for how long it counts; without an end by default"
        )

    def handle(self, *, reference: str, label: str, scopes: str, ip: list[str], **options: Any) -> None:
        now = clock.of("default").now()
        customer = Customer.objects.filter(reference=reference).first()
        if customer is None:
            raise CommandError(f"there is no customer {reference}")
        try:
            issued = api_keys.issue(
                customer_id=customer.pk,
                label=label,
                scopes=scopes.split(","),
                networks=ip,
                requests_per_second=options["rate"],
                expires_at=None if options["days"] is None else now + timedelta(days=options["days"]),
                now=now,
            )
        except api_keys.ApiKeyError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"CROSSBOOK_KEY={issued.key.public_id}")
        self.stdout.write(f"CROSSBOOK_SECRET={issued.secret}")
