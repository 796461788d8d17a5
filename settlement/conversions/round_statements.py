"""What a round writes: claimed and planned in one transaction, answered and booked in another, a statement for each.

Guards the round's steps against other processes at the same rows: the one that moves the conversion, from the state and
version it was read in, writes all that belongs to the move; no other writes any of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db import models

from acceptance.models import AcceptedOrder
from acceptance.order_history import LOGGED, logging_steps
from infra.db.arrays import columns
from infra.db.composing import answered, inserting, together
from infra.db.lifecycles import moves
from infra.db.pipeline import Statement
from infra.db.transitions import moving, moving_selected, sources_and_target
from ledger.posting import posting
from settlement.models import Attempt, Carry, Conversion, DeskTransfer, StateChange
from settlement.netting import net
from settlement.venues import state_history
from settlement.venues.state_history import MovedMeanwhile

DEMANDED = ("id", "kind", "coin", "fair", "payout")  # of an accepted order, what its netting has to know
LOCK_CARRY = """
    SELECT nextval(pg_get_serial_sequence('settlement_conversion', 'id')) AS id, coin, usdt
    FROM settlement_carry WHERE underlying = %s FOR UPDATE
"""
OLDEST_WAITING = """
    SELECT id FROM acceptance_acceptedorder WHERE underlying = %s AND state = 'RECEIVED'
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
"""
CONVERTED = "SELECT id FROM acceptance_acceptedorder WHERE conversion_id = %s"
CLAIMED = "SELECT c.id, c.coin, c.usdt, o.* FROM carried AS c LEFT JOIN claimed AS o ON TRUE ORDER BY o.id"
EMPTY_CARRY = "UPDATE settlement_carry SET coin = 0, usdt = 0 WHERE underlying = %s"
END_ATTEMPT = (
    "UPDATE settlement_attempt SET outcome = %s, code = '', answer = %s, answered_at = %s WHERE id = %s"
)
ALLOCATE = f"""
    INSERT INTO settlement_allocation (conversion_id, {", ".join(net.Share._fields)})
    SELECT %s, v.* FROM unnest(
        %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[]) AS v
    WHERE EXISTS (SELECT FROM moved)
"""  # noqa: S608 - the columns are our own
CARRY_ON = """
    UPDATE settlement_carry SET coin = coin + %s, usdt = usdt + %s
    WHERE underlying = %s AND EXISTS (SELECT FROM moved)
"""


class Claimed(NamedTuple):
    """What a conversion that is to be made has taken for itself: an id, the carry, and orders as counter calls them."""

    conversion_id: int
    carry: net.Carry
    demands: list[net.Demand]
    order_ids: list[int]


def demand_of(order_id: int, kind: str, coin: Decimal, fair: Decimal, payout: net.Payout) -> net.Demand:
    """What an accepted order needs of the netting."""
    return net.Demand(order_id, "buy" if kind == "OPEN" else "sell", coin, fair, payout)


@moves(AcceptedOrder.convert)
def claim(underlying: str, *, now: datetime) -> Claimed:
    """Lock the carry, and claim the oldest waiting orders that nobody else is claiming, in the caller's transaction."""
    waiting = Statement(OLDEST_WAITING, [underlying, settings.CONVERSION_MAX_ORDERS])
    parts = {
        "carried": [Statement(LOCK_CARRY, [underlying])],
        "claimed": [
            moving_selected(
                AcceptedOrder,
                AcceptedOrder.convert,
                waiting,
                same={"converting_at": now},
                computed={"conversion_id": "(SELECT id FROM carried)"},
                returning=("order_id", *DEMANDED, "version", "conversion_id"),
                if_any="carried",
            )
        ],
        "logged": logging_steps(AcceptedOrder.convert, "claimed", at=now),
    }
    rows = answered("desk", together(parts, CLAIMED))
    if not rows:
        Carry.objects.get_or_create(underlying=underlying)
        return claim(underlying, now=now)
    conversion_id, coin, usdt = rows[0][:3]
    orders = [row[3 : 4 + len(DEMANDED)] for row in rows if row[3] is not None]
    return Claimed(
        conversion_id,
        net.Carry(coin=coin, usdt=usdt),
        [demand_of(*order[1:]) for order in orders],
        [order[0] for order in orders],
    )


def lock_carry(underlying: str) -> tuple[int, net.Carry]:
    """The coin's carry, locked, and an id for the conversion that may claim it."""
    rows = answered("desk", Statement(LOCK_CARRY, [underlying]))
    if not rows:
        Carry.objects.get_or_create(underlying=underlying)
        return lock_carry(underlying)
    ((conversion_id, coin, usdt),) = rows
    return conversion_id, net.Carry(coin=coin, usdt=usdt)


