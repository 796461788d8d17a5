"""`manage.py after_restore`: let a restored desk send again, once the venue shows nothing that its book forgot."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from settlement import restoring
from settlement.venues.ccxt_venue import venue
from settlement.venues.protocol import VenueError


class Command(BaseCommand):
    """`make restore` calls it with `--hold`; a person calls it when the stack is up."""

    help = "After a restore: ask the venue what it executed since the backup, and go on if the book knows all of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--hold",
            metavar="MOMENT",
            type=datetime.fromisoformat,
            help="send nothing; the backup is of MOMENT",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["hold"] is not None:
            restoring.hold(backed_up_at=options["hold"])
            return
        try:
            found = restoring.release_if_nothing_is_forgotten(venue=venue(), now=timezone.now())
        except VenueError as error:
            raise CommandError(f"the venue did not say: {error}") from error
        for order in found:
            self.stdout.write(
                f"{order.underlying}  venue order {order.venue_order_id}  client id {order.client_order_id or '-'}  "
                f"{order.coin} {order.underlying}  {order.usdt} USDT"
            )
        if found:
            raise CommandError(
                f"{len(found)} orders were executed that the book does not know; the desk stays held"
            )
        self.stdout.write("The book knows everything that the venue has executed; the desk sends again.")
