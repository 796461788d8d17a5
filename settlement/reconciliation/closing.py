"""What balances a break: a booking, transfer or order that a person can look up. Blank: nothing that is known does."""

from collections import defaultdict

from django.conf import settings
from django.db.models import Q

from acceptance.models import AcceptedOrder
from settlement.models import DeskTransfer, Fill, FundsTransfer, Intervention, ReconciliationBreak
from settlement.models.history import Subject
from settlement.reconciliation import book, clearing, trades, wallets

RECENT_LEGS = 5000
DONE = {
    Intervention.Kind.BOOK_CAPITAL: "booked as capital",
    Intervention.Kind.BOOK_CASH: "booked as cash moved",
    Intervention.Kind.WRITE_OFF: "booked to suspense",
    Intervention.Kind.ACCEPT: "accepted as it is",
}

TRADES = (trades.NOBODYS, trades.NOT_BOOKED, trades.DIFFERS)
VENUE_KINDS = (*TRADES, trades.NOT_AT_VENUE, wallets.NOT_THE_BOOK, wallets.NEVER_ASKED)
BOOK_KINDS = (book.MIRROR,)
CLEARING_KINDS = (clearing.NOT_HERE, clearing.NO_CLEARING, clearing.DIFFERS, clearing.OF_NO_ORDER)
KINDS = (*VENUE_KINDS, *BOOK_KINDS, *CLEARING_KINDS)  # all that there are
# What two people accept as it is: the wallets have a break of their own for what such a trade did to them.
ACCEPTABLE = (trades.DIFFERS, trades.NOT_AT_VENUE)
# What is compared with all that was booked of it before: seen again it shows what is left, which may be booked as well.
CORRECTED = (wallets.NOT_THE_BOOK, *BOOK_KINDS, *CLEARING_KINDS)


def what_balances(row: ReconciliationBreak) -> str:
    """What has balanced a break that a comparison no longer shows."""
    if row.written_off_at is not None or row.accepted_at is not None:
        return _intervention(row)
    if row.what in TRADES:
        return _fill(row)
    if row.what == trades.NOT_AT_VENUE:
        return "the venue shows the trade" if _fill(row) else "the fill is no longer in the book"
    if row.what == wallets.NEVER_ASKED:
        done = FundsTransfer.objects.filter(venue_transfer_id=row.venue_transfer_id).first()
        return f"funds transfer {done.pk}, {done.state}" if done else ""
    if row.what == wallets.NOT_THE_BOOK:
        return _booking(row) or "the venue's wallet came back to what the book says, without a booking"
    if row.what == book.MIRROR:
        return "the legs are what the orders came to"
    return _order(row)


def _intervention(row: ReconciliationBreak) -> str:
    made = Intervention.objects.filter(
        subject=Subject.BREAK, subject_id=row.pk, state=Intervention.State.APPLIED, kind__in=DONE
    ).last()
    if made is None:
        return ""
    people = f"asked for by {made.requested_by}, approved by {made.decided_by}"
    return f"{DONE[Intervention.Kind(made.kind)]} by intervention {made.pk}, {people}"


def _fill(row: ReconciliationBreak) -> str:
    fill = Fill.objects.filter(symbol=row.symbol, venue_trade_id=row.venue_trade_id).first()
    if fill is None:
        return ""
    by_hand = f", booked by intervention {fill.intervention_id}" if fill.intervention_id else ""
    return f"fill {fill.pk} of conversion {fill.conversion_id}{by_hand}"


def _booking(row: ReconciliationBreak) -> str:
    """The booking since then whose legs together moved the account by just what was missing, if one did."""
    last = DeskTransfer.objects.order_by("-id").values_list("id", flat=True).first() or 0
    touching = Q(debit_account__code=row.account) | Q(credit_account__code=row.account)
    legs = DeskTransfer.objects.filter(
        touching, asset=row.asset, pk__gt=last - RECENT_LEGS, created_at__gte=row.found_at
    ).select_related("debit_account", "credit_account")
    bookings: dict[tuple[int | None, ...], list[DeskTransfer]] = defaultdict(list)
    for leg in legs.order_by("id"):
        traced = leg.conversion_id, leg.funds_transfer_id, leg.break_id
        bookings[traced if any(traced) else (leg.pk,)].append(leg)
    for booked in bookings.values():
        moved = sum(leg.amount if leg.debit_account.code == row.account else -leg.amount for leg in booked)
        if moved == row.amount:
            return "; ".join(
                f"leg {leg.pk}: {leg.kind} {leg.amount} {leg.asset}, {leg.debit_account} from {leg.credit_account}"
                for leg in booked
            )
    return ""


def _order(row: ReconciliationBreak) -> str:
    if row.what == clearing.OF_NO_ORDER:
        return "counter's clearing has nothing without an order"
    held = AcceptedOrder.objects.filter(source=settings.COUNTER_SOURCE, order_id=row.order_id or 0).first()
    if held is None:
        return "counter's clearing has nothing of it any more"
    return f"order {row.order_id} is {held.state} at the desk, taken in by {held.door}, and clearing agrees"
