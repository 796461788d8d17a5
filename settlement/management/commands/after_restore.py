"""`manage.py after_restore`: enter again what a restored desk has forgotten, and let it send when that is all."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from acceptance.counter_client import CounterError
from infra.coordination import clock
from settlement.restore import hold
from settlement.venues.ccxt_venue import venue
from settlement.venues.protocol import VenueError


class Command(BaseCommand):
    """`make restore` calls it with `--hold`; a person calls it when the stack is up."""

    help = "After a restore: ask counter and the venue what happened since the backup, enter it, and go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--hold",
            metavar="MOMENT",
            type=datetime.fromisoformat,
            help="send nothing; the backup is of MOMENT",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["hold"] is not None:
            hold.hold(backed_up_at=options["hold"])
            return
        try:
            found = hold.remember(venue=venue(), now=clock.of("desk").now())
        except (VenueError, CounterError) as error:
            raise CommandError(
                f"not all could be asked, the desk stays held; run it again: {error}"
            ) from error
        self.stdout.write(
            f"{found.taken_in} orders taken in again, {found.transfers} wallet transfers and "
            f"{len(found.entered)} conversions entered as counter was told, {len(found.carried)} without their orders"
        )
        if found.given_up:
            numbers = ", ".join(map(str, found.given_up))
            self.stdout.write(f"entered without proof, as two people have decided: conversions {numbers}")
        for line in found.left:
            self.stdout.write(line)
        if found.left:
            raise CommandError("the desk stays held; run it again in a minute, then see the guide")
        self.stdout.write("The book knows everything that the venue has executed; the desk sends again.")
