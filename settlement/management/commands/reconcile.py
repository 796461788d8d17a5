"""`manage.py reconcile`: one run at once, as a table; exits 1 when a break is open or something was not compared."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.table import Table

from config.leader import exclusive
from settlement import reconciliation
from settlement.models import ReconciliationBreak
from settlement.venues.ccxt_venue import venue


class Command(BaseCommand):
    """Door to `reconciliation.reconcile`."""

    help = "Reconcile the venue, the desk's book and counter's clearing now; exit 1 when they do not agree."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        with exclusive("reconcile", using="desk") as alone:
            if not alone:
                raise CommandError("a run is under way: look again in a moment")
            run = reconciliation.reconcile(venue=venue(), clock=timezone.now, by=getpass.getuser())
        console = Console(highlight=False)
        table = Table("since", "what", "where", "detail", "owner", title="Open breaks")
        open_rows = ReconciliationBreak.objects.filter(state=ReconciliationBreak.State.OPEN).order_by("since")
        for row in open_rows[:100]:
            table.add_row(
                f"{row.since:%Y-%m-%d %H:%M:%S}", row.what, row.where, row.detail, row.owner or "nobody"
            )
        if run.open:
            console.print(table)
        console.print(
            f"{run.checked:,} compared, {run.found} breaks found, {run.closed} closed, {run.open} open, "
            f"{run.in_flight} in flight"
        )
        if run.unchecked:
            console.print(f"not compared: {run.unchecked}")
        if run.open or run.unchecked:
            raise SystemExit(1)
