"""`manage.py leaders`: who leads, and since when."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from infra.coordination.leases import leaders


class Command(BaseCommand):
    """Reads the leases of every database."""

    help = "List who leads at what: program, machine, process and start of the term."

    def handle(self, *args: Any, **options: Any) -> None:
        row = "{:<8} {:<6} {:<44} {:<20} {:>6}"
        self.stdout.write(row.format("NAME", "TERM", "HOLDER", "SINCE", "SILENT"))
        for using in settings.DATABASES:
            for leader in leaders(using=using):
                since = f"{leader.won_at:%Y-%m-%d %H:%M:%S}"
                silent = f"{leader.silent_seconds:.1f}s"
                self.stdout.write(row.format(leader.name, leader.token, leader.holder, since, silent))
