"""The desk's books belong to one account at one venue: with another one the venue is halted and nothing is sent.

Guards the books against a changed key, another host and a paper venue with a new journal: orders that were sent to one
account would be looked for in another, and not be found.
"""

import time
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from weakref import WeakKeyDictionary

import structlog
from django.db import transaction
from django.db.models import QuerySet

from infra.broker.dispatcher import dispatcher
from infra.coordination.leader import exclusive_in_transaction
from ledger.decimals import calculating
from ledger.posting import balances
from settlement.book.chart import CAPITAL, INVENTORY, VENUE
from settlement.book.legs import Legs
from settlement.models import Conversion, DeskAccount, DeskTransfer, FundsTransfer, VenueAccount, VenueHalt
from settlement.task_triggers import RESUME
from settlement.venues import halts
from settlement.venues.protocol import Venue, VenueError
from settlement.venues.state_history import NAME_CHARACTERS

log = structlog.get_logger(__name__)

BY = "settlement"
# A process asks before its first order, then now and then; the sweep more often, and what it finds stops all processes.
AGREED_FOR_SECONDS = 600.0
SWEPT_AFTER_SECONDS = 10.0
HELD_FOR_SECONDS = 10 * 365 * 86400.0  # the right account ends it, or `manage.py adopt_venue_account`
ADOPT = "manage.py adopt_venue_account"
AT_VENUE = ("SUBMITTED", "UNKNOWN", "RETRY_WAIT", "MANUAL")

_agreed_at: WeakKeyDictionary[Venue, float] = WeakKeyDictionary()


class OtherAccount(VenueError):
    """The venue's account is not that of the books; nothing was sent."""


class CannotAdopt(Exception):
    """The account cannot be taken over now."""


class Change(NamedTuple):
    """What adopting an account does to the book: this much more (negative: less) of an asset, against the capital."""

    account: str
    asset: str
    booked: Decimal
    held: Decimal

    @property
    def difference(self) -> Decimal:
        """What is booked."""
        return self.held - self.booked


def opened(venue: str, account_id: str, *, now: datetime) -> None:
    """Store whose books these are, in the transaction that opens them."""
    _store(venue, account_id, by=BY, why="the books were opened", now=now)


def agrees(venue: Venue) -> None:
    """The venue has told the account of the books a moment ago."""
    _agreed_at[venue] = time.monotonic()


def require(venue: Venue, *, now: datetime, within_seconds: float = AGREED_FOR_SECONDS) -> None:
    """Called before anything is sent or believed of the venue. Books that were opened without an account take this one.

    Raises: OtherAccount, and the venue is halted; VenueError when it does not tell.
    """
    if time.monotonic() - _agreed_at.get(venue, -AGREED_FOR_SECONDS) < within_seconds:
        return
    told = venue.account_id()
    known = _known(venue.name, told, now=now)
    if (known.venue, known.account_id) == (venue.name, told):
        agrees(venue)
        return
    _agreed_at.pop(venue, None)
    why = (
        f"{halts.OTHER_ACCOUNT}: the books are of {known}, the key is of {told or 'a nameless one'} at {venue.name}. "
        f"Nothing is sent. Set VENUE, VENUE_URL and the key back, or take this account over with {ADOPT}"
    )
    _halt(venue.name, why, now)
    raise OtherAccount(kind="OtherAccount", message=why)


def sweep(venue: Venue, *, now: datetime) -> None:
    """See whether the account is still that of the books: halts the venue if not, and lets it go when it is again."""
    halted = _halts(venue.name).exists()
    if not VenueAccount.objects.exists() and not halted:
        return  # what opens the books, or works with them, sees to that
    try:
        require(venue, now=now, within_seconds=0 if halted else SWEPT_AFTER_SECONDS)
    except VenueError as error:
        log.warning("venue account not confirmed", error=str(error))
        return
    if halted:
        halts.lift(_halts(venue.name), by=BY, now=now)


def changed_at() -> datetime | None:
    """Since when the books are of another account than before: what was traded earlier is not in its history."""
    newest = list(VenueAccount.objects.order_by("-id").values_list("adopted_at", flat=True)[:2])
    return newest[0] if len(newest) == 2 else None


