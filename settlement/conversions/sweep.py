"""Resuming what is stuck or due: the database says what has to be done, whichever process began it.

Safe to run at any time and from several processes at once: each step moves a row only from where it was read.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet

from infra.broker.dispatcher import dispatcher
from infra.coordination.leader import held_of
from infra.db.composing import answered
from infra.db.pipeline import Statement
from infra.db.transient_errors import is_session_over
from settlement.conversions import balancing, future_timestamps, late_fees, unknown
from settlement.conversions import converting as conversion
from settlement.funds import transfers, venue_account
from settlement.models import Conversion, FundsTransfer, VenueHalt
from settlement.task_triggers import LOOKS_AHEAD_SECONDS, RESUME, converting, resume_in, settle_soon
from settlement.venues import halts
from settlement.venues.protocol import Venue, VenueError
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

# Of conversions and of transfers, which call these states alike.
WAITS_FOR_VENUE = (Conversion.State.UNKNOWN, Conversion.State.RETRY_WAIT)

# A sender that lives has its answer, or its time-out, well within this.
SILENT_AFTER = timedelta(seconds=settings.VENUE_TIMEOUT_SECONDS + 3)
RESUME_AT_ONCE = 100
# Whether there is anything to resume at all: most sweeps find nothing, and there are thousands of them a day.
ANYTHING = """
    SELECT EXISTS (SELECT FROM acceptance_acceptedorder WHERE state = 'RECEIVED')
        OR EXISTS (SELECT FROM settlement_conversion WHERE NOT state IN ('BOOKED', 'MISSED', 'RELEASED'))
        OR EXISTS (SELECT FROM settlement_fundstransfer WHERE state IN ('PLANNED', 'SUBMITTED', 'UNKNOWN', 'MANUAL'))
        OR EXISTS (SELECT FROM settlement_venuehalt WHERE lifted_at IS NULL)
        OR EXISTS (SELECT FROM settlement_carry WHERE abs(usdt) >= %s)
        OR EXISTS (SELECT FROM settlement_latefee WHERE valued_at IS NULL)
"""
# The first moment at which something is due by itself.
NEXT_DUE = """
    SELECT min(due_at) FROM (
        SELECT due_at FROM settlement_conversion
        WHERE NOT state IN ('BOOKED', 'MISSED', 'RELEASED') AND state IN ('UNKNOWN', 'RETRY_WAIT')
        UNION ALL SELECT submitted_at + %s::interval FROM settlement_conversion
        WHERE NOT state IN ('BOOKED', 'MISSED', 'RELEASED') AND state = 'SUBMITTED'
        UNION ALL SELECT due_at FROM settlement_fundstransfer WHERE state = 'UNKNOWN'
        UNION ALL SELECT submitted_at + %s::interval FROM settlement_fundstransfer WHERE state = 'SUBMITTED'
        UNION ALL SELECT ask_at FROM settlement_venuehalt WHERE lifted_at IS NULL
        UNION ALL SELECT due_at FROM settlement_coinrest
    ) AS due WHERE due_at > %s AND due_at < %s
