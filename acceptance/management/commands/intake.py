"""`manage.py intake`: the process that takes orders in."""

import signal
from typing import Any

import structlog
from django.core.management.base import BaseCommand

from acceptance.stream import IntakeProcess

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT, then finishes what is in hand."""

    help = "Take orders in from the broker and, where it fails, from counter's HTTP API."

    def handle(self, *args: Any, **options: Any) -> None:
        process = IntakeProcess()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.stopping.set())
        process.start()
        log.info("intake started")
        while not process.stopping.wait(1.0):
            pass
        process.stop()
        log.info("intake stopped")
