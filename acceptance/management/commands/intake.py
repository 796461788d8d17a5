"""`manage.py intake`: the process that takes orders in."""

import signal
import threading
from typing import Any

import structlog
from django.core.management.base import BaseCommand

from acceptance.intake_process import run

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, then finishes what is in hand and lets a standby lead."""

    help = "Take orders in from the broker and, where it fails, from counter's HTTP API."
    requires_system_checks = []  # they load all pages, and look at what only code can change

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        log.info("intake started")
        run(stopping)
        log.info("intake stopped")
