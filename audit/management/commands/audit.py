"""`manage.py audit`: checks the nine invariants and says so as a table or as JSON; exits 1 when one is broken."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import audit
from audit.findings import Finding, Findings, Report
from settlement.venues.ccxt_venue import venue

STYLES = {"ok": "green", "broken": "bold red", "in_flight": "yellow", "unchecked": "magenta"}
LINES_EACH = 10


class Command(BaseCommand):
    """Door to `audit.run`."""

    help = "Check the nine invariants of both books and of the venue; exit 1 when one is broken or unchecked."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report for machines")
        parser.add_argument("--offline", action="store_true", help="do not ask the venue")

    def handle(self, *args: Any, **options: Any) -> None:
        offline = options["offline"]
        report = audit.run(now=timezone.now(), venue=None if offline else venue())
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), indent=2))
        else:
            _print(report, Console(highlight=False))
        if report.broken or (report.unchecked and not offline):
            raise SystemExit(1)


def _print(report: Report, console: Console) -> None:
    table = Table(title=f"Audit at {report.at:%Y-%m-%d %H:%M:%S} UTC, {report.seconds:.1f} s")
    for heading in ("", "invariant", "state"):
        table.add_column(heading)
    for heading in ("checked", "broken", "in flight"):
        table.add_column(heading, justify="right")
    for result in report.results:
        table.add_row(
            str(result.number),
            result.name,
            f"[{STYLES[result.state]}]{result.state.replace('_', ' ')}[/]",
            f"{result.checked:,}",
            f"{result.broken.total:,}" if result.broken.total else "",
            f"{result.in_flight.total:,}" if result.in_flight.total else "",
        )
    console.print(table)
    for result in report.results:
        if result.unchecked:
            console.print(f"[{STYLES['unchecked']}]{result.number} unchecked[/] {escape(result.unchecked)}")
        _print_findings(f"[{STYLES['broken']}]{result.number} broken[/]", result.broken, console)
    for result in report.results:
        _print_findings(f"[{STYLES['in_flight']}]{result.number} in flight[/]", result.in_flight, console)


def _print_findings(label: str, findings: Findings, console: Console) -> None:
    for finding in findings.listed[:LINES_EACH]:
        console.print(f"{label} {_line(finding)}", soft_wrap=True)
    if findings.total > LINES_EACH:
        console.print(f"{label} and {findings.total - LINES_EACH:,} more")


def _line(finding: Finding) -> str:
    age = f" [dim]{finding.age_s:.1f} s[/]" if finding.age_s is not None else ""
    return f"{escape(finding.where)}: {finding.what} ({escape(finding.detail)}){age}"