"""


def resume(*, venue: Venue, now: datetime) -> int:
    """Take every conversion and transfer one step further that is due, unknown, or left by a process that died.

    While the venue is halted it is only asked whether it answers again, when that is due; of a coin whose market is
    halted nothing is sent. How many conversions were
    booked, of which counter has to hear.
    """
    began = time.monotonic()

    def moment() -> datetime:
        # A slow venue makes a sweep long: what is sent at its end must not count as silent since its beginning.
        return now + timedelta(seconds=time.monotonic() - began)

    venue_account.sweep(venue, now=now)
    if not _is_anything():
        return 0
    halted = halts.ask_due(venue=venue, now=now)
    for halt in halted:
        if not halts.has_no_end(halt):
            _put_off(halt, now)
    coins = {halt.underlying for halt in halted}
    if "" not in coins:
        _step_on(venue, moment)
    booked = balancing.balance_filled(now=moment())
    for underlying in settings.COINS:
        if not coins & {"", underlying} and conversion.needs_conversion(underlying, now=moment()):
            settle_soon(underlying)
    _wake_when_due(moment())
    return booked


def _is_anything() -> bool:
    ((found,),) = answered("desk", Statement(ANYTHING, [settings.CARRY_WORTH_CONVERTING_USDT]))
    return found


def _wake_when_due(now: datetime) -> None:
    """Have the sweep run at the next due time: the process that stored it may have ended, and its wake-up with it."""
    silence = f"{SILENT_AFTER.total_seconds()} s"
    asked = Statement(NEXT_DUE, [silence, silence, now, now + timedelta(seconds=LOOKS_AHEAD_SECONDS)])
    ((due_at,),) = answered("desk", asked)
    if due_at is not None:
        resume_in((due_at - now).total_seconds())


def _step_on(venue: Venue, moment: Callable[[], datetime]) -> None:
    """One step of everything that is due, until there is no more or the venue is halted."""
    now = moment()  # what was sent since the sweep began is not of the future
    future_timestamps.put_right(now=now)
    steps: list[tuple[Callable[..., None], Any]] = [
        (transfers.ask, transfer) for transfer in _due(FundsTransfer, now)
    ]
    for row in [*_orphans(now), *_due(Conversion, now)]:
        again = row.state == Conversion.State.RETRY_WAIT
        steps.append((conversion.send_again if again else unknown.ask, row))
    for step, row in steps:
        if halts.standing(venue.name) is not None:
            return
        _guarded(step, row, venue, moment())
    late_fees.value_waiting(venue=venue, now=moment())


def _put_off(halt: VenueHalt, now: datetime) -> None:
    """What is due while the venue or its coin is halted has to wait, and shows until when.

    Of a coin that is halted the venue may still be asked.
    """
    if halt.underlying:
        waiting = Conversion.objects.filter(underlying=halt.underlying, state=Conversion.State.RETRY_WAIT)
        waiting.filter(due_at__lte=now).update(due_at=halt.ask_at)
        return
    for model in (FundsTransfer, Conversion):
        model.objects.filter(state__in=WAITS_FOR_VENUE, due_at__lte=now).update(due_at=halt.ask_at)


def _due(model: type[Conversion] | type[FundsTransfer], now: datetime) -> list[Any]:
    return list(
        model.objects.filter(
            Q(state__in=WAITS_FOR_VENUE, due_at__lte=now)
            | Q(state=Conversion.State.SUBMITTED, submitted_at__lt=now - SILENT_AFTER)
        ).order_by("id")[:RESUME_AT_ONCE]
    )


def _orphans(now: datetime) -> list[Conversion]:
    """Conversions that were sent a moment ago by who does not live any more: the lock of their round is free.

    Read before the locks are looked at, so that one whose sender has ended well meanwhile has moved on.
    """
    sent = list(
        Conversion.objects.filter(
            state=Conversion.State.SUBMITTED, submitted_at__gte=now - SILENT_AFTER
        ).order_by("id")
    )
    if not sent:
        return []
    held = held_of([converting(row.underlying, row.place) for row in sent], using="desk")
    return [row for row in sent if converting(row.underlying, row.place) not in held]


def _guarded(step: Callable[..., None], row: Conversion | FundsTransfer, venue: Venue, now: datetime) -> None:
    """One step of one row; what goes wrong with it does not stop the others."""
    try:
        step(row, venue, now)
    except MovedMeanwhile:
        pass
    except VenueError as error:
        log.warning("venue cannot be asked", error=str(error), row=row.pk)
    except Exception as error:
        if is_session_over(error):
            raise  # of every row
        log.exception("a step failed", step=step.__name__, row=row.pk)


def ask_soon(rows: QuerySet[Any], *, by: str, now: datetime) -> int:
    """Have the venue asked about doubtful conversions or transfers at the next sweep, which is called for at once.

    Only those out of sight are made due; one whose sender may still live is left to it. How many that were.
    """
    asked = rows.filter(state=Conversion.State.UNKNOWN).update(due_at=now)
    if asked:
        log.info("asked to look again", by=by, rows=asked, kind=rows.model._meta.model_name)
        dispatcher.send(RESUME)
    return asked
