"""What people may do about a reconciliation break: book what the venue has and the book lacks, or the reverse.

The break stays open until the next run finds both sides balanced: what closes it is the comparison, never the click.
"""

from datetime import datetime
from decimal import Decimal
from functools import partial

from django.conf import settings
from django.db.models import F

from settlement import halts
from settlement.booking import Legs
from settlement.chart import CAPITAL, SUSPENSE
from settlement.interventions.operations import Deed, Operation
from settlement.interventions.terms import Refused, Terms
from settlement.models import Conversion, Fill, FundsTransfer, Intervention, ReconciliationBreak
from settlement.models.history import Subject
from settlement.reconciliation.wallets import NOT_THE_BOOK


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
    for wallet, asset, amount in row.effect:
        legs.add(kind, asset, debit=wallet, credit=account, amount=Decimal(amount))
    legs.post()
    # Its version too: a run that looked before this books nothing of what it saw into the break.
    ReconciliationBreak.objects.filter(pk=row.pk).update(written_off_at=deed.now, version=F("version") + 1)


OPERATIONS = (
    Operation(
        kind=Intervention.Kind.WRITE_OFF,
        subject=Subject.BREAK,
        title="Write off to suspense",
        does="The book takes over what the venue holds; the difference goes to the account suspense until somebody can "
        "explain it. The next run closes the break if both sides agree then.",
        states=(ReconciliationBreak.State.OPEN,),
        check=_has_effect,
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
        check=_has_effect,
        apply=partial(_book, "capital", CAPITAL),
    ),
)
