"""Entry point for granian of the stream program."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from config.bounded_statements import bound_statements  # noqa: E402
from config.retiring import Retiring  # noqa: E402
from counter.api.stream.application import Streams  # noqa: E402

streams = Streams()


def start() -> None:
    """Begin to read, with statements that end in time."""
    bound_statements()
    streams.start()


application = Retiring(streams, at_start=start, at_end=streams.retire)
