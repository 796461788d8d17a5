"""What people may do about a reconciliation break: book what the other side has and the book lacks, or the reverse.

The break stays open until the next run finds both sides balanced: what closes it is the comparison, never the click.
Books are only added to: what was booked wrong is corrected by legs of the break, with suspense on the other side.
"""

from datetime import datetime
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db.models import F

from acceptance.counter_client import CounterError
from acceptance.event_validation import can_be_settled
from acceptance.models import AcceptedOrder, Conflict
from acceptance.pulling import take_in_one
from infra.db.after_commit import after_commit
from settlement.book.chart import CAPITAL, CASH, COUNTER, SUSPENSE
from settlement.book.legs import Legs
from settlement.interventions import disowning
from settlement.interventions.asking import trade_still_differs
from settlement.interventions.disowning import CounterSilent
from settlement.interventions.operations import Deed, Operation
from settlement.interventions.terms import Refused, Terms, Unanswered
from settlement.models import (
    ClearingPayment,
    Conversion,
    Fill,
    FundsTransfer,
    Intervention,
    ReconciliationBreak,
)
from settlement.models.history import Subject
from settlement.reconciliation.clearing import NO_CLEARING, NOT_HERE, OF_NO_ORDER, differs_now
from settlement.reconciliation.closing import ACCEPTABLE, CLEARING_KINDS
from settlement.reconciliation.wallets import NOT_THE_BOOK
from settlement.venues import halts
from settlement.venues.protocol import Venue


def _is_missing_here(row: ReconciliationBreak, terms: Terms, now: datetime) -> None:
    if row.what != NOT_HERE:
        raise Refused("it is no order that the desk lacks")


def _take_in(deed: Deed) -> None:
    """Robust: what counter does not say now is asked for by pressing again."""
    taken_in = partial(take_in_one, order_id=deed.row.order_id, now=deed.now)
    after_commit(taken_in, using="desk")


def _has_effect(row: ReconciliationBreak, terms: Terms, now: datetime) -> None:
    if not row.effect:
        raise Refused("no booking at the desk would balance it: its other side has to be put right")
    if row.written_off_at is not None:
        raise Refused("it is booked already: the next run closes it")
    if halts.is_held(settings.VENUE):
        raise Refused("the desk was restored: manage.py after_restore enters what it has forgotten")
    trade = row.venue_trade_id and Fill.objects.filter(symbol=row.symbol, venue_trade_id=row.venue_trade_id)
    transfer = row.venue_transfer_id and FundsTransfer.objects.filter(venue_transfer_id=row.venue_transfer_id)
    if (trade and trade.exists()) or (transfer and transfer.exists()):
        raise Refused("it has been booked since it was found: the next run closes it")
    if row.what == NOT_THE_BOOK:
        _may_be_nobody_elses(row)
    if row.what in CLEARING_KINDS and row.order_id is not None:
        _nothing_else_ends_it(row)
    if (
        row.what == OF_NO_ORDER
        and ClearingPayment.objects.filter(state=ClearingPayment.State.APPROVED).exists()
    ):
        raise Refused("a clearing payment is approved: only when it has ended the amount is certain")


def _is_the_wallets(row: ReconciliationBreak, terms: Terms, now: datetime) -> None:
    _has_effect(row, terms, now)
    if row.account == COUNTER:
        raise Refused("it is between counter and the desk: nothing was brought in or taken out")


def _nothing_else_ends_it(row: ReconciliationBreak) -> None:
    """An order that is kept aside or on its way changes what clearing and the mirror differ by."""
    open_conflict = Conflict.objects.filter(
        source=settings.COUNTER_SOURCE, order_id=row.order_id or 0, resolved_at__isnull=True
    ).first()
    if open_conflict is not None:
        raise Refused(f"conflict {open_conflict.pk} is of this order: that has to end first")
    held = AcceptedOrder.objects.filter(source=settings.COUNTER_SOURCE, order_id=row.order_id or 0).first()
    paid_by_report = held is not None and held.kind != "OPEN" and held.payout == "at_fill"
    ended = ("REPORTED",) if paid_by_report else ("SETTLED", "REPORTED")
    if held is not None and held.state not in ended:
        raise Refused(
            f"order {row.order_id} is {held.state} at the desk: it has to be settled and reported first"
        )


def _counter_still_differs(row: ReconciliationBreak, terms: Terms, venue: Venue, now: datetime) -> str:
    """What counter has now is what is booked, and nothing but a booking ends it. Raises: Refused."""
    if row.what not in CLEARING_KINDS:
        return ""
    try:
        amount = differs_now(row.order_id, now)
        theirs = disowning.at_counter(row.order_id) if row.order_id is not None else None
    except (CounterError, CounterSilent) as error:
        raise Unanswered(f"counter does not say what it has: {error}") from error
    if amount != row.amount:
        raise Refused(f"counter now differs by {amount:f} {row.asset}: the next run shows it so")
    if row.what == NO_CLEARING and theirs is None:
        raise Refused("counter has no such order: disown it on its page")
    if row.what == NOT_HERE and theirs is not None and can_be_settled(theirs):
        raise Refused("counter has the order and it can be settled: take it in")
    return f"counter differs by {amount:f} {row.asset}"


