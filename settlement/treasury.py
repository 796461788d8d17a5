"""Treasury: keeps the trading wallet of each asset within its band by transfers from and to the reserve wallet.

A venue gives transfers no client id, so at most one of an asset is open at a time (a database constraint), and an
unknown one is found in the venue's history by asset, amount, direction and time.
"""

from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from settlement import history, policy
from settlement.booking import Legs
from settlement.chart import CAPITAL, INVENTORY, VENUE
from settlement.history import MovedMeanwhile
from settlement.models import Attempt, Conversion, DeskTransfer, FundsTransfer
from settlement.policy import Follow, Outcome
from settlement.venues.protocol import Venue, VenueError

log = structlog.get_logger(__name__)

BY = "treasury"
CLOCK_MARGIN = timedelta(seconds=2)
AMOUNT_UNIT = Decimal("0.00000001")


def open_books(*, venue: Venue, now: datetime) -> bool:
    """Book what both wallets hold before the desk's first order, as its capital; False when that was done before.

    Raises: VenueError.
    """
    if DeskTransfer.objects.filter(kind="capital").exists() or Conversion.objects.exists():
        return False
    wallets = {VENUE: venue.balances("trading"), INVENTORY: venue.balances("reserve")}
    with transaction.atomic(using="desk"):
        legs = Legs(now=now)
        for account, balances in wallets.items():
            for asset, amount in sorted(balances.items()):
                legs.add("capital", asset, debit=account, credit=CAPITAL, amount=amount)
        legs.post()
    log.info("books opened", assets=sorted({asset for balances in wallets.values() for asset in balances}))
    return True


def rebalance(*, venue: Venue, now: datetime) -> list[FundsTransfer]:
    """Start a transfer for each asset whose trading wallet has left its band.

    Raises: VenueError when the balances cannot be read.
    """
    trading, reserve = venue.balances("trading"), venue.balances("reserve")
    started = []
    for asset, band in settings.WALLET_BANDS.items():
        holding = trading.get(asset, Decimal(0))
        if holding < band["low"]:
            amount = min(band["target"] - holding, reserve.get(asset, Decimal(0)))
            direction = FundsTransfer.Direction.TO_TRADING
        elif holding > band["high"]:
            amount, direction = holding - band["target"], FundsTransfer.Direction.TO_RESERVE
        else:
            continue
        amount = amount.quantize(AMOUNT_UNIT, ROUND_DOWN)
        if amount <= 0:
            log.error("reserve is empty", asset=asset, trading=str(holding))
            continue
        transfer = start(asset=asset, amount=amount, direction=direction, venue=venue, now=now)
        if transfer is not None:
            started.append(transfer)
    return started


def start(
    *, asset: str, amount: Decimal, direction: FundsTransfer.Direction, venue: Venue, now: datetime
) -> FundsTransfer | None:
    """Plan and send one transfer; None when one of this asset is still open."""
    try:
        with transaction.atomic(using="desk"):
            transfer = FundsTransfer.objects.create(
                asset=asset, amount=amount, direction=direction, planned_at=now
            )
            history.created(transfer, at=now, by=BY)
            attempt = _ready(transfer, now)
    except IntegrityError:
        return None
    _send(transfer, attempt, venue)
    return transfer


def send_again(transfer: FundsTransfer, venue: Venue, now: datetime) -> None:
    """Send a transfer that the venue has certainly not done once more.

    Raises: MovedMeanwhile.
    """
    with transaction.atomic(using="desk"):
        attempt = _ready(transfer, now)
    _send(transfer, attempt, venue)


def _ready(transfer: FundsTransfer, now: datetime) -> Attempt:
    history.advance(
        transfer,
        FundsTransfer.submit,
        at=now,
        by=BY,
        submitted_at=now,
        attempts=transfer.attempts + 1,
        misses=0,
        due_at=None,
    )
    request = {"asset": transfer.asset, "amount": transfer.amount, "direction": transfer.direction}
    return history.begin_attempt(transfer, Attempt.Call.TRANSFER, request, at=now)


def _send(transfer: FundsTransfer, attempt: Attempt, venue: Venue) -> None:
    try:
        venue_transfer_id = venue.transfer(
            asset=transfer.asset,
            amount=transfer.amount,
            direction=transfer.direction,  # type: ignore[arg-type]
        )
    except VenueError as error:
        _after_failure(transfer, attempt, error, timezone.now())
        return
    now = timezone.now()
    try:
        with transaction.atomic(using="desk"):
            history.end_attempt(attempt, outcome=Outcome.DONE, code="", answer=venue_transfer_id, at=now)
            confirm(transfer, venue_transfer_id=venue_transfer_id, now=now)
    except MovedMeanwhile:
        log.info("transfer was resolved by somebody else", transfer=transfer.pk)


