"""What has changed for the customers who listen: read for all of them at once, by what each was told last.

Nothing is missed: a customer's orders get their ids under the lock of the account, so those not told yet have
larger ones; what can still change without a new order (an unfinished order, a position past its expiry, the balance)
is asked about by its id. What is told is told as it is now, so telling it twice does no harm.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.db import models
from django.db.models.expressions import RawSQL

from counter.models import Account, Position, SyncOrder
from counter.models.positions import living
from infra.db.arrays import array
from infra.db.rows import rows_of

M = TypeVar("M", bound=models.Model)

TOLD_AT_ONCE = 1000  # orders, and positions, that a customer is told at the beginning
NEW_ORDERS_AT_ONCE = 500  # of one customer; the rest comes with the next reading
ASKED_AT_ONCE = 20_000  # rows that may have changed; beyond them they take turns
# By which the clocks of processes and the time from a change to its commit may shift what a resuming customer missed.
MARK_TOLERANCE = timedelta(seconds=30)

UNFINISHED = (SyncOrder.State.PENDING, SyncOrder.State.SYNCED)
LIVE = (Position.State.OPEN, Position.State.CLOSING)

NEW_ORDERS = """
    SELECT new.id FROM unnest(%s::bigint[], %s::bigint[]) AS told(customer_id, last_id)
    CROSS JOIN LATERAL (
        SELECT o.id FROM counter_syncorder AS o
        WHERE o.customer_id = told.customer_id AND o.id > told.last_id ORDER BY o.id LIMIT %s) AS new
"""
MOVED_ORDERS = """
    SELECT o.id FROM unnest(%s::bigint[], %s::varchar[]) AS told(id, state)
    JOIN counter_syncorder AS o ON o.id = told.id WHERE o.state <> told.state
"""
ENDED_POSITIONS = """
    SELECT p.id FROM unnest(%s::bigint[]) AS told(id)
    JOIN counter_position AS p ON p.id = told.id WHERE p.state NOT IN ('OPEN', 'CLOSING')
"""
MOVED_BALANCES = """
    SELECT a.customer_id, a.balance FROM unnest(%s::bigint[], %s::numeric[]) AS told(customer_id, balance)
    JOIN counter_account AS a ON a.customer_id = told.customer_id
    WHERE a.balance IS DISTINCT FROM told.balance
"""
OF_IDS = "SELECT unnest(%s::bigint[])"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far somebody has been told: everything of a moment, of whose orders none before `order_id` could change."""

    order_id: int
    at: datetime


@dataclass(slots=True)
class Told:
    """What a customer knows that may still change: unfinished orders by id, live positions with their expiry."""

    customer_id: int
    last_order_id: int
    orders: dict[int, str]
    positions: dict[int, datetime]
    balance: Decimal | None

    def mark(self, at: datetime) -> Mark:
        """Where to go on from."""
        return Mark(min(self.orders, default=self.last_order_id + 1), at)

    def join(self, other: "Told") -> None:
        """Take on what another listener of the customer was told, whichever of the two was read later.

        What they differ in is told once more.
        """
        self.last_order_id = min(self.last_order_id, other.last_order_id)
        self.orders |= other.orders
        self.positions |= other.positions
        if self.balance != other.balance:
            self.balance = None

    def note(self, change: "Change") -> None:
        """The customer is being told of a change."""
        for order in change.orders:
            self.last_order_id = max(self.last_order_id, order.pk)
            self.orders.pop(order.pk, None)
            if order.state in UNFINISHED:
                self.orders[order.pk] = order.state
        for position in change.positions:
            self.positions.pop(position.pk, None)
            if position.state in LIVE:
                self.positions[position.pk] = position.option.expires_at
        if change.balance is not None:
            self.balance = change.balance


@dataclass(slots=True)
class Change:
    """Orders, positions with their options, balance in USDT, as they are now; `is_whole` unless there are more."""

    orders: list[SyncOrder] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    balance: Decimal | None = None
    is_whole: bool = True


def begin(*, customer_id: int, since: Mark | None) -> tuple[Change, Told]:
    """What a customer has to know to follow what changes, and what is then known to be told.

    That is unfinished orders, live positions and the balance; since a mark also what has ended meanwhile.
    """
    orders_of = SyncOrder.objects.filter(customer_id=customer_id)
    last_order_id = orders_of.order_by("-pk").values_list("pk", flat=True).first() or 0
    unfinished = orders_of.filter(state__in=UNFINISHED)
    orders = _newest(unfinished if since is None else orders_of.filter(pk__gte=since.order_id))
    positions = _positions_at_beginning(customer_id, since, orders)
    balance = Account.objects.filter(customer_id=customer_id).values_list("balance", flat=True).first()
    start = Change(orders[:TOLD_AT_ONCE][::-1], positions[:TOLD_AT_ONCE][::-1], balance)
    told = Told(customer_id, last_order_id, {}, {}, balance)
    told.note(start)
    if len(orders) > TOLD_AT_ONCE or len(positions) > TOLD_AT_ONCE:
        start.is_whole = False
        told.orders |= dict(unfinished.values_list("pk", "state"))
        live = Position.objects.filter(living(), customer_id=customer_id)
        told.positions |= dict(live.values_list("pk", "option__expires_at"))
    told.last_order_id = last_order_id  # read first: what came meanwhile is told again
    return start, told