def _is_a_fill(row: ReconciliationBreak, terms: Terms, now: datetime) -> None:
    if row.what not in ACCEPTABLE:
        raise Refused("it is no fill that differs from what the venue shows")
    if row.accepted_at is not None:
        raise Refused("it is accepted already: the next run closes it")


def _accept(deed: Deed) -> None:
    ReconciliationBreak.objects.filter(pk=deed.row.pk).update(accepted_at=deed.now, version=F("version") + 1)


def _may_be_nobody_elses(row: ReconciliationBreak) -> None:
    """A venue that hides an order or a move shows what it did to the wallet: that is booked when its row is ended."""
    in_doubt = {"state__in": ["UNKNOWN", "MANUAL"], "submitted_at__lte": row.seen_at}
    conversions = Conversion.objects.filter(**in_doubt)
    if row.asset in settings.COINS:
        conversions = conversions.filter(underlying=row.asset)
    for name, rows in (
        ("conversion", conversions),
        ("funds transfer", FundsTransfer.objects.filter(**in_doubt, asset=row.asset)),
    ):
        if found := rows.order_by("id").first():
            raise Refused(
                f"{name} {found.pk} is {found.state} and may be what the wallet shows: end that first"
            )


def _book(kind: str, account: str, deed: Deed) -> None:
    """Give the wallets' accounts what they differ by, coin, USDT and fee, out of an account or into it."""
    row = deed.row
    legs = Legs(now=deed.now, break_id=row.pk)
    corrected = Decimal(0)
    for code, asset, amount in row.effect:
        legs.add(kind, asset, debit=code, credit=account, amount=Decimal(amount))
        corrected += Decimal(amount) if code == COUNTER else 0
    legs.post()
    # Its version too: a run that looked before this books nothing of what it saw into the break.
    ReconciliationBreak.objects.filter(pk=row.pk).update(
        written_off_at=deed.now, corrected=F("corrected") + corrected, version=F("version") + 1
    )


OPERATIONS = (
    Operation(
        kind=Intervention.Kind.RETRY,
        subject=Subject.BREAK,
        title="Take in from counter",
        does="For an order that counter believes acknowledged and the desk does not hold: counter is asked for it, and "
        "it is taken in by the same door as any other. The next run closes the break when its clearing agrees.",
        states=(ReconciliationBreak.State.OPEN,),
        check=_is_missing_here,
        apply=_take_in,
    ),
    Operation(
        kind=Intervention.Kind.WRITE_OFF,
        subject=Subject.BREAK,
        title="Write off to suspense",
        does="The book takes over what the other side has: the venue, counter's clearing, or for the mirror the "
        "orders' own dues. The difference goes to the account suspense until somebody can explain it. The next run "
        "closes the break if both sides agree then.",
        states=(ReconciliationBreak.State.OPEN,),
        check=_has_effect,
        ask=_counter_still_differs,
        apply=partial(_book, "write_off", SUSPENSE),
    ),
    Operation(
        kind=Intervention.Kind.BOOK_CAPITAL,
        subject=Subject.BREAK,
        title="Book as capital",
        does="It is the desk's own: money brought in or taken out, or a trade that somebody made by hand on its "
        "account. What it did to the wallets, fee included, goes to the account capital. The next run closes the break "
        "if both sides agree then.",
        states=(ReconciliationBreak.State.OPEN,),
        check=_is_the_wallets,
        apply=partial(_book, "capital", CAPITAL),
    ),
    Operation(
        kind=Intervention.Kind.BOOK_CASH,
        subject=Subject.BREAK,
        title="Book as cash moved",
        does="It is USDT that counter has paid for its clearing and somebody has now brought into the venue's wallet, "
        "or that was taken out of it to pay counter: it goes to the account cash, where the payment stands. The next "
        "run closes the break if both sides agree then.",
        states=(ReconciliationBreak.State.OPEN,),
        check=_is_the_wallets,
        apply=partial(_book, "cash", CASH),
    ),
    Operation(
        kind=Intervention.Kind.ACCEPT,
        subject=Subject.BREAK,
        title="Accept as it is",
        does="For a fill that the venue shows otherwise, or not at all. Nothing is booked: what such a fill made the "
        "wallets differ by is a break of its own, and is written off there. These two figures count as explained; "
        "if either changes, a run finds it anew.",
        states=(ReconciliationBreak.State.OPEN,),
        check=_is_a_fill,
        ask=trade_still_differs,
        apply=_accept,
    ),
)
