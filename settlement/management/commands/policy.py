"""`manage.py policy`: shows the error table, prints it as JSON, and replays it or another over the recorded answers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table as Grid

from settlement.models import Attempt
from settlement.venues import error_table_trial
from settlement.venues.error_table import TABLE, Table, TableInvalid
from settlement.venues.error_table_trial import Replayed


class Command(BaseCommand):
    """Door to `settlement.venues.error_table_trial`."""

    help = "Show the error table, or what it (or an edited one) says of every recorded answer of the venue."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the table for an editor or a machine")
        parser.add_argument("--table", type=Path, metavar="FILE", help="another table, as --json prints it")
        parser.add_argument(
            "--replay", action="store_true", help="judge the recorded answers; changes nothing"
        )
        parser.add_argument("--since", type=_moment, metavar="TIME", help="ISO 8601; answers since then only")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            table = error_table_trial.read_table(options["table"]) if options["table"] else TABLE
        except (OSError, TableInvalid) as error:
            raise CommandError(f"{options['table']}: {error}") from error
        console = Console(highlight=False)
        if options["replay"]:
            _show_replay(error_table_trial.replay(table=table, since=options["since"]), console)
        elif options["json"]:
            self.stdout.write(error_table_trial.to_json(table), ending="")
        else:
            _show_table(table, console)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show_table(table: Table, console: Console) -> None:
    grid = Grid("venue", "kind", "code", "outcome", "follows", "why")
    for rule in table.rules:
        grid.add_row(rule.venue, rule.kind, rule.code, rule.outcome.value, rule.follow.value, rule.why)
    console.print(grid)


def _show_replay(replayed: list[Replayed], console: Console) -> None:
    summary = Grid("verdict", "then", "now", title="Verdicts")
    for verdict, (then, now) in error_table_trial.verdicts(replayed).items():
        summary.add_row(verdict, f"{then:,}", f"{now:,}", style="bold" if then != now else "")
    console.print(summary)
    different = [row for row in replayed if row.differs]
    if not different:
        console.print("Every answer is judged as it was.")
        return
    examples = Attempt.objects.in_bulk([row.example for row in different])
    grid = Grid("call", "heard", "HTTP", "then", "now", "count", "example", title="What differs")
    for row in different:
        example = examples[row.example]
        status = "" if row.http_status is None else str(row.http_status)
        subject = f"{example.subject} {example.subject_id}, attempt {row.example}"
        grid.add_row(row.call, row.heard, status, row.then, row.now, f"{row.count:,}", subject)
    console.print(grid)
