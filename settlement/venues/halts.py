"""Halting a venue, or one coin's market there: it is sent nothing new until it is asked and takes orders again.

Guards a venue that refuses us or is not there from being sent order after order, and an address that is banned from
a longer ban: while a halt stands one question goes out at a time, when it is due. What a question cannot prove, the
next conversion does: refused in the same way, it goes on with the same halt, and people are told once.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Greatest

from infra.broker.dispatcher import dispatcher
from infra.coordination.ages import lies_ahead
from settlement.models import Attempt, VenueHalt
from settlement.task_triggers import RESUME, resume_in
from settlement.venues import error_table
from settlement.venues.protocol import Venue, VenueError
from settlement.venues.state_history import NAME_CHARACTERS

log = structlog.get_logger(__name__)

BY = "settlement"
RESTORED = "restored from a backup: what was sent since then has to be found first"
OTHER_ACCOUNT = "another account"  # how the reason begins: the books are not of the account of the key
# A venue that answers questions and refuses orders is halted again and again: each time of these makes the next longer.
REMEMBERED_FOR = timedelta(hours=1)
LONGEST_HALT = timedelta(days=4)  # Binance bans an address for three days at most
# A halt that comes so soon after the last was lifted is the same one: its first order was the question.
GOES_ON_WITHIN = timedelta(seconds=15)


class VenueHalted(VenueError):
    """The venue or the coin's market is halted; nothing was sent."""


def standing(venue: str) -> VenueHalt | None:
    """The halt of the whole venue that stands."""
    return VenueHalt.objects.filter(venue=venue, underlying="", lifted_at__isnull=True).first()


def all_standing(venue: str) -> list[VenueHalt]:
    """Every halt that stands: the whole venue's first, then those of coins."""
    return list(VenueHalt.objects.filter(venue=venue, lifted_at__isnull=True).order_by("underlying"))


def is_held(venue: str) -> bool:
    """Whether the desk was restored and has not remembered yet what it did since the backup."""
    return VenueHalt.objects.filter(venue=venue, lifted_at__isnull=True, reason=RESTORED).exists()


def has_no_end(halt: VenueHalt) -> bool:
    """Whether it is no question to the venue that ends it: what is due goes on when it is let go."""
    return halt.reason == RESTORED or halt.reason.startswith(OTHER_ACCOUNT)


def may_be_asked(venue: str) -> bool:
    """Whether a question may go out at once: a restored desk is held from sending only."""
    halt = standing(venue)
    return halt is None or halt.reason == RESTORED


def refuse_if_halted(venue: str, underlying: str = "") -> None:
    """Called before anything (of a coin) is committed to be sent. Raises: VenueHalted."""
    halt = VenueHalt.objects.filter(
        venue=venue, underlying__in={"", underlying}, lifted_at__isnull=True
    ).first()
    if halt is not None:
        raise VenueHalted(kind="VenueHalted", message=halt.reason)


def begin(
    *, venue: str, reason: str, now: datetime, underlying: str = "", asked_for: float | None = None
) -> None:
    """Halt the venue or one coin's market; one that is halted is asked no sooner than `asked_for` seconds from now."""
    of_this = VenueHalt.objects.filter(venue=venue, underlying=underlying)
    before = of_this.filter(began_at__gt=now - REMEMBERED_FOR).count()
    pause = _pause_seconds(before + 1, asked_for)
    ask_at = now + timedelta(seconds=pause)
    last = of_this.filter(lifted_at__gt=now - GOES_ON_WITHIN, lifted_at__lte=now).order_by("-id").first()
    goes_on = last is not None and last.lifted_by == BY
    try:
        with transaction.atomic(using="desk"):
            VenueHalt.objects.create(
                venue=venue,
                underlying=underlying,
                reason=reason,
                began_at=now,
                since=last.since or last.began_at if goes_on and last else now,
                ask_at=ask_at,
            )
    except IntegrityError:
        of_this.filter(lifted_at__isnull=True).update(ask_at=Greatest("ask_at", ask_at))
    else:
        tell = log.warning if goes_on else log.error
        tell("venue halted", venue=venue, coin=underlying, reason=reason, ask_at=ask_at.isoformat())
    resume_in(pause)


def _pause_seconds(times: int, asked_for: float | None) -> float:
    """A ban's time is waited out, however long it is."""
    return error_table.pause_seconds(
        times, asked_for=asked_for, steps_seconds=error_table.HALT_SECONDS, at_most=math.inf
    )


