"""What the desk tells of one order: its intake, whom it was netted with, its share, the legs of its conversion."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.conf import settings

from acceptance.models import AcceptedOrder, Conflict
from cockpit.timeline.events import Event, facts, row_link, text
from settlement.models import Allocation, Conversion, DeskTransfer

OTHERS_NAMED = 12
LOOKED_BACK = 500  # conversions before its own among which those that came to nothing are looked for


@dataclass(frozen=True, slots=True)
class DeskOrder:
    """An order as the desk holds it, with its conversion and its share where it has them."""

    order: AcceptedOrder
    conversion: Conversion | None
    share: Allocation | None
    earlier: tuple[Conversion, ...]  # that came to nothing while it waited for one

    @property
    def conversions(self) -> list[Conversion]:
        """All that were, or most likely were, sent for it."""
        return [*self.earlier, *([self.conversion] if self.conversion else [])]


def read_order(order_id: int) -> DeskOrder | None:
    """Our counter's order at the desk, or None when it has not come yet."""
    order = AcceptedOrder.objects.filter(source=settings.COUNTER_SOURCE, order_id=order_id).first()
    if order is None:
        return None
    conversion = Conversion.objects.filter(pk=order.conversion_id).first() if order.conversion_id else None
    share = Allocation.objects.filter(pk=order.pk).first()
    return DeskOrder(order, conversion, share, tuple(_came_to_nothing(order, conversion)))


def _came_to_nothing(order: AcceptedOrder, conversion: Conversion | None) -> Iterator[Conversion]:
    """A released order forgets its conversion. One of its coin that came to nothing while it waited had claimed it."""
    earlier = Conversion.objects.order_by("-id")
    if conversion is not None:
        earlier = earlier.filter(pk__lt=conversion.pk)
    nothing = (Conversion.State.MISSED, Conversion.State.RELEASED)
    for candidate in reversed(earlier[:LOOKED_BACK]):
        of_its_coin = candidate.underlying == order.underlying and candidate.planned_at >= order.received_at
        if of_its_coin and candidate.state in nothing:
            yield candidate


def conflicts_of(order_id: int) -> list[Conflict]:
    """Other contents that came under its id."""
    return list(Conflict.objects.filter(source=settings.COUNTER_SOURCE, order_id=order_id).order_by("id"))


def conflict_events(conflicts: list[Conflict]) -> Iterator[Event]:
    """Each kept aside, and resolved."""
    for conflict in conflicts:
        link = row_link("acceptance_conflict", conflict.pk)
        title = f"Kept aside: {conflict.get_reason_display().lower()}, by {conflict.door}"
        yield Event(
            conflict.noted_at,
            "desk",
            "conflict",
            title,
            link=link,
            raw=(("received", str(conflict.received)),),
        )
        if conflict.resolved_at:
            yield Event(
                conflict.resolved_at, "people", "conflict", f"Resolved: {conflict.resolution}", link=link
            )


def events_of(held: DeskOrder) -> Iterator[Event]:
    """Intake, netting, share, ledger and report of one order."""
    order, conversion = held.order, held.conversion
    yield Event(
        order.received_at,
        "desk",
        "intake",
        f"Taken in by {_door(order)}",
        facts(
            desk_id=order.pk,
            coin=f"{text(order.coin)} {order.underlying}",
            fair_value=order.fair,
            after=_ms(order.placed_at, order.received_at),
        ),
        row_link("acceptance_acceptedorder", order.pk),
    )
    for came_to_nothing in held.earlier:
        yield _netted(
            came_to_nothing,
            came_to_nothing.planned_at,
            f"Most likely claimed by conversion {came_to_nothing.pk}, which came to nothing",
            (),
        )
    if conversion is not None:
        yield _netted(
            conversion,
            order.converting_at or conversion.planned_at,
            f"Netted into conversion {conversion.pk}",
            _with_whom(order, conversion),
        )
        yield from _legs(conversion)
    if held.share is not None and conversion is not None and order.settled_at is not None:
        yield _share(order, held.share, conversion, order.settled_at)
    if order.reported_at:
        after = _ms(order.placed_at, order.reported_at)
        title = "Reported to counter, which has taken it"
        yield Event(order.reported_at, "desk", "report", title, facts(after=after))


def _door(order: AcceptedOrder) -> str:
    return {"queue": "the queue", "pull": "the pull over HTTP", "import": "an operator's import"}[order.door]


def _netted(conversion: Conversion, at: datetime, how: str, with_whom: tuple[tuple[str, str], ...]) -> Event:
    side = f"{conversion.side} {text(conversion.quantity)} {conversion.underlying} at the venue"
    return Event(
        at,
        "desk",
        "netting",
        f"{how}: {conversion.order_count} orders, {side if conversion.quantity else 'nothing to trade'}",
        facts(
            opens_need=conversion.bought,
            closes_give=conversion.sold,
            crossed_inside=conversion.crossed,
            carried_in=conversion.carry_in_coin,
            reference_price=conversion.reference_price,
            limit_price=conversion.limit_price,
        )
        + with_whom,
        row_link("settlement_conversion", conversion.pk),
    )


def _with_whom(order: AcceptedOrder, conversion: Conversion) -> tuple[tuple[str, str], ...]:
    others = AcceptedOrder.objects.filter(conversion_id=conversion.pk).order_by("id")
    first = others.values_list("order_id", "kind", "coin")[: OTHERS_NAMED + 1]
    named = [
        f"order {number} {kind} {text(coin)}"
        for number, kind, coin in islice((row for row in first if row[0] != order.order_id), OTHERS_NAMED)
    ]
    more = conversion.order_count - 1 - len(named)
    if not named:
        return (("netted with", "nobody: it was alone"),)
    return (("netted with", "; ".join(named) + (f"; and {more:,} more" if more > 0 else "")),)


def _legs(conversion: Conversion) -> Iterator[Event]:
    legs = list(
        DeskTransfer.objects.filter(conversion_id=conversion.pk)
        .select_related("debit_account", "credit_account")
        .order_by("id")
    )
    for at in dict.fromkeys(leg.created_at for leg in legs):
        yield Event(
            at,
            "desk",
            "ledger",
            f"Conversion {conversion.pk} booked, all its orders together",
            tuple(
                (
                    f"{leg.kind}: {leg.debit_account.code} → {leg.credit_account.code}",
                    f"{text(leg.amount)} {leg.asset}",
                )
                for leg in legs
                if leg.created_at == at
            ),
            row_link("settlement_conversion", conversion.pk),
        )


def _share(order: AcceptedOrder, share: Allocation, conversion: Conversion, settled_at: datetime) -> Event:
    return Event(
        settled_at,
        "desk",
        "share",
        f"Its exact share of conversion {conversion.pk}",
        facts(
            price=conversion.price,
            value=share.value,
            fee=share.fee,
            due=share.due,
            slippage=share.slippage,
            rounding=share.rounding,
            order_to_settled=_ms(order.placed_at, settled_at),
        ),
        row_link("settlement_allocation", share.pk),
    )


def _ms(since: datetime, until: datetime) -> str:
    return f"{(until - since).total_seconds() * 1000:,.0f} ms"
