"""A desk that was restored from a backup has forgotten what it sent since: it is held until that is entered again.

Guards against sending twice: orders that wait in the backup may have been executed after it under client ids that
are not in it, so nothing is sent until the venue's own trades since then are all in the book.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.conf import settings
from django.db import transaction

from acceptance.pulling import take_in_again
from infra.coordination.leader import exclusive
from infra.db.lifecycles import moves
from settlement.conversions import balancing, unknown
from settlement.funds import transfers, venue_account
from settlement.models import Conversion, FundsTransfer, Intervention, ReconciliationRun, VenueHalt
from settlement.models.history import Subject
from settlement.restore import replay
from settlement.restore.replay import BY, WHY, Executed
from settlement.task_triggers import settle_soon
from settlement.venues import halts, state_history, venue_clock
from settlement.venues.halts import RESTORED
from settlement.venues.protocol import TransferReport, Venue
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

HELD_FOR_SECONDS = 10 * 365 * 86400.0  # nobody but a person, or `manage.py after_restore`, ends it
OURS = re.compile(r"xb[0-9a-f]{32}")  # what a conversion's client id looks like


@dataclass(slots=True)
class Remembered:
    """What was entered again, and what is left, in words: the desk stays held while anything is."""

    taken_in: int = 0
    transfers: int = 0
    entered: list[int] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unproven: list[int] = field(default_factory=list)  # conversions among what is left
    given_up: list[int] = field(default_factory=list)  # those that two people had entered without proof


def hold(*, backed_up_at: datetime) -> None:
    """Send nothing from now on; call it before any program works with the restored book."""
    # One that stood then says nothing of now: the venue is asked, and halted anew if it has to be.
    halts.lift(VenueHalt.objects.filter(venue=settings.VENUE), by=BY, now=backed_up_at)
    halts.begin(venue=settings.VENUE, reason=RESTORED, now=backed_up_at, asked_for=HELD_FOR_SECONDS)


def remember(*, venue: Venue, now: datetime) -> Remembered:
    """Enter again what was taken in, executed and settled since the backup, and let the desk send if that is all of it.

    May be called again and again, by one at a time; does nothing when nothing is held. What two people have
    decided to go on without is entered unproven.

    Raises: VenueError, CounterError; what was entered until then stays.
    """
    with exclusive("after_restore", using="desk") as alone:
        if not alone:
            return Remembered(left=["somebody else is entering it"])
        return _remember(venue, now)


def is_to_go_on() -> bool:
    """Whether two people have decided that a desk that is still held goes on."""
    held = VenueHalt.objects.filter(lifted_at__isnull=True, reason=RESTORED).first()
    return held is not None and bool(_given_up(held))


def _given_up(held: VenueHalt) -> set[int]:
    decided = Intervention.objects.filter(
        subject=Subject.HALT,
        subject_id=held.pk,
        kind=Intervention.Kind.END_HOLD,
        state=Intervention.State.APPLIED,
    )
    return {number for terms in decided.values_list("terms", flat=True) for number in terms["conversions"]}


def _remember(venue: Venue, now: datetime) -> Remembered:
    found = Remembered()
    held = VenueHalt.objects.filter(venue=venue.name, lifted_at__isnull=True, reason=RESTORED).first()
    if held is None:
        return found
    venue_account.require(venue, now=now)
    since = venue_clock.earliest(held.began_at, venue)
    agreed = ReconciliationRun.objects.order_by("-id").values_list("orders_until", flat=True).first()
    again = take_in_again(after_id=agreed or 0, now=now)
    found.taken_in = again.accepted
    _ask_for_open(venue, now)
    found.transfers = _enter_transfers(venue, since, now)
    executed = []
    for each in _forgotten(venue, since):
        if each.report.final:
            executed.append(each)
        else:
            found.left.append(f"order {each.report.client_order_id} is still alive at the venue")
    entered = replay.enter_told(again.told, executed, given_up=_given_up(held))
    found.entered, found.given_up, found.unproven = entered.proven, entered.given_up, entered.left
    found.left += [
        f"conversion {number}: counter was told what the venue's trades do not give"
        for number in found.unproven
    ]
    if not found.left:
        found.carried = [replay.carry_on(each, venue=venue, now=now).pk for each in executed]
        _let_go(held, now)
    log.warning(
        "remembered", entered=found.entered, carried=found.carried, left=found.left, given_up=found.given_up
    )
    return found


def _let_go(held: VenueHalt, now: datetime) -> None:
    halts.lift(VenueHalt.objects.filter(pk=held.pk), by=BY, now=now)
    balancing.balance_filled(now=now)
    for underlying in settings.COINS:
        settle_soon(underlying)


@moves(Conversion.hand_over, Conversion.State.RETRY_WAIT)
@moves(Conversion.hand_back)
def _ask_for_open(venue: Venue, now: datetime) -> None:
    """Ask for all that was under way at the backup: also what was to be sent again then, for it may have been since."""
    for conversion in Conversion.objects.filter(state=Conversion.State.RETRY_WAIT):
        with transaction.atomic(using="desk"):
            for step in (conversion.hand_over, conversion.hand_back):
                with state_history.moving(conversion, at=now, by=BY, why=WHY):
                    step()
                    conversion.due_at, conversion.misses = now, 0
    moves_sent = (FundsTransfer.State.SUBMITTED, FundsTransfer.State.UNKNOWN)
    orders_sent = (Conversion.State.SUBMITTED, Conversion.State.UNKNOWN)
    asked = [
        *((transfers.ask, row) for row in FundsTransfer.objects.filter(state__in=moves_sent)),
        *((unknown.ask, row) for row in Conversion.objects.filter(state__in=orders_sent)),
    ]
    for ask, row in asked:
        try:
            ask(row, venue, now)  # type: ignore[operator]
        except MovedMeanwhile:
            continue


def _enter_transfers(venue: Venue, since: datetime, now: datetime) -> int:
    """Moves between the two wallets that the book does not know; how many were entered."""
    entered = 0
    for asset in settings.WALLET_BANDS:
        for report in venue.transfers(asset=asset, since=since):
            known = FundsTransfer.objects.filter(venue_transfer_id=report.venue_transfer_id).exists()
            if report.done and report.at >= since and not known:
                _enter_transfer(report, now)
                entered += 1
    return entered


@moves(FundsTransfer.submit)
def _enter_transfer(report: TransferReport, now: datetime) -> None:
    row = FundsTransfer(
        asset=report.asset, amount=report.amount, direction=report.direction, planned_at=report.at
    )
    with transaction.atomic(using="desk"):
        state_history.begin(row, at=now, by=BY)
        with state_history.moving(row, at=now, by=BY, why=WHY):
            row.submit(at=report.at)
        transfers.confirm(row, venue_transfer_id=report.venue_transfer_id, now=now, by=BY, why=WHY)


def _forgotten(venue: Venue, since: datetime) -> Iterator[Executed]:
    """Orders of ours that the venue has executed since the backup and no conversion has, oldest first.

    A trade under somebody else's id is none of them: reconciliation shows it as a trade of nobody.
    """
    for underlying in settings.COINS:
        ids = dict.fromkeys(
            trade.venue_order_id for trade in venue.trades(underlying=underlying, since=since)
        )
        known = Conversion.objects.filter(underlying=underlying, venue_order_id__in=list(ids))
        for venue_order_id in set(known.values_list("venue_order_id", flat=True)):
            del ids[venue_order_id]
        for venue_order_id in ids:
            client_order_id = venue.client_order_id(underlying=underlying, venue_order_id=venue_order_id)
            if client_order_id is None or not OURS.fullmatch(client_order_id):
                continue
            if Conversion.objects.filter(client_order_id=client_order_id).exists():
                continue  # asked for by its own id
            report = venue.find(underlying=underlying, client_order_id=client_order_id)
            if report is not None and report.trades:
                yield Executed(underlying, report)
