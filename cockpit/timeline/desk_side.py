"""What the desk tells of one order: its intake, whom it was netted with, its share, the legs of its conversion."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.conf import settings

from acceptance.models import AcceptedOrder, Conflict, OrderStep
from cockpit.timeline.events import Event, facts, row_link, text
from settlement.models import Allocation, Conversion, DeskTransfer

OTHERS_NAMED = 12
LOOKED_BACK = (
    500  # conversions among which those are looked for that an order without a log was released from
)


@dataclass(frozen=True, slots=True)
class OrderAtDesk:
    """An order as the desk holds it, with its conversion and its share where it has them."""

    order: AcceptedOrder
    conversion: Conversion | None
    share: Allocation | None
    steps: tuple[OrderStep, ...]
    earlier: tuple[Conversion, ...]  # that had claimed it, and came to nothing

    @property
    def conversions(self) -> list[Conversion]:
        """All that were sent for it, or that most likely were where its steps are not logged."""
        return [*self.earlier, *([self.conversion] if self.conversion else [])]


def read_order(order_id: int) -> OrderAtDesk | None:
    """Our counter's order at the desk, or None when it has not come yet."""
    order = AcceptedOrder.objects.filter(source=settings.COUNTER_SOURCE, order_id=order_id).first()
    if order is None:
        return None
    conversion = Conversion.objects.filter(pk=order.conversion_id).first() if order.conversion_id else None
    share = Allocation.objects.filter(pk=order.pk).first()
    steps = tuple(OrderStep.objects.filter(order_id=order.pk).order_by("number"))
    if is_logged(steps):
        released = [step.conversion_id for step in steps if step.to_state == AcceptedOrder.State.RECEIVED]
        earlier = Conversion.objects.filter(pk__in=filter(None, released)).order_by("id")
        return OrderAtDesk(order, conversion, share, steps, tuple(earlier))
    return OrderAtDesk(order, conversion, share, steps, tuple(_came_to_nothing(order, conversion)))


def is_logged(steps: Sequence[OrderStep]) -> bool:
    """Whether steps go back to the order's intake: not those of one that is older than their log."""
    return bool(steps) and not steps[0].from_state


def _came_to_nothing(order: AcceptedOrder, conversion: Conversion | None) -> Iterator[Conversion]:
    """Of one without a log: what came to nothing, of its coin, while it waited had claimed it, most likely."""
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


def events_of(held: OrderAtDesk) -> Iterator[Event]:
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
    yield from _steps(held.steps)
    claimed = "Claimed" if is_logged(held.steps) else "Most likely claimed"
    for came_to_nothing in held.earlier:
        yield _netted(
            came_to_nothing,
            came_to_nothing.planned_at,
            f"{claimed} by conversion {came_to_nothing.pk}, which came to nothing",
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


def _steps(steps: Sequence[OrderStep]) -> Iterator[Event]:
    """Its history, as the statements that moved it logged it."""
    for step in steps:
        whose = f" of conversion {step.conversion_id}" if step.conversion_id else ""
        path = f"{step.from_state} → {step.to_state}" if step.from_state else step.to_state
        told = facts(step=step.number, logged_by="the database, for what moved it" if step.unlogged else None)
        link = row_link("settlement_conversion", step.conversion_id) if step.conversion_id else ""
        yield Event(step.at, "desk", "step", f"Order: {path}{whose}", told, link)


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