def _newest(rows: models.QuerySet[M]) -> list[M]:
    """The newest rows, newest first: one more than are told, if there are more."""
    return list(rows.order_by("-pk")[: TOLD_AT_ONCE + 1])


def _positions_at_beginning(
    customer_id: int, since: Mark | None, orders: Sequence[SyncOrder]
) -> list[Position]:
    own = Position.objects.filter(customer_id=customer_id).select_related("option")
    found = {position.pk: position for position in _newest(own.filter(living()))}
    if since is not None:
        touched = own.filter(pk__in=_of(order.position_id for order in orders))
        newest = own.order_by("-pk").values("pk")[:TOLD_AT_ONCE]
        ended = own.filter(pk__in=newest, closed_at__gte=since.at - MARK_TOLERANCE)
        found |= {position.pk: position for position in (*touched, *ended)}
    return sorted(found.values(), key=lambda position: -position.pk)


class Following:
    """The customers who are told of their changes, each with what was told."""

    def __init__(self) -> None:
        self._told: dict[int, Told] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._told)

    def follow(self, told: Told) -> None:
        """Tell a customer from now on; one who is followed already is told by both."""
        known = self._told.setdefault(told.customer_id, told)
        if known is not told:
            known.join(told)

    def leave(self, customer_id: int) -> None:
        """Tell a customer no longer."""
        self._told.pop(customer_id, None)

    def mark(self, customer_id: int, at: datetime) -> Mark:
        """Where a customer can go on from who has been told everything that `read` found at a moment."""
        return self._told[customer_id].mark(at)

    def read(self, *, now: datetime) -> dict[int, Change]:
        """What changed since the last reading, by customer; it counts as told.

        Raises: database errors; nothing counts as told then.
        """
        if not self._told:
            return {}
        found: dict[int, Change] = {}
        orders = self._changed_orders()
        for order in orders:
            found.setdefault(order.customer_id, Change()).orders.append(order)
        ids = {order.position_id for order in orders} | self._ended_positions(now)
        touched = Position.objects.filter(pk__in=_of(ids)).select_related("option").order_by("pk")
        for position in touched if ids else ():
            found.setdefault(position.customer_id, Change()).positions.append(position)
        for customer_id, balance in self._moved_balances():
            found.setdefault(customer_id, Change()).balance = balance
        for customer_id, change in found.items():
            self._told[customer_id].note(change)
        return found

    def _changed_orders(self) -> list[SyncOrder]:
        customers = list(self._told)
        last_ids = [told.last_order_id for told in self._told.values()]
        ids = {
            row[0]
            for row in rows_of("default", NEW_ORDERS, [array(customers), array(last_ids), NEW_ORDERS_AT_ONCE])
        }
        unfinished = self._in_turn({k: v for told in self._told.values() for k, v in told.orders.items()})
        if unfinished:
            asked = [
                array([order_id for order_id, _ in unfinished]),
                array([state for _, state in unfinished]),
            ]
            ids |= {row[0] for row in rows_of("default", MOVED_ORDERS, asked)}
        return list(SyncOrder.objects.filter(pk__in=_of(ids)).order_by("pk")) if ids else []

    def _in_turn(self, rows: Mapping[int, str]) -> list[tuple[int, str]]:
        """As many as may be asked about at once; the others are asked about next time."""
        asked = list(rows.items())[self._turn : self._turn + ASKED_AT_ONCE]
        self._turn += ASKED_AT_ONCE
        if self._turn >= len(rows):
            self._turn = 0
        return asked

    def _ended_positions(self, now: datetime) -> set[int]:
        """Positions that ended without an order: their option has expired."""
        expired = [
            position_id
            for told in self._told.values()
            for position_id, expires_at in told.positions.items()
            if expires_at <= now
        ]
        return (
            {row[0] for row in rows_of("default", ENDED_POSITIONS, [array(expired[:ASKED_AT_ONCE])])}
            if expired
            else set()
        )

    def _moved_balances(self) -> list[tuple[Any, ...]]:
        balances = [told.balance for told in self._told.values()]
        return rows_of("default", MOVED_BALANCES, [array(list(self._told)), array(balances)])


def _of(ids: Iterable[int]) -> RawSQL:
    """Ids as one parameter: a list of them would be a statement of its own for each length."""
    return RawSQL(OF_IDS, [array(list(ids))])  # noqa: S611 - a constant
