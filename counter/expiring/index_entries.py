"""A settlement index by the word of people, where the record cannot be trusted: one asks for it, another approves.

Guards: the requester cannot approve, by a constraint of the database too; one request waits for each expiry, and it is
decided once, under the expiry's lock.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import structlog
from django.db import IntegrityError, transaction

from counter.expiring.settlement_index import recorded_average, settle_at
from counter.models import Expiry, IndexEntry
from counter.trading.switches import coins_stopped
from infra.db.decisions import Person
from infra.db.lifecycles import moves
from ledger.decimals import is_multiple

log = structlog.get_logger(__name__)

PRICE_UNIT = Decimal("0.00000001")
MAX_PRICE = Decimal(10**12)  # what a column of 20 digits holds, 8 of them decimals


class EntryRefused(Exception):
    """The entry or the decision cannot be; the message says why, for people."""


def request(
    *, expiry_id: int, price: Decimal, reason: str, evidence: str, by: Person, now: datetime
) -> IndexEntry:
    """Ask that an expiry be settled at `price`, USDT for one coin.

    Raises: EntryRefused.
    """
    if not price.is_finite() or not 0 < price < MAX_PRICE or not is_multiple(price, PRICE_UNIT):
        raise EntryRefused("the index is a positive price of at most 8 decimals")
    if not reason.strip() or not evidence.strip():
        raise EntryRefused("a reason and evidence are needed")
    try:
        with transaction.atomic():
            expiry = _waiting(Expiry.objects.select_for_update().get(pk=expiry_id))
            made = IndexEntry.objects.create(
                expiry=expiry,
                price=price,
                reason=reason.strip(),
                evidence=evidence.strip(),
                requested_by_id=by.id,
                requested_by=by.name,
                requested_at=now,
            )
    except IntegrityError as error:
        raise EntryRefused("another entry waits for its decision") from error
    log.warning("settlement index requested", entry=made.pk, what=str(made), by=by.name)
    return made


@moves(IndexEntry.apply)
def approve(*, entry_id: int, by: Person, note: str, now: datetime) -> IndexEntry:
    """Settle at what somebody else has asked for.

    Raises: EntryRefused.
    """
    with transaction.atomic():
        made, expiry = _locked(entry_id)
        if made.requested_by_id == by.id:
            raise EntryRefused("another person has to approve it")
        _waiting(expiry)
        _decide(made, IndexEntry.apply, by, note.strip(), now)
        settle_at(expiry, made.price, average=recorded_average(expiry), entry=made, now=now)
    log.warning("settlement index approved", entry=made.pk, what=str(made), by=by.name)
    return made


@moves(IndexEntry.reject)
def reject(*, entry_id: int, by: Person, note: str, now: datetime) -> IndexEntry:
    """Say no to what somebody else has asked for; the requester withdraws it.

    Raises: EntryRefused.
    """
    if not note.strip():
        raise EntryRefused("a reason is needed")
    with transaction.atomic():
        made, _ = _locked(entry_id)
        _decide(made, IndexEntry.reject, by, note.strip(), now)
    log.warning("settlement index rejected", entry=made.pk, what=str(made), by=by.name)
    return made


def _locked(entry_id: int) -> tuple[IndexEntry, Expiry]:
    """The entry, undecided, and its expiry, locked in this order everywhere: the expiry first."""
    expiry_id = IndexEntry.objects.values_list("expiry_id", flat=True).get(pk=entry_id)
    expiry = Expiry.objects.select_for_update().get(pk=expiry_id)
    made = IndexEntry.objects.select_for_update().get(pk=entry_id)
    if made.state != IndexEntry.State.REQUESTED:
        raise EntryRefused(f"it was decided by {made.decided_by}: {made.state}")
    return made, expiry


def takes_entries(expiry: Expiry) -> bool:
    """Whether people have to say the index, or may: its record has a gap, or a person has stopped all of the coin."""
    waits = expiry.state == Expiry.State.WAITING
    return waits and (expiry.why != "" or expiry.underlying in coins_stopped())


def _waiting(expiry: Expiry) -> Expiry:
    if not takes_entries(expiry):
        raise EntryRefused(f"{expiry} needs no entry: it is {expiry.state}")
    return expiry


def _decide(
    made: IndexEntry, step: Callable[[IndexEntry], None], by: Person, note: str, now: datetime
) -> None:
    made.sign(by, note, at=now)
    step(made)
    made.save(update_fields=["state", *IndexEntry.SIGNED])