def begin_if_failing(*, venue: str, now: datetime) -> None:
    """Halt the venue if the last FAILURES_TO_HALT calls since the last halt have all had no answer."""
    # The newest by their key, of any kind: looked for by condition they might be looked for to the beginning.
    newest = Attempt.objects.order_by("-id").values_list("venue", "code", "sent_at", "answered_at")
    calls = [
        call
        for call in newest[: 4 * error_table.FAILURES_TO_HALT]
        if call[0] == venue and call[3] is not None
    ]
    lifted_at = (
        VenueHalt.objects.filter(venue=venue, underlying="")
        .order_by("-began_at")
        .values_list("lifted_at", flat=True)
    )
    if (last := lifted_at.first()) and not lies_ahead(last, now=now):
        calls = [call for call in calls if call[2] > last]
    codes = [code for _, code, _, _ in calls[: error_table.FAILURES_TO_HALT]]
    silent = [code for code in codes if code.partition(" ")[0] in error_table.NO_ANSWER]
    if len(silent) == error_table.FAILURES_TO_HALT:
        begin(venue=venue, reason=f"{len(silent)} calls in a row had no answer, the last {codes[0]}", now=now)


def ask_due(*, venue: Venue, now: datetime) -> list[VenueHalt]:
    """The halts that stand after the venue has been asked, where that was due, whether it takes orders again.

    While the whole venue is halted it is asked nothing about single coins.
    """
    left: list[VenueHalt] = []
    for halt in all_standing(venue.name):
        if (left and not left[0].underlying) or not _is_due(halt, now) or not _takes_orders(halt, venue, now):
            left.append(halt)
    return left


def _takes_orders(halt: VenueHalt, venue: Venue, now: datetime) -> bool:
    """Whether nothing that the venue answers speaks against orders; the halt is lifted then."""
    asked_for = None
    try:
        why = venue.why_closed(halt.underlying)
    except VenueError as error:
        why, asked_for = str(error), error.retry_after_seconds
    if not why:
        lift(VenueHalt.objects.filter(pk=halt.pk), by=BY, now=now)
        return True
    halt.asked += 1
    pause = _pause_seconds(halt.asked + 1, asked_for)
    halt.ask_at = now + timedelta(seconds=pause)
    halt.began_at, halt.since = min(halt.began_at, now), min(halt.since or halt.began_at, now)
    VenueHalt.objects.filter(pk=halt.pk, lifted_at__isnull=True).update(
        asked=halt.asked, ask_at=halt.ask_at, began_at=halt.began_at, since=halt.since
    )
    log.warning("venue stays halted", venue=venue.name, coin=halt.underlying, why=why)
    resume_in(pause)
    return False


def since(found: Sequence[VenueHalt], underlying: str) -> datetime | None:
    """Since when nothing of this coin is sent, of the halts that stand."""
    return min(
        (halt.since or halt.began_at for halt in found if halt.underlying in ("", underlying)), default=None
    )


def _is_due(halt: VenueHalt, now: datetime) -> bool:
    """Whether the venue may be asked again. A halt that began in the future, or lasts longer than any, is due.

    One that no answer of the venue ends is never due: a restored desk, another account.
    """
    if has_no_end(halt):
        return False
    is_wrong = lies_ahead(halt.began_at, now=now) or lies_ahead(halt.ask_at, now=now + LONGEST_HALT)
    if is_wrong:
        log.warning("a halt lay in the future: a clock was wrong", venue=halt.venue, ask_at=halt.ask_at)
    return is_wrong or now >= halt.ask_at


def lift(rows: QuerySet[VenueHalt], *, by: str, now: datetime) -> int:
    """End the halts among `rows` that stand; how many that were."""
    lifted = rows.filter(lifted_at__isnull=True).update(lifted_at=now, lifted_by=by[:NAME_CHARACTERS])
    if lifted:
        log.info("venue halt lifted", by=by, halts=lifted)
    return lifted


def lift_by_hand(rows: QuerySet[VenueHalt], *, by: str, now: datetime) -> int:
    """End those that a person may end; how many. A restored desk would buy again what it has forgotten, and orders of
    one account are not found in another."""
    rows = rows.exclude(reason=RESTORED).exclude(reason__startswith=OTHER_ACCOUNT)
    lifted = lift(rows, by=by, now=now)
    if lifted:
        dispatcher.send(RESUME)  # what it held up need not wait for the sweep
    return lifted
