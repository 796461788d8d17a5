"""What a customer has done: orders, positions and the ledger, newest first, a page at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from counter.models import Account, Position, SyncOrder
from counter.money.statements import IdRange, ledger_entries
from counter.public_ids import Kind, public_id
from trade import customer_texts
from trade.book import placed

PAGE = 25


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one kind; `older` is the public id before which the next page begins, None on the last one."""

    kind: str
    rows: Sequence[Any]
    older: str | None

    @property
    def title(self) -> customer_texts.Text:
        """The kind in words."""
        return TITLES[self.kind]


def orders(customer_id: int, before: int | None, now: datetime) -> Page:
    """Orders with their settlement."""
    rows = SyncOrder.objects.filter(customer_id=customer_id).order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PAGE + 1])
    return _page("orders", [placed(row) for row in found], [row.pk for row in found])


def positions(customer_id: int, before: int | None, now: datetime) -> Page:
    """Positions, those that ended included."""
    rows = Position.objects.filter(customer_id=customer_id).select_related("option").order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PAGE + 1])
    told = [
        {
            "position": row,
            "state": customer_texts.position_state(row),
            "can_close": row.remaining > 0
            and row.state == Position.State.OPEN
            and row.option.expires_at > now,
            "profit": row.proceeds - row.cost if row.remaining == 0 and not row.unpaid else None,
        }
        for row in found
    ]
    return _page("positions", told, [row.pk for row in found])


def ledger(customer_id: int, before: int | None, now: datetime) -> Page:
    """Every movement on the account with the balance it left."""
    account_id = Account.objects.filter(customer_id=customer_id).values_list("pk", flat=True).first()
    within = IdRange() if before is None else IdRange(end=before)
    entries = (
        [] if account_id is None else ledger_entries(account_id=account_id, within=within, limit=PAGE + 1)
    )
    told = [
        {"entry": entry, "kind": customer_texts.LEDGER_KINDS.get(entry.kind, entry.kind.replace("_", " "))}
        for entry in entries
    ]
    return _page("ledger", told, [entry.id for entry in entries])


TITLES: dict[str, customer_texts.Text] = {
    "orders": _("orders"),
    "positions": _("positions"),
    "ledger": _("ledger"),
}
ID_KINDS = {"orders": Kind.ORDER, "positions": Kind.POSITION, "ledger": Kind.LEDGER_ENTRY}
KINDS: dict[str, Callable[[int, int | None, datetime], Page]] = {
    "orders": orders,
    "positions": positions,
    "ledger": ledger,
}


def _page(kind: str, rows: Sequence[Any], ids: Sequence[int]) -> Page:
    older = public_id(ID_KINDS[kind], ids[PAGE - 1]) if len(ids) > PAGE else None
    return Page(kind, rows[:PAGE], older)
