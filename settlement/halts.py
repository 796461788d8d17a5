"""Halting a venue: it is sent nothing new until it is asked and answers again, or a person lifts the halt.

Guards a venue that refuses us or is not there from being sent order after order, and an address that is banned from
a longer ban: while a halt stands one question goes out at a time, when it is due.
"""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Greatest

from settlement import policy
from settlement.history import NAME_CHARACTERS
from settlement.models import Attempt, VenueHalt
from settlement.venues.protocol import Venue, VenueError

log = structlog.get_logger(__name__)

BY = "settlement"
RESTORED = "restored from a backup: what was sent since then has to be found first"
# A venue that answers questions and refuses orders is halted again and again: each time of these makes the next longer.
REMEMBERED_FOR = timedelta(hours=1)


class VenueHalted(VenueError):
    """The venue is halted; nothing was sent."""


def standing(venue: str) -> VenueHalt | None:
    """The halt of the venue that stands."""
    return VenueHalt.objects.filter(venue=venue, lifted_at__isnull=True).first()


def is_held(venue: str) -> bool:
    """Whether the desk was restored and has not remembered yet what it did since the backup."""
    return VenueHalt.objects.filter(venue=venue, lifted_at__isnull=True, reason=RESTORED).exists()


def may_be_asked(venue: str) -> bool:
    """Whether a question may go out at once: a restored desk is held from sending only."""
    halt = standing(venue)
    return halt is None or halt.reason == RESTORED


def refuse_if_halted(venue: str) -> None:
    """Called before anything is committed to be sent. Raises: VenueHalted."""
    halt = standing(venue)
    if halt is not None:
        raise VenueHalted(kind="VenueHalted", message=halt.reason)


def begin(*, venue: str, reason: str, now: datetime, asked_for: float | None = None) -> None:
    """Halt the venue; one that is halted is asked no sooner than `asked_for` seconds from now."""
    before = VenueHalt.objects.filter(venue=venue, began_at__gt=now - REMEMBERED_FOR).count()
    pause = policy.pause_seconds(before + 1, asked_for=asked_for, steps_seconds=policy.HALT_SECONDS)
    ask_at = now + timedelta(seconds=pause)
    try:
        with transaction.atomic(using="desk"):
            VenueHalt.objects.create(venue=venue, reason=reason, began_at=now, ask_at=ask_at)
    except IntegrityError:
        VenueHalt.objects.filter(venue=venue, lifted_at__isnull=True).update(
            ask_at=Greatest("ask_at", ask_at)
        )
    else:
        log.error("venue halted", venue=venue, reason=reason, ask_at=ask_at.isoformat())


def begin_if_failing(*, venue: str, now: datetime) -> None:
    """Halt the venue if the last FAILURES_TO_HALT calls since the last halt have all had no answer."""
    # The newest by their key, whatever they are: looked for by condition they might be looked for to the beginning.
    newest = Attempt.objects.order_by("-id").values_list("venue", "code", "sent_at", "answered_at")
    calls = [
        call for call in newest[: 4 * policy.FAILURES_TO_HALT] if call[0] == venue and call[3] is not None
    ]
    lifted_at = (
        VenueHalt.objects.filter(venue=venue).order_by("-began_at").values_list("lifted_at", flat=True)
    )
    if last := lifted_at.first():
        calls = [call for call in calls if call[2] > last]
    codes = [code for _, code, _, _ in calls[: policy.FAILURES_TO_HALT]]
    silent = [code for code in codes if code.partition(" ")[0] in policy.NO_ANSWER]
    if len(silent) == policy.FAILURES_TO_HALT:
        begin(venue=venue, reason=f"{len(silent)} calls in a row had no answer, the last {codes[0]}", now=now)


def ask_if_due(*, venue: Venue, now: datetime) -> VenueHalt | None:
    """The halt that stands after the venue has been asked, if that was due, whether it answers us again.

    The question is a signed one, so that it proves the key as well.
    """
    halt = standing(venue.name)
    if halt is None or now < halt.ask_at:
        return halt
    try:
        venue.balances("trading")
    except VenueError as error:
        asked = halt.asked + 1
        pause = policy.pause_seconds(
            asked + 1, asked_for=error.retry_after_seconds, steps_seconds=policy.HALT_SECONDS
        )
        halt.asked, halt.ask_at = asked, now + timedelta(seconds=pause)
        VenueHalt.objects.filter(pk=halt.pk, lifted_at__isnull=True).update(
            asked=halt.asked, ask_at=halt.ask_at
        )
        log.warning("venue stays halted", venue=venue.name, error=str(error))
        return halt
    lift(VenueHalt.objects.filter(pk=halt.pk), by=BY, now=now)
    return None


def lift(rows: QuerySet[VenueHalt], *, by: str, now: datetime) -> int:
    """End the halts among `rows` that stand; how many that were."""
    lifted = rows.filter(lifted_at__isnull=True).update(lifted_at=now, lifted_by=by[:NAME_CHARACTERS])
    if lifted:
        log.info("venue halt lifted", by=by, halts=lifted)
    return lifted


def lift_by_hand(rows: QuerySet[VenueHalt], *, by: str, now: datetime) -> int:
    """End those that a person may end; how many. A restored desk would buy again what it has forgotten."""
    return lift(rows.exclude(reason=RESTORED), by=by, now=now)
