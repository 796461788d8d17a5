"""`manage.py reconcile`: one run at once, as a table; exits 1 when a break is open or something was not compared."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from infra.console import console_user
from infra.coordination import clock
from infra.coordination.leader import exclusive
from ledger.amounts import difference, readable
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
            run = reconciliation.reconcile(venue=venue(), clock=clock.of("desk").now, by=console_user())
        console = Console(highlight=False)
        table = Table("since, UTC", "what", "where", "detail", title="Open breaks")
        table.add_column("above the desk's book", justify="right")
        table.add_column("owner")
        open_rows = ReconciliationBreak.objects.filter(state=ReconciliationBreak.State.OPEN).order_by("since")
        for row in open_rows[:100]:
            table.add_row(
                f"{row.since:%Y-%m-%d %H:%M:%S}",
                row.what,
                row.where,
                readable(row.detail),
                f"{difference(row.amount)} {row.asset}" if row.amount is not None else "",
                row.owner or "nobody",
            )
        if run.open:
            console.print(table)
        console.print(
            f"{run.checked:,} compared in {run.seconds:.1f} s, {run.found:,} breaks found, {run.closed:,} closed, "
            f"{run.open:,} open, {run.in_flight:,} in flight"
        )
        if run.unchecked:
            console.print(f"not compared: {run.unchecked}")
        if run.open or run.unchecked:
            raise SystemExit(1)
