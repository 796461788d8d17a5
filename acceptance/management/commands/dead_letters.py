"""`manage.py dead_letters`: what the desk could not take in from the queue, to look at, to send again or to delete."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from infra.broker import dead_letters

SHOWN_BYTES = 500


class Command(BaseCommand):
    """Without an option it shows them and changes nothing."""

    help = "Show the messages that the desk could not take in; --replay sends them again, --discard deletes them."

    def add_arguments(self, parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--replay", action="store_true")
        group.add_argument("--discard", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["replay"]:
            self.stdout.write(f"{dead_letters.replay()} sent again")
        elif options["discard"]:
            self.stdout.write(f"{dead_letters.discard()} deleted")
        else:
            self._show()

    def _show(self) -> None:
        letters = dead_letters.dead_letters()
        for letter in letters:
            self.stdout.write(f"{letter.buried_at} {letter.reason}")
            self.stdout.write(f"    {letter.body[:SHOWN_BYTES]!r}")
        self.stdout.write(f"{len(letters)} dead letters")
