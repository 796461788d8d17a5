"""Resuming whatever is stuck or due: in the database is what has to be done, whoever began it.

Safe to run at any time and from several processes at once: each step moves a row only from where it was read.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet

from acceptance.intake import converting, settle_soon
from config.broker import dispatcher
from config.leader import is_held
from settlement import balancing, conversion, halts, resolving, transfers
from settlement.history import MovedMeanwhile
from settlement.models import Conversion, FundsTransfer
from settlement.venues.protocol import Venue, VenueError

log = structlog.get_logger(__name__)

# A sender that lives has its answer, or its time-out, well within this.
SILENT_AFTER = timedelta(seconds=settings.VENUE_TIMEOUT_SECONDS + 3)
RESUME_AT_ONCE = 100


def resume(*, venue: Venue, now: datetime) -> None:
    """Take every conversion and transfer one step further that is due, unknown, or left by a process that died.

    While the venue is halted it is only asked whether it answers again, when that is due.
    """
    began = time.monotonic()

    def moment() -> datetime:
        # A slow venue makes a sweep long: what is sent at its end must not count as silent since its beginning.
        return now + timedelta(seconds=time.monotonic() - began)

    halt = halts.ask_if_due(venue=venue, now=now)
    if halt is None:
        _step_on(venue, now, moment)
    elif (
        halt.reason != halts.RESTORED
    ):  # that one has no end of its own, and what is due goes on when it is let go
        _put_off(now, until=halt.ask_at)
    balancing.balance_filled(now=moment())
    for underlying in settings.COINS:
        if halt is None and conversion.needs_conversion(underlying):
            settle_soon(underlying)


def _step_on(venue: Venue, now: datetime, moment: Callable[[], datetime]) -> None:
    """One step of everything that is due, until there is no more or the venue is halted."""
    steps: list[tuple[Callable[..., None], Any]] = [
        (transfers.ask, transfer) for transfer in _due(FundsTransfer, now)
    ]
    for row in [*_orphans(now), *_due(Conversion, now)]:
        again = row.state == Conversion.State.RETRY_WAIT
        steps.append((conversion.send_again if again else resolving.ask, row))
    for step, row in steps:
        if halts.standing(venue.name) is not None:
            return
        _guarded(step, row, venue, moment())


def _put_off(now: datetime, *, until: datetime) -> None:
    """What is due while the venue is halted has to wait, and shows until when."""
    for model in (FundsTransfer, Conversion):
        model.objects.filter(state__in=["UNKNOWN", "RETRY_WAIT"], due_at__lte=now).update(due_at=until)


def _due(model: type[Conversion] | type[FundsTransfer], now: datetime) -> list[Any]:
    return list(
        model.objects.filter(
            Q(state__in=["UNKNOWN", "RETRY_WAIT"], due_at__lte=now)
            | Q(state="SUBMITTED", submitted_at__lt=now - SILENT_AFTER)
        ).order_by("id")[:RESUME_AT_ONCE]
    )


def _orphans(now: datetime) -> list[Conversion]:
    """Conversions that were sent a moment ago by who does not live any more: the coin's lock is free.

    Read before the locks are looked at, so that one whose sender has ended well meanwhile has moved on.
    """
    sent = list(
        Conversion.objects.filter(state="SUBMITTED", submitted_at__gte=now - SILENT_AFTER).order_by("id")
    )
    held = {coin: is_held(converting(coin), using="desk") for coin in {row.underlying for row in sent}}
    return [row for row in sent if not held[row.underlying]]


def _guarded(step: Callable[..., None], row: Conversion | FundsTransfer, venue: Venue, now: datetime) -> None:
    """One step of one row; what goes wrong with it does not stop the others."""
    try:
        step(row, venue, now)
    except MovedMeanwhile:
        pass
    except VenueError as error:
        log.warning("venue cannot be asked", error=str(error), row=row.pk)
    except Exception:
        log.exception("a step failed", step=step.__name__, row=row.pk)


def ask_soon(rows: QuerySet[Any], *, by: str, now: datetime) -> int:
    """Have the venue asked about doubtful conversions or transfers at the next sweep, which is called for at once.

    Only those out of sight are made due; one whose sender may still live is left to it. How many that were.
    """
    asked = rows.filter(state="UNKNOWN").update(due_at=now)
    if asked:
        log.info("asked to look again", by=by, rows=asked, kind=rows.model._meta.model_name)
        dispatcher.send([("settlement.resume", [])])
    return asked
