"""`manage.py audit`: checks the nine invariants and says so as a table or as JSON; exits 1 when one is broken."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console

import audit
from audit.record import record
from audit.table import show
from infra.coordination import clock
from settlement.venues.ccxt_venue import venue


class Command(BaseCommand):
    """Door to `audit.run`."""

    help = "Check the nine invariants of both books and of the venue; exit 1 when one is broken or unchecked."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report for machines")
        parser.add_argument("--offline", action="store_true", help="do not ask the venue")

    def handle(self, *args: Any, **options: Any) -> None:
        offline = options["offline"]
        report = audit.run(now=clock.of("default").now(), venue=None if offline else venue())
        if not offline:
            record(report)
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), indent=2))
        else:
            show(report, console=Console(highlight=False))
        if report.broken or (report.unchecked and not offline):
            raise SystemExit(1)
