"""What counter tells of one order: its quote, the money it moved, its place in the outbox, its settlement."""

from collections.abc import Iterator

from cockpit.timeline.events import Event, facts, row_link, text
from counter.models import Account, SyncOrder, Transfer
from counter.orders.exercise_names import shown_name
from counter.public_ids import Kind, public_id

WHAT = {"OPEN": "opens", "CLOSE": "closes", "EXERCISE": "exercises"}


def read_order(order_id: int) -> SyncOrder | None:
    """The order with its customer and option, or None: refused requests leave nothing."""
    return SyncOrder.objects.select_related("customer", "option").filter(pk=order_id).first()


def events_of(order: SyncOrder) -> Iterator[Event]:
    """Everything on counter's side, each step after the one that caused it."""
    yield _placed(order)
    yield from _legs(order)
    yield Event(
        order.placed_at,
        "counter",
        "outbox",
        "Stored for the desk in the same transaction, published after the commit",
        facts(state=SyncOrder.State.PENDING),
    )
    if order.synced_at:
        yield Event(
            order.synced_at,
            "counter",
            "outbox",
            "The desk has acknowledged it",
            facts(state=SyncOrder.State.SYNCED, after=_since(order, "synced_at")),
        )
    if order.settled_at:
        yield _settled(order)


def _placed(order: SyncOrder) -> Event:
    is_open = order.kind == SyncOrder.Kind.OPEN
    waits = order.payout == SyncOrder.Payout.AT_FILL and order.state != SyncOrder.State.SETTLED
    bound = "at most" if is_open else "at least"
    paid = {"cost" if is_open else "proceeds": "when it is filled" if waits else order.amount}
    return Event(
        order.placed_at,
        "counter",
        "quote",
        f"{order.customer.reference} {WHAT.get(order.kind, order.kind)} {order.contracts} {order.symbol}, "
        "priced and accepted",
        facts(
            client_order_id=shown_name(order.client_order_id),
            customers_id=public_id(Kind.ORDER, order.pk),
            premium=f"{text(order.premium)} {order.underlying}",
            index=order.index_price,
            coin=f"{text(order.coin)} {order.underlying}",
            fair_value=order.fair,
            spread=order.spread,
            **paid,
            payout=order.payout if not is_open else None,
            **{bound: order.limit},
            position=order.position_id,
        ),
        row_link("counter_syncorder", order.pk),
    )


def _legs(order: SyncOrder) -> Iterator[Event]:
    """Legs of counter's book, those of one moment together."""
    legs = list(
        Transfer.objects.filter(order_id=order.pk)
        .select_related("debit_account__customer", "credit_account__customer")
        .order_by("id")
    )
    for at in dict.fromkeys(leg.created_at for leg in legs):
        together = [leg for leg in legs if leg.created_at == at]
        balances = [leg.balance_after for leg in together if leg.balance_after is not None]
        yield Event(
            at,
            "counter",
            "ledger",
            _moved(order, together),
            (
                *(
                    (
                        f"{leg.kind}: {_name(leg.debit_account)} → {_name(leg.credit_account)}",
                        f"{text(leg.amount)} {leg.asset}",
                    )
                    for leg in together
                ),
                *facts(balance_afterwards=balances[-1] if balances else None),
            ),
            row_link("counter_transfer", together[0].pk),
        )


def _moved(order: SyncOrder, legs: list[Transfer]) -> str:
    account = f"{order.customer.reference}'s account"
    if any(leg.debit_account.customer_id for leg in legs):
        return f"{account} debited"
    return f"{account} credited"


def _name(account: Account) -> str:
    return account.customer.reference if account.customer else account.code


def _settled(order: SyncOrder) -> Event:
    # The moment is the desk's; counter keeps no other of its own.
    return Event(
        order.settled_at,  # type: ignore[arg-type]
        "counter",
        "report",
        "Settled at this moment by the report that counter has taken",
        facts(
            state=SyncOrder.State.SETTLED,
            price=order.settlement_price,
            value=order.settlement_value,
            fee=order.settlement_fee,
            due=order.settlement_due,
            conversion=order.conversion_id,
        ),
    )


def _since(order: SyncOrder, moment: str) -> str:
    seconds = (getattr(order, moment) - order.placed_at).total_seconds()
    return f"{seconds * 1000:,.0f} ms"
