"""`manage.py trading`: throw a kill switch, or say which are thrown, when nobody can reach the admin."""

import getpass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from counter.models.switches import ALL_COINS
from counter.trading.trading_switches import State, SwitchRefused, stopped, throw

ALL = "all"


class Command(BaseCommand):
    """Door to `counter.trading.trading_switches`."""

    help = "Stop trading in a coin or in all, have it go on, or show what is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("show", help="which switches are thrown, by whom and why")
        for step, text in (("stop", "stop opens"), ("resume", "have trading go on")):
            command = steps.add_parser(step, help=text)
            command.add_argument("coin", choices=[*settings.COINS, ALL])
            command.add_argument("--reason", required=True)
            if step == "stop":
                command.add_argument("--closes", action="store_true", help="stop closes too")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["step"] == "show":
            self._show()
            return
        to = State.RUNNING
        if options["step"] == "stop":
            to = State.ALL_STOPPED if options["closes"] else State.OPENS_STOPPED
        try:
            thrown = throw(
                underlying=ALL_COINS if options["coin"] == ALL else options["coin"],
                to=to,
                reason=options["reason"],
                by=f"{getpass.getuser()} at the console",
                now=timezone.now(),
            )
        except SwitchRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        if not thrown:
            self.stdout.write("It was so already.")
        self._show()

    def _show(self) -> None:
        switches = stopped()
        for switch in switches.values():
            self.stdout.write(f"{switch}, since {switch.since.isoformat()}, by {switch.by}: {switch.reason}")
        if not switches:
            self.stdout.write("Nothing is stopped.")
