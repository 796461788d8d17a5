"""Entry point for granian of the stream program."""

import gc

import django

from config.environment import load_settings

gc.disable()  # until Django is loaded, which stays
load_settings()
django.setup()

from config.streaming import BACKLOG  # noqa: E402
from counter.api.addresses import is_proxy  # noqa: E402
from counter.stream.application import Streams  # noqa: E402
from infra.db.bounded_statements import bound_statements  # noqa: E402
from infra.http_server.connection_guard import ConnectionGuard  # noqa: E402
from infra.http_server.request_id import Identified  # noqa: E402
from infra.http_server.retiring import Retiring  # noqa: E402

# Listeners were let in by their credentials, so they are limited by customer; their number of one address is not.
guard = ConnectionGuard(of_address=BACKLOG, is_trusted=is_proxy)
streams = Streams()


def start() -> None:
    """Begin to read, with statements that end in time."""
    gc.freeze()  # what has been loaded since Django was
    bound_statements()
    guard.start()
    streams.start()


application = Retiring(Identified(streams), at_start=start, at_end=streams.retire)
