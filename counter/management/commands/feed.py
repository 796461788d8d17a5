"""`manage.py feed`: the process that quotes."""

import signal
import threading
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from counter.market.chain import ChainInvalid
from counter.market.feed import run


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    help = "Make the index of every coin and quote every listed option at it."
    requires_system_checks = []  # they load all pages, and look at what only code can change

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        try:
            run(stopping)
        except (ChainInvalid, ImproperlyConfigured, FileNotFoundError) as error:
            raise CommandError(" ".join(str(error).split()), returncode=2) from error
