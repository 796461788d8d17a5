"""`manage.py day_files`: the rows behind a day's close as files in a folder, each there whole or not at all."""

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cockpit.day_files import TABLES, csv_of
from cockpit.day_parquet import MISSING, is_there, parquet_of
from cockpit.models import DayStatement


class Command(BaseCommand):
    """Door to `cockpit.day_files` and `cockpit.day_parquet`."""

    help = "Write journals, orders, fills, transfers and cash of a day (UTC) as files, in constant memory."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("day", type=date.fromisoformat, help="like 2026-11-29")
        parser.add_argument("folder", type=Path, help="where to write; it has to be there")
        parser.add_argument("--format", choices=("csv", "parquet"), default="parquet")
        parser.add_argument(
            "--only", choices=sorted(TABLES), action="append", help="one file; may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        day, kind = options["day"], options["format"]
        if kind == "parquet" and not is_there():
            raise CommandError(MISSING)
        digest = DayStatement.objects.filter(day=day).order_by("-id").values_list("digest", flat=True).first()
        for name in options["only"] or TABLES:
            table = TABLES[name]
            path = options["folder"] / f"{day}-{name}.{kind}"
            pieces: Iterable[bytes] = (
                parquet_of(table, day, about={"statement": digest or ""})
                if kind == "parquet"
                else (part.encode() for part in csv_of(table, day))
            )
            try:
                _write(path, pieces)
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}") from error
            self.stdout.write(str(path))


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """Under another name until it is whole and on the disk: who dies in between leaves no half of a file."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
