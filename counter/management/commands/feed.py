"""`manage.py feed`: the process that quotes."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from counter.market.feed import run


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    help = "Read index prices from the venue and quote every listed option at them."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        run(stopping)