def planned(
    conversion: Conversion, notes: Sequence[StateChange], attempt: Attempt | None, *, empties_carry: bool
) -> None:
    """Store a new conversion, the history of its making, and its attempt, which gets its key."""
    parts = {
        "emptied": [Statement(EMPTY_CARRY, [conversion.underlying])] if empties_carry else [],
        "made": inserting([conversion]),
        "noted": inserting(notes),
        "tried": inserting([attempt], returning="id") if attempt else [],
    }
    rows = answered("desk", together(parts, "SELECT id FROM tried" if attempt else "SELECT NULL"))
    _is_stored(conversion)
    if attempt is not None:
        attempt.pk = rows[0][0]
        _is_stored(attempt)


@moves(Conversion.fill, Conversion.State.SUBMITTED, Conversion.State.UNKNOWN)
def answered_in_full(
    conversion: Conversion,
    attempt: Attempt,
    changes: Mapping[str, Any],
    fills: Sequence[models.Model],
    late_fees: Sequence[models.Model],
    *,
    at: datetime,
    by: str,
) -> bool:
    """Store the answer, even if the row has moved; with it what was executed, if the row is where it was read.

    `attempt` has the answer, `changes` are what goes with the conversion's filling. Whether the row was there; it shows
    the move then.
    """
    ended = [attempt.outcome, attempt.answer, attempt.answered_at, attempt.pk]
    parts = {
        "ended": [Statement(END_ATTEMPT, ended)],
        **_moving(conversion, Conversion.fill, changes, at, by),
        "executed": inserting(fills, if_any="moved"),
        "unvalued": inserting(late_fees, if_any="moved"),
    }
    if not answered("desk", together(parts, "SELECT id FROM moved")):
        return False
    _show(conversion, Conversion.fill, changes, by)
    return True


@moves(Conversion.book)
@moves(AcceptedOrder.settle)
def booked(
    conversion: Conversion,
    changes: Mapping[str, Any],
    shares: Sequence[net.Share],
    legs: Sequence[DeskTransfer],
    carry: net.Carry,
    *,
    at: datetime,
    by: str,
) -> None:
    """Settle the conversion's orders, each with its share, and post its legs; `carry` goes to the next one.

    In the caller's transaction, which has to be undone when this raises.

    Raises: MovedMeanwhile; RuntimeError when its orders are not as many as the shares.
    """
    orders = Statement(CONVERTED, [conversion.pk])
    parts = {
        # The others look for it: the one who moves the conversion is the one who books it.
        **_moving(conversion, Conversion.book, changes, at, by),
        "settled": [
            moving_selected(
                AcceptedOrder,
                AcceptedOrder.settle,
                orders,
                same={"settled_at": at},
                returning=LOGGED,
                if_any="moved",
            )
        ],
        "logged": logging_steps(AcceptedOrder.settle, "settled", at=at),
        "allocated": _allocating(conversion, shares),
        "posted": posting(legs, if_any="moved"),
        "carried": [Statement(CARRY_ON, [carry.coin, carry.usdt, conversion.underlying])],
    }
    counts = "SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM settled)"
    ((moved, settled),) = answered("desk", together(parts, counts))
    if not moved:
        raise MovedMeanwhile(f"conversion {conversion.pk} is no longer {conversion.state}")
    if settled != len(shares):
        raise RuntimeError(f"{len(shares)} orders to settle, {settled} settled")
    _show(conversion, Conversion.book, changes, by)


def _moving(
    conversion: Conversion, transition: Any, changes: Mapping[str, Any], at: datetime, by: str
) -> dict[str, list[Statement]]:
    """The parts that move a conversion and note it; `moved` has a row if it was where it was read."""
    where = {"version": conversion.version, "state": conversion.state}
    _, _, target = sources_and_target(Conversion, transition)
    note = state_history.note(conversion, conversion.state, target, at, by)
    return {
        "moved": moving(Conversion, transition, [conversion.pk], same=changes, where=where),
        "noted": inserting([note], if_any="moved"),
    }


def _show(conversion: Conversion, transition: Any, changes: Mapping[str, Any], by: str) -> None:
    before = conversion.state
    state_history.show(conversion, transition, changes)
    state_history.tell(conversion, before, by)


def _allocating(conversion: Conversion, shares: Sequence[net.Share]) -> list[Statement]:
    if not shares:
        return []
    return [Statement(ALLOCATE, [conversion.pk, *columns(shares, net.Share._fields)])]


def _is_stored(row: models.Model) -> None:
    """What Django notes of a row that it has stored itself."""
    row._state.adding, row._state.db = False, "desk"
