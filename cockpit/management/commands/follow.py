"""`manage.py follow ORDER_ID`: what every process of this stack wrote about one order."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cockpit.following import follow

SHOWN_FIRST = ("timestamp", "process", "event")
LEFT_OUT = ("level", "logger")


class Command(BaseCommand):
    """Reads the logs, which keep 40 MB a process; older orders are in the databases only."""

    help = "Follow one order, by counter's id, through the logs of all processes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("order_id", type=int)
        parser.add_argument("--logs", type=Path, default=settings.VAR_DIR / "log", help="folder of the logs")

    def handle(self, *args: Any, **options: Any) -> None:
        found = follow(lines_of(options["logs"]), options["order_id"])
        if not found:
            raise CommandError(f"no line in {options['logs']} is about order {options['order_id']}")
        for line in found:
            rest = [f"{name}={line[name]}" for name in line if name not in (*SHOWN_FIRST, *LEFT_OUT)]
            self.stdout.write("  ".join([*(str(line.get(name, "")) for name in SHOWN_FIRST), *rest]))


def lines_of(folder: Path) -> Iterator[dict[str, Any]]:
    """What the processes wrote that has an id in it; servers write lines of their own."""
    for file in sorted(folder.glob("*.log*")):
        process = file.name.split(".log")[0]
        with file.open(errors="replace") as log:
            for text in log:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue
                if isinstance(line, dict) and line.keys() & set(settings.CORRELATION_IDS):
                    yield {"process": process, **line}
