"""Warms up a worker process before it takes tasks, so that its first order does not wait for it."""

from collections.abc import Callable
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import Error, connection
from kombu.exceptions import KombuError

from acceptance import counter_client
from acceptance.counter_client import CounterError
from infra.coordination import clock
from settlement.conversions import coin_snapshot
from settlement.counter_link import reporting
from settlement.funds import treasury
from settlement.venues.protocol import Venue, VenueError

log = structlog.get_logger(__name__)


def warm_up(venue: Venue) -> None:
    """Read the venue's markets and prices, and open the connections to it, to the databases, counter and the broker.

    What does not answer is left to who needs it first.
    """
    steps: list[Callable[[], Any]] = [
        lambda: treasury.open_books(venue=venue, now=clock.of("desk").now()),
        *(_of_coin(venue, underlying) for underlying in settings.COINS),
        connection.ensure_connection,
        lambda: reporting.is_anything_left(now=clock.of("desk").now()),
        counter_client.reach,
        _reach_broker,
    ]
    for step in steps:
        try:
            step()
        except (VenueError, Error, CounterError, OSError, KombuError) as error:
            log.warning("starting cold", error=str(error))


def _of_coin(venue: Venue, underlying: str) -> Callable[[], Any]:
    def read() -> None:
        venue.market(underlying)
        venue.top_of_book(underlying)
        coin_snapshot.of(underlying, now=clock.of("desk").now())

    return read


def _reach_broker() -> None:
    """Open the connection that tasks are sent by."""
    with current_app.producer_or_acquire() as producer:
        producer.connection.ensure_connection(max_retries=1, timeout=settings.BROKER_TIMEOUT_SECONDS)
