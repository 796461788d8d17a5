"""Sending one funds transfer between the trading and the reserve wallet, and finding out what became of it.

A venue gives transfers no client id, so at most one of an asset is open at a time (a database constraint), and an
unknown one is found in the venue's history by asset, amount, direction and time. It counts as not done only when
history, time and the reserve wallet agree.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import structlog
from django.db import IntegrityError, transaction

from infra.broker.dispatcher import dispatcher
from infra.coordination import clock
from infra.db.after_commit import after_commit
from infra.db.lifecycles import moves
from settlement.book.chart import INVENTORY, VENUE
from settlement.book.legs import Legs
from settlement.funds import venue_account, wallets
from settlement.models import Attempt, Conversion, FundsTransfer
from settlement.task_triggers import RESUME, resume_in
from settlement.venues import error_table, failures, halts, state_history, venue_clock
from settlement.venues.error_table import Follow, Outcome
from settlement.venues.protocol import TransferReport, Venue, VenueError
from settlement.venues.state_history import MovedMeanwhile

log = structlog.get_logger(__name__)

BY = "treasury"
State = FundsTransfer.State


@moves(FundsTransfer.submit)
def start(
    *, asset: str, amount: Decimal, direction: FundsTransfer.Direction, venue: Venue, now: datetime
) -> FundsTransfer | None:
    """Plan and send one transfer; None when one of this asset is still open.

    Raises: VenueError when the venue cannot be had at all or is halted; nothing was planned then.
    """
    halts.refuse_if_halted(venue.name)
    venue_account.require(venue, now=now)
    stamp = venue.stamp()
    try:
        with transaction.atomic(using="desk"):
            transfer = FundsTransfer(asset=asset, amount=amount, direction=direction, planned_at=now)
            state_history.begin(transfer, at=now, by=BY)
            with state_history.moving(transfer, at=now, by=BY):
                transfer.submit(at=now)
            request = {"asset": asset, "amount": amount, "direction": direction}
            attempt = state_history.begin_attempt(transfer, Attempt.Call.TRANSFER, request, at=now)
    except IntegrityError:
        return None
    _send(transfer, attempt, venue, stamp)
    return transfer


def _send(transfer: FundsTransfer, attempt: Attempt, venue: Venue, stamp: int) -> None:
    try:
        try:
            venue_transfer_id = venue.transfer(
                asset=transfer.asset,
                amount=transfer.amount,
                direction=transfer.direction,  # type: ignore[arg-type]
                stamp=stamp,
            )
        except VenueError as error:
            _after_failure(transfer, attempt, error, clock.of("desk").now())
            return
        now = clock.of("desk").now()
        state_history.end_attempt(attempt, outcome=Outcome.DONE, code="", answer=venue_transfer_id, at=now)
        confirm(transfer, venue_transfer_id=venue_transfer_id, now=now)
    except MovedMeanwhile:
        log.info("transfer was resolved by somebody else", transfer=transfer.pk)


@moves(FundsTransfer.confirm, State.SUBMITTED, State.UNKNOWN)
def confirm(
    transfer: FundsTransfer, *, venue_transfer_id: str, now: datetime, by: str = BY, why: str = ""
) -> None:
    """The venue has done it: book its leg, and let the conversions that wait for it go on at once.

    Raises: MovedMeanwhile.
    """
    source, target = accounts(transfer)
    with transaction.atomic(using="desk"):
        with state_history.moving(transfer, at=now, by=by, why=why):
            transfer.confirm(venue_transfer_id=venue_transfer_id, at=now)
        legs = Legs(now=now, funds_transfer_id=transfer.pk)
        legs.add("transfer", transfer.asset, debit=target, credit=source, amount=transfer.amount)
        legs.post()
        wake_waiting(transfer, now)


@moves(FundsTransfer.release, State.SUBMITTED, State.UNKNOWN)
def release(transfer: FundsTransfer, *, why: str, now: datetime, by: str = BY) -> None:
    """It was certainly not done: what waits for it tries again, and asks for another one if it still has to.

    Raises: MovedMeanwhile.
    """
    with transaction.atomic(using="desk"):
        with state_history.moving(transfer, at=now, by=by, why=why):
            transfer.release(why=why)
        wake_waiting(transfer, now)


def accounts(transfer: FundsTransfer) -> tuple[str, str]:
    """The accounts that it leaves and comes to."""
    incoming = transfer.direction == FundsTransfer.Direction.TO_TRADING
    return (INVENTORY, VENUE) if incoming else (VENUE, INVENTORY)


def wake_waiting(transfer: FundsTransfer, now: datetime) -> None:
    """Let the conversions that wait for this transfer go on, as soon as the transaction has ended."""
    waiting = Conversion.objects.filter(waits_for_id=transfer.pk, state=Conversion.State.RETRY_WAIT)
    if waiting.update(due_at=now):
        after_commit(partial(dispatcher.send, RESUME), using="desk")


@moves(FundsTransfer.lose_sight)
@moves(FundsTransfer.hand_over, State.SUBMITTED)
def _after_failure(transfer: FundsTransfer, attempt: Attempt, error: VenueError, now: datetime) -> None:
    verdict = failures.take(attempt, error, now=now)
    why = f"{error.kind} {error.code}: {verdict.why}"
    if verdict.outcome is Outcome.UNKNOWN:
        pause = error_table.pause_seconds(1)
        due_at = now + timedelta(seconds=pause)
        with state_history.moving(transfer, at=now, by=BY, why=why):
            transfer.lose_sight(why=why, due_at=due_at)
        resume_in(pause)
    elif verdict.follow is Follow.HUMAN:
        with state_history.moving(transfer, at=now, by=BY, why=why):
            transfer.hand_over(why=why)
    else:
        release(transfer, why=why, now=now)


@moves(FundsTransfer.lose_sight)
def ask(transfer: FundsTransfer, venue: Venue, now: datetime) -> None:
    """Look for an unknown transfer in the venue's history and act on what is there. Sends nothing.

    Raises: MovedMeanwhile.
    """
    if transfer.state == FundsTransfer.State.SUBMITTED:
        why = "its sender gave no word"
        with state_history.moving(transfer, at=now, by=BY, why=why):
            transfer.lose_sight(why=why, due_at=now)
    assert transfer.submitted_at is not None  # noqa: S101 - it was sent, or it would not be asked for
    request = {"asset": transfer.asset, "since": transfer.submitted_at}
    attempt = state_history.begin_attempt(transfer, Attempt.Call.ASK_TRANSFER, request, at=now)
    try:
        reports = fitting(transfer, venue)
        done = next((report.venue_transfer_id for report in reports if report.done), None)
        doubt = _doubt(transfer, reports, venue) if done is None else ""
    except VenueError as error:
        failures.take(attempt, error, now=now)
        _ask_later(transfer, now, misses=transfer.misses, asked_for=error.retry_after_seconds)
        return
    if done is not None:
        state_history.end_attempt(attempt, outcome=Outcome.DONE, code="", answer=done, at=now)
        confirm(transfer, venue_transfer_id=done, now=now)
        return
    state_history.end_attempt(attempt, outcome=Outcome.UNKNOWN, code="NotInHistory", answer=doubt, at=now)
    misses = 0 if doubt else transfer.misses + 1
    silence = (now - transfer.submitted_at).total_seconds()
    if misses >= error_table.MISSES_TO_BE_SURE and silence >= error_table.MISSED_AFTER_SECONDS:
        release(transfer, why=f"not in the venue's history {misses} times in {silence:.0f} s", now=now)
    else:
        _ask_later(transfer, now, misses=misses)


def _doubt(transfer: FundsTransfer, reports: list[TransferReport], venue: Venue) -> str:
    """What speaks against its not having been done; blank when nothing does. Raises: VenueError."""
    if any(report.state == "pending" for report in reports):
        return "one that may be it is pending"
    if wallets.speak_of_transfer(transfer, venue):
        return "the reserve wallet shows it as done"
    return ""


def fitting(transfer: FundsTransfer, venue: Venue) -> list[TransferReport]:
    """Movements that fit and that no other transfer of ours has claimed, oldest first. Raises: VenueError."""
    assert transfer.submitted_at is not None  # noqa: S101
    since = venue_clock.earliest(transfer.submitted_at, venue)
    reports = venue.transfers(asset=transfer.asset, since=since)
    taken = set(
        FundsTransfer.objects.filter(
            venue_transfer_id__in=[report.venue_transfer_id for report in reports]
        ).values_list("venue_transfer_id", flat=True)
    )
    return [
        report
        for report in sorted(reports, key=lambda report: report.at)
        if report.direction == transfer.direction
        and report.amount == transfer.amount
        and report.venue_transfer_id not in taken
        and report.at >= since
    ]


def _ask_later(
    transfer: FundsTransfer, now: datetime, *, misses: int, asked_for: float | None = None
) -> None:
    pause = error_table.pause_seconds(misses + 1, asked_for=asked_for)
    FundsTransfer.objects.filter(
        pk=transfer.pk, state=FundsTransfer.State.UNKNOWN, version=transfer.version
    ).update(misses=misses, due_at=now + timedelta(seconds=pause))
    resume_in(pause)
