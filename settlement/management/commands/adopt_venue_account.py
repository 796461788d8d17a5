"""`manage.py adopt_venue_account`: take the venue's account of the settings for that of the desk's books."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from infra.console import console_user
from infra.coordination import clock
from settlement.funds import venue_account
from settlement.funds.venue_account import CannotAdopt
from settlement.models import VenueAccount
from settlement.venues.ccxt_venue import venue
from settlement.venues.protocol import VenueError


class Command(BaseCommand):
    """Door to `settlement.funds.venue_account.adopt`; shows what it would do unless it is told to do it."""

    help = "Let the books go on with another venue account: shows what would be booked; --because does it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--because", metavar="REASON", default="", help="do it, and keep why")

    def handle(self, *args: Any, **options: Any) -> None:
        known = VenueAccount.objects.order_by("-id").first()
        try:
            told, found = venue().account_id(), venue_account.changes(venue())
            self.stdout.write(f"The books are of {known or 'no account yet'}.")
            self.stdout.write(
                f"The settings lead to {told or 'an account without a name'} at {venue().name}."
            )
            for change in found:
                self.stdout.write(
                    f"{change.account} {change.asset}: {change.booked} booked, {change.held} held; "
                    f"{change.difference:+} against capital"
                )
            if not options["because"].strip():
                self.stdout.write("Nothing was changed: --because REASON adopts it.")
                return
            venue_account.adopt(
                venue(), by=console_user(), why=options["because"].strip(), now=clock.of("desk").now()
            )
        except (CannotAdopt, VenueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The books are of this account now; the desk sends again.")
