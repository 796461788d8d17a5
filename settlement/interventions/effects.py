"""What an operation would change, found by doing it in a transaction that is undone: shown and done are the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Count, Sum

from acceptance.models import AcceptedOrder, Conflict
from settlement.interventions import disowning
from settlement.interventions.operations import Deed, Operation, Row, state_of
from settlement.models import Carry, Conversion, DeskTransfer, FundsTransfer, ReconciliationBreak, VenueHalt

# By which column of the book's legs a row is traced.
TRACED_BY: dict[type[Row], str] = {
    Conversion: "conversion_id",
    FundsTransfer: "funds_transfer_id",
    ReconciliationBreak: "break_id",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One figure or state before and after; blank: there is none."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Leg:
    """What the book would get of one kind between two accounts, added up."""

    kind: str
    debit: str
    credit: str
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Effects:
    """All that would change in the desk's books."""

    changes: tuple[Change, ...]
    legs: tuple[Leg, ...]


def of(operation: Operation, deed: Deed) -> Effects:
    """Do it, look, and undo it. The deed's row shows the state it would be in afterwards: read it anew.

    Raises: what doing it raises.
    """
    with transaction.atomic(using="desk"):
        row_id, model = deed.row.pk, type(deed.row)
        orders = _order_ids(deed.row)
        before, last_leg = (
            _figures(deed.row, orders),
            DeskTransfer.objects.order_by("-pk").values_list("pk").first(),
        )
        operation.apply(deed)
        after = _figures(model.objects.get(pk=row_id), orders)
        legs = _legs(deed.row, after=last_leg[0] if last_leg else 0)
        transaction.set_rollback(True, using="desk")
    names = [*before, *(name for name in after if name not in before)]
    changes = tuple(Change(name, before.get(name, ""), after.get(name, "")) for name in names)
    return Effects(tuple(change for change in changes if change.before != change.after), legs)


def _order_ids(row: Row) -> list[int]:
    if not isinstance(row, Conversion):
        return []
    return list(AcceptedOrder.objects.filter(conversion_id=row.pk).values_list("id", flat=True))


def _figures(row: Row, order_ids: list[int]) -> Mapping[str, str]:
    """What people want to know of a row and what hangs on it, by name."""
    figures: dict[str, Any] = {"state": state_of(row)[0]}
    if isinstance(row, Conversion):
        figures |= _of_conversion(row, order_ids)
    elif isinstance(row, FundsTransfer):
        figures["id at the venue"] = row.venue_transfer_id
        waiting = Conversion.objects.filter(waits_for_id=row.pk, state=Conversion.State.RETRY_WAIT)
        figures["conversions that wait for it until"] = ", ".join(
            f"{pk}: {due_at:%H:%M:%S}" for pk, due_at in waiting.values_list("pk", "due_at") if due_at
        )
    elif isinstance(row, ReconciliationBreak):
        figures["written off at"] = row.written_off_at
    elif isinstance(row, Conflict):
        held = AcceptedOrder.objects.filter(source=row.source, order_id=row.order_id).first()
        figures["order at the desk"] = f"{held.state}: {held}" if held else ""
    elif isinstance(row, AcceptedOrder):
        figures["source"] = row.source
    return {name: _text(value) for name, value in figures.items()}


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"  # a zero with eight decimals would read 0E-8
    return "" if value is None else str(value)


def _of_conversion(row: Conversion, order_ids: list[int]) -> dict[str, Any]:
    carry = Carry.objects.filter(pk=row.underlying).first()
    states = AcceptedOrder.objects.filter(id__in=order_ids).values_list("state").annotate(Count("id"))
    return {
        "id at the venue": row.venue_order_id,
        f"executed {row.underlying}": row.filled_coin,
        "executed USDT": row.filled_usdt,
        f"written off {row.underlying}": row.written_off_coin,
        "written off USDT": row.written_off_usdt,
        "settlement price": row.price,
        "fee in USDT": row.fee_usdt,
        "orders": ", ".join(f"{count} {state}" for state, count in sorted(states)),
        f"carried {row.underlying}": carry.coin if carry else "",
        "carried, worth in USDT": carry.usdt if carry else "",
    }


def _legs(row: Row, *, after: int) -> tuple[Leg, ...]:
    traced: dict[str, Any]
    if isinstance(row, VenueHalt):
        return ()  # what is entered is only known when it is
    if isinstance(row, Conflict | AcceptedOrder):
        traced = {"kind": disowning.KIND, "pk__gt": after}
    else:
        traced = {TRACED_BY[type(row)]: row.pk}
    sums = (
        DeskTransfer.objects.filter(**traced)
        .values_list("kind", "debit_account__code", "credit_account__code", "asset")
        .annotate(Sum("amount"))
        .order_by("asset", "kind")
    )
    return tuple(Leg(*columns) for columns in sums)