def confirm(transfer: FundsTransfer, *, venue_transfer_id: str, now: datetime, by: str = BY) -> None:
    """The venue has done it: book its leg, and let what waits for funds go on at once.

    Raises: MovedMeanwhile.
    """
    with transaction.atomic(using="desk"):
        history.advance(
            transfer,
            FundsTransfer.confirm,
            at=now,
            by=by,
            venue_transfer_id=venue_transfer_id,
            confirmed_at=now,
            due_at=None,
        )
        incoming = transfer.direction == FundsTransfer.Direction.TO_TRADING
        legs = Legs(now=now, funds_transfer_id=transfer.pk)
        legs.add(
            "transfer",
            transfer.asset,
            debit=VENUE if incoming else INVENTORY,
            credit=INVENTORY if incoming else VENUE,
            amount=transfer.amount,
        )
        legs.post()
        Conversion.objects.filter(state=Conversion.State.RETRY_WAIT).update(due_at=now)


def _after_failure(transfer: FundsTransfer, attempt: Attempt, error: VenueError, now: datetime) -> None:
    verdict = policy.judge(kind=error.kind, code=error.code)
    why = f"{error.kind} {error.code}: {verdict.why}"
    pause = error.retry_after_seconds or policy.backoff_seconds(transfer.attempts)
    due_at = now + timedelta(seconds=pause)
    log.warning("transfer failed", transfer=transfer.pk, why=why, outcome=verdict.outcome.value)
    try:
        with transaction.atomic(using="desk"):
            history.end_attempt(
                attempt,
                outcome=verdict.outcome,
                code=f"{error.kind} {error.code}".strip(),
                answer=error.raw or str(error),
                at=now,
            )
            if verdict.follow is Follow.ASK:
                history.advance(
                    transfer, FundsTransfer.lose_sight, at=now, by=BY, why=why, reason=why, due_at=due_at
                )
            elif verdict.follow is Follow.RETRY and transfer.attempts < policy.RETRY_LIMIT:
                history.advance(
                    transfer, FundsTransfer.wait, at=now, by=BY, why=why, reason=why, due_at=due_at
                )
            else:
                history.advance(
                    transfer, FundsTransfer.hand_over, at=now, by=BY, why=why, reason=why, due_at=None
                )
    except MovedMeanwhile:
        log.info("transfer was resolved by somebody else", transfer=transfer.pk)


def ask(transfer: FundsTransfer, venue: Venue, now: datetime) -> None:
    """Look for an unknown transfer in the venue's history and act on what is there. Sends nothing.

    Raises: MovedMeanwhile.
    """
    if transfer.state == FundsTransfer.State.SUBMITTED:
        history.advance(
            transfer, FundsTransfer.lose_sight, at=now, by=BY, why="its sender gave no word", due_at=now
        )
    assert transfer.submitted_at is not None  # noqa: S101 - it was sent, or it would not be asked for
    request = {"asset": transfer.asset, "since": transfer.submitted_at}
    attempt = history.begin_attempt(transfer, Attempt.Call.ASK_TRANSFER, request, at=now)
    try:
        found = _find(transfer, venue)
    except VenueError as error:
        history.end_attempt(attempt, outcome=Outcome.UNKNOWN, code=error.kind, answer=error.raw, at=now)
        _ask_later(transfer, now, misses=transfer.misses)
        return
    with transaction.atomic(using="desk"):
        if found is not None:
            history.end_attempt(attempt, outcome=Outcome.DONE, code="", answer=found, at=now)
            confirm(transfer, venue_transfer_id=found, now=now)
            return
        misses = transfer.misses + 1
        silence = (now - transfer.submitted_at).total_seconds()
        history.end_attempt(attempt, outcome=Outcome.UNKNOWN, code="NotInHistory", answer="", at=now)
        if misses >= policy.MISSES_TO_BE_SURE and silence >= policy.MISSED_AFTER_SECONDS:
            why = f"not in the venue's history {misses} times in {silence:.0f} s"
            history.advance(transfer, FundsTransfer.wait, at=now, by=BY, why=why, reason=why, due_at=now)
        else:
            _ask_later(transfer, now, misses=misses)


def _find(transfer: FundsTransfer, venue: Venue) -> str | None:
    assert transfer.submitted_at is not None  # noqa: S101
    since = transfer.submitted_at - CLOCK_MARGIN
    reports = venue.transfers(asset=transfer.asset, since=since)
    taken = set(
        FundsTransfer.objects.filter(
            venue_transfer_id__in=[report.venue_transfer_id for report in reports]
        ).values_list("venue_transfer_id", flat=True)
    )
    fitting = [
        report.venue_transfer_id
        for report in reports
        if report.done
        and report.direction == transfer.direction
        and report.amount == transfer.amount
        and report.venue_transfer_id not in taken
        and report.at >= since
    ]
    return fitting[0] if fitting else None


def _ask_later(transfer: FundsTransfer, now: datetime, *, misses: int) -> None:
    FundsTransfer.objects.filter(pk=transfer.pk, state=FundsTransfer.State.UNKNOWN).update(
        misses=misses, due_at=now + timedelta(seconds=policy.backoff_seconds(misses + 1))
    )
