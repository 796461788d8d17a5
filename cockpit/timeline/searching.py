"""Finding an order by what somebody has in hand: one box for every id that it goes by, each by its index."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from acceptance.models import AcceptedOrder
from counter.models import Customer, SyncOrder, Transfer
from counter.orders.exercise_names import shown_name
from counter.orders.finding import orders_by_client_id
from counter.public_ids import Kind, row_of
from infra.admin.readonly import is_number
from settlement.models import Conversion, Fill

LISTED = 50
MAX_CHARACTERS = 140  # a customer's reference and a client order id


@dataclass(frozen=True, slots=True)
class Match:
    """An order that was found, and by what."""

    order_id: int
    what: str
    client_order_id: str = ""
    customer: str = ""
    state: str = ""
    placed_at: datetime | None = None


def find(term: str) -> list[Match]:
    """Orders by order id, its own or one that the customer has, client order id, customer, or an id at the venue: of an
    order, ours or theirs, or of a trade; LISTED at most.

    The same number may be several of them: all are told.
    """
    term = term.strip()[:MAX_CHARACTERS]
    if not term:
        return []
    found: dict[int, list[str]] = {}
    for order_id, what in _found(term):
        names = found.setdefault(order_id, [])
        if what not in names:
            names.append(what)
    return _described({order_id: ", ".join(names) for order_id, names in list(found.items())[:LISTED]})


def _found(term: str) -> Iterator[tuple[int, str]]:
    if is_number(term):
        yield from ((pk, "order id") for pk in SyncOrder.objects.filter(pk=term).values_list("pk", flat=True))
        # Counter may be another system: then only the desk knows the order.
        accepted = AcceptedOrder.objects.filter(source=settings.COUNTER_SOURCE, order_id=term)
        yield from ((pk, "order id") for pk in accepted.values_list("order_id", flat=True))
    known = row_of(term)
    if known is not None:
        yield from _of_public_id(*known)
    yield from ((pk, "client order id") for pk in orders_by_client_id(term, limit=LISTED))
    customer = Customer.objects.filter(reference=term).first()
    if customer:
        orders = SyncOrder.objects.filter(customer=customer).order_by("-id")[:LISTED]
        yield from ((pk, "customer") for pk in orders.values_list("pk", flat=True))
    yield from _at_the_venue(term)


def _of_public_id(kind: Kind, row: int) -> Iterator[tuple[int, str]]:
    """The order by an id that its customer has in hand; of a position the one that opened it, whose number it has."""
    what = f"customer's id of the {kind.name.lower().replace('_', ' ')}"
    if kind in (Kind.ORDER, Kind.POSITION):
        orders = SyncOrder.objects.filter(pk=row).values_list("pk", flat=True)
        yield from ((order_id, what) for order_id in orders)
    elif kind is Kind.LEDGER_ENTRY:
        order_ids = Transfer.objects.filter(pk=row).values_list("order_id", flat=True)
        yield from ((order_id, what) for order_id in order_ids if order_id is not None)


def _at_the_venue(term: str) -> Iterator[tuple[int, str]]:
    conversions = {
        "venue order id": Conversion.objects.filter(venue_order_id=term).values_list("pk", flat=True),
        "our id at the venue": Conversion.objects.filter(client_order_id=term).values_list("pk", flat=True),
        "venue trade id": Fill.objects.filter(
            symbol__in=settings.COINS.values(), venue_trade_id=term
        ).values_list("conversion_id", flat=True),
    }
    for what, rows in conversions.items():
        ids = list(rows[:LISTED])
        orders = AcceptedOrder.objects.filter(source=settings.COUNTER_SOURCE, conversion_id__in=ids)
        for order_id in orders.order_by("id").values_list("order_id", flat=True)[:LISTED] if ids else ():
            yield order_id, what


def _described(found: dict[int, str]) -> list[Match]:
    orders = SyncOrder.objects.select_related("customer").in_bulk(list(found))
    return [
        Match(
            order_id,
            what,
            shown_name(order.client_order_id),
            order.customer.reference,
            order.state,
            order.placed_at,
        )
        if (order := orders.get(order_id))
        else Match(order_id, what)
        for order_id, what in found.items()
    ]
