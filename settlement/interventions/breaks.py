"""What people may do about a reconciliation break: book what the venue has and the book lacks, or the reverse.

The break stays open until the next run finds both sides balanced: what closes it is the comparison, never the click.
"""

from datetime import datetime
from decimal import Decimal
from functools import partial

from settlement.booking import Legs
from settlement.chart import CAPITAL, SUSPENSE
from settlement.interventions.operations import Deed, Operation
from settlement.interventions.terms import Refused, Terms
from settlement.models import Intervention, ReconciliationBreak
from settlement.models.history import Subject


def _has_effect(row: ReconciliationBreak, terms: Terms, now: datetime) -> None:
    if not row.effect:
        raise Refused("no booking at the desk would balance it: its other side has to be put right")
    if row.written_off_at is not None:
        raise Refused("it is booked already: the next run closes it")


def _book(kind: str, account: str, deed: Deed) -> None:
    """Give the wallets' accounts what they differ by, coin, USDT and fee, out of an account or into it."""
    row = deed.row
    legs = Legs(now=deed.now, break_id=row.pk)
    for wallet, asset, amount in row.effect:
        legs.add(kind, asset, debit=wallet, credit=account, amount=Decimal(amount))
    legs.post()
    ReconciliationBreak.objects.filter(pk=row.pk).update(written_off_at=deed.now)


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