@calculating()
def changes(venue: Venue) -> list[Change]:
    """What adopting the venue's account would book. Raises: VenueError."""
    held = {VENUE: venue.balances("trading"), INVENTORY: venue.balances("reserve")}
    booked = {
        (code, asset): total
        for _, code, asset, total in balances(DeskAccount, DeskTransfer)
        if code in held and total
    }
    keys = booked.keys() | {(code, asset) for code, wallet in held.items() for asset in wallet}
    found = [
        Change(code, asset, booked.get((code, asset), Decimal(0)), held[code].get(asset, Decimal(0)))
        for code, asset in sorted(keys)
    ]
    return [change for change in found if change.difference]


@calculating()
def adopt(venue: Venue, *, by: str, why: str, now: datetime) -> list[Change]:
    """Take the venue's account for that of the books; its wallets are booked as they are, the difference as capital.

    Only with nothing under way: an order of the account before would be looked for in this one.

    Raises: CannotAdopt, VenueError.
    """
    name, told, found = venue.name, venue.account_id(), changes(venue)
    with transaction.atomic(using="desk"):
        exclusive_in_transaction("open books", using="desk")
        known = VenueAccount.objects.order_by("-id").first()
        if not DeskAccount.objects.filter(code=CAPITAL).exists():
            raise CannotAdopt(
                "the books are not open yet: they will be of the account that they are opened with"
            )
        if known is not None and (known.venue, known.account_id) == (name, told):
            raise CannotAdopt(f"the books are of {known} already")
        _refuse_under_way()
        _store(name, told, by=by, why=why, now=now)
        legs = Legs(now=now)
        for change in found:
            legs.add("capital", change.asset, debit=change.account, credit=CAPITAL, amount=change.difference)
        legs.post()
        halts.lift(VenueHalt.objects.filter(reason__startswith=halts.OTHER_ACCOUNT), by=by, now=now)
    dispatcher.send(RESUME)
    log.warning("venue account adopted", account=told, venue=name, by=by, why=why)
    return found


def _refuse_under_way() -> None:
    orders = Conversion.objects.filter(state__in=AT_VENUE).values_list("pk", flat=True)
    moves = FundsTransfer.objects.filter(state__in=FundsTransfer.OPEN_STATES).values_list("pk", flat=True)
    under_way = [*(f"conversion {pk}" for pk in orders[:10]), *(f"funds transfer {pk}" for pk in moves[:10])]
    if under_way:
        raise CannotAdopt(
            f"under way at the account before: {', '.join(under_way)}. Let them end there, or decide them by hand"
        )


def _known(venue: str, told: str, *, now: datetime) -> VenueAccount:
    """The account of the books; those that were opened before this was asked take the one they meet first."""
    known = VenueAccount.objects.order_by("-id").first()
    if known is not None:
        return known
    with transaction.atomic(using="desk"):
        exclusive_in_transaction("open books", using="desk")
        known = VenueAccount.objects.order_by("-id").first()
        return known or _store(venue, told, by=BY, why="the first that these books met", now=now)


def _store(venue: str, account_id: str, *, by: str, why: str, now: datetime) -> VenueAccount:
    stored = VenueAccount.objects.create(
        venue=venue, account_id=account_id, adopted_at=now, adopted_by=by[:NAME_CHARACTERS], why=why
    )
    if account_id:
        log.info("books are of", account=str(stored))
    else:
        log.warning("the venue tells no account: another key of it will not be noticed", venue=venue)
    return stored


def _halts(venue: str) -> QuerySet[VenueHalt]:
    return VenueHalt.objects.filter(
        venue=venue, lifted_at__isnull=True, reason__startswith=halts.OTHER_ACCOUNT
    )


def _halt(venue: str, why: str, now: datetime) -> None:
    """Hold the venue in place of a halt that would end by itself; a restored desk is held already."""
    if halts.is_held(venue) or _halts(venue).exists():
        return
    halts.lift(VenueHalt.objects.filter(venue=venue), by=BY, now=now)
    halts.begin(venue=venue, reason=why, now=now, asked_for=HELD_FOR_SECONDS)
