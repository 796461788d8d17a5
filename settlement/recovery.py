"""Resuming whatever is stuck or due: in the database is what has to be done, whoever began it.

Safe to run at any time and from several processes at once: each step moves a row only from where it was read.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Q

from acceptance.intake import settle_soon
from acceptance.models import AcceptedOrder
from settlement import balancing, conversion, resolving, treasury
from settlement.history import MovedMeanwhile
from settlement.models import Conversion, FundsTransfer
from settlement.venues.protocol import Venue, VenueError

log = structlog.get_logger(__name__)

# A sender that lives has its answer, or its time-out, well within this.
SILENT_AFTER = timedelta(seconds=settings.VENUE_TIMEOUT_SECONDS + 3)
WAITING_AFTER = timedelta(seconds=1)
RESUME_AT_ONCE = 100


def resume(*, venue: Venue, now: datetime) -> None:
    """Take every conversion and transfer one step further that is due, unknown, or left by a process that died."""
    for row in _due(Conversion, now):
        step = conversion.send_again if row.state == Conversion.State.RETRY_WAIT else resolving.ask
        _guarded(step, row, venue, now)
    for row in _due(FundsTransfer, now):
        step = treasury.send_again if row.state == FundsTransfer.State.RETRY_WAIT else treasury.ask
        _guarded(step, row, venue, now)
    balancing.balance_filled(now=now)
    for underlying in settings.COINS:
        waiting = AcceptedOrder.objects.filter(
            underlying=underlying,
            state=AcceptedOrder.State.RECEIVED,
            received_at__lt=now - WAITING_AFTER,
        )
        if waiting.exists() or conversion.carry_is_worth_converting(underlying):
            settle_soon(underlying)


def _due(model: type[Conversion] | type[FundsTransfer], now: datetime) -> list[Conversion | FundsTransfer]:
    return list(
        model.objects.filter(
            Q(state__in=["UNKNOWN", "RETRY_WAIT"], due_at__lte=now)
            | Q(state="SUBMITTED", submitted_at__lt=now - SILENT_AFTER)
        ).order_by("id")[:RESUME_AT_ONCE]
    )


def _guarded(step: Callable[..., None], row: Conversion | FundsTransfer, venue: Venue, now: datetime) -> None:
    try:
        step(row, venue, now)
    except MovedMeanwhile:
        pass
    except VenueError as error:
        log.warning("venue cannot be asked", error=str(error), row=row.pk)
