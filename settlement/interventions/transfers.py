"""What people may do about a funds transfer: have it looked for again, take it over, and say what became of it.

Three ends, as there are three things that can have happened: it arrived, it never left, or it left and is missing.
"""

from datetime import datetime
from functools import partial

from infra.broker.dispatcher import dispatcher
from infra.db.after_commit import after_commit
from infra.db.lifecycles import moves
from settlement.book.chart import SUSPENSE
from settlement.book.legs import Legs
from settlement.funds import transfers
from settlement.interventions.asking import not_arrived, not_done, same_movement_known
from settlement.interventions.operations import Deed, Operation
from settlement.interventions.terms import FoundTerms, Refused
from settlement.models import FundsTransfer, Intervention, ReconciliationBreak
from settlement.models.history import Subject
from settlement.venues import state_history

MAX_VENUE_ID_CHARACTERS = 64
State, Kind = FundsTransfer.State, Intervention.Kind


def _is_nobody_elses(row: FundsTransfer, terms: FoundTerms, now: datetime) -> None:
    if not 0 < len(terms.venue_transfer_id) <= MAX_VENUE_ID_CHARACTERS:
        raise Refused("the venue's id of the transfer is needed")
    if FundsTransfer.objects.filter(venue_transfer_id=terms.venue_transfer_id).exists():
        raise Refused(f"{terms.venue_transfer_id} is another transfer of ours")
    booked = ReconciliationBreak.objects.filter(
        venue_transfer_id=terms.venue_transfer_id, written_off_at__isnull=False
    ).first()
    if booked is not None:
        raise Refused(f"{terms.venue_transfer_id} is booked already, by reconciliation break {booked.pk}")


@moves(FundsTransfer.hand_back)
def _retry(deed: Deed) -> None:
    with state_history.moving(deed.row, at=deed.now, by=deed.by, why=deed.why):
        deed.row.hand_back(why=deed.why, due_at=deed.now)
    call = partial(dispatcher.send, [("settlement.resume", [])])
    after_commit(call, using="desk")


@moves(FundsTransfer.hand_over, State.UNKNOWN)
def _take_over(deed: Deed) -> None:
    with state_history.moving(deed.row, at=deed.now, by=deed.by, why=deed.why):
        deed.row.hand_over(why=deed.why)


@moves(FundsTransfer.confirm, State.MANUAL)
def _mark_found(deed: Deed) -> None:
    transfers.confirm(
        deed.row,
        venue_transfer_id=deed.terms.venue_transfer_id,
        now=deed.now,
        by=deed.by,
        why=deed.why,
    )


@moves(FundsTransfer.release, State.MANUAL)
def _release(deed: Deed) -> None:
    transfers.release(deed.row, why=deed.why, now=deed.now, by=deed.by)


@moves(FundsTransfer.write_off)
def _write_off(deed: Deed) -> None:
    row = deed.row
    with state_history.moving(row, at=deed.now, by=deed.by, why=deed.why):
        row.write_off(why=deed.why)
    legs = Legs(now=deed.now, funds_transfer_id=row.pk)
    source, _ = transfers.accounts(row)
    legs.add("write_off", row.asset, debit=SUSPENSE, credit=source, amount=row.amount)
    legs.post()
    transfers.wake_waiting(row, deed.now)


OPERATIONS = (
    Operation(
        kind=Kind.RETRY,
        subject=Subject.FUNDS_TRANSFER,
        title="Look for it again",
        does="The venue's history is looked through once more. If it is there it is booked; if it certainly was not "
        "done it is released, and the treasury works out anew what is needed.",
        states=(State.MANUAL,),
        apply=_retry,
    ),
    Operation(
        kind=Kind.TAKE_OVER,
        subject=Subject.FUNDS_TRANSFER,
        title="Take over",
        does="The desk looks for it no more, until a person decides.",
        states=(State.UNKNOWN,),
        apply=_take_over,
    ),
    Operation(
        kind=Kind.MARK_FOUND,
        subject=Subject.FUNDS_TRANSFER,
        title="Mark as found",
        does="The transfer has arrived under the id given here: its amount is booked from the one wallet to the other.",
        states=(State.MANUAL,),
        terms=FoundTerms,
        check=_is_nobody_elses,
        ask=same_movement_known,
        apply=_mark_found,
    ),
    Operation(
        kind=Kind.RELEASE,
        subject=Subject.FUNDS_TRANSFER,
        title="Release",
        does="The transfer counts as never done: nothing is booked, and the treasury works out anew what is needed.",
        states=(State.MANUAL,),
        ask=not_done,
        apply=_release,
    ),
    Operation(
        kind=Kind.WRITE_OFF,
        subject=Subject.FUNDS_TRANSFER,
        title="Write off to suspense",
        does="The amount has left the one wallet and is missing in the other: it goes to the account suspense, until "
        "somebody can explain it.",
        states=(State.MANUAL,),
        ask=not_arrived,
        apply=_write_off,
    ),
)
