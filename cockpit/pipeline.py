"""What is under way: how many rows are in each unfinished state, and since when the oldest is.

Counted off the partial indexes of these states alone, so that it costs what is under way and not what was ever done.
"""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from infra.coordination.ages import age
from infra.db.rows import rows_of

COUNTER_ORDERS = """
    SELECT (SELECT count(*) FROM counter_syncorder WHERE state = 'PENDING'),
           (SELECT min(placed_at) FROM counter_syncorder WHERE state = 'PENDING'),
           (SELECT count(*) FROM counter_syncorder WHERE state = 'SYNCED'),
           (SELECT synced_at FROM counter_syncorder WHERE state = 'SYNCED' ORDER BY id LIMIT 1)
"""
WITHDRAWALS = "SELECT count(*), min(reserved_at) FROM counter_withdrawal WHERE state = 'RESERVED'"
DESK_ORDERS = """
    SELECT (SELECT count(*) FROM acceptance_acceptedorder WHERE state = 'RECEIVED'),
           (SELECT min(oldest.received_at) FROM unnest(%s::text[]) AS asked (name) CROSS JOIN LATERAL (
                SELECT received_at FROM acceptance_acceptedorder
                WHERE state = 'RECEIVED' AND underlying = asked.name ORDER BY id LIMIT 1) AS oldest),
           (SELECT count(*) FROM acceptance_acceptedorder WHERE state = 'SETTLED'),
           (SELECT settled_at FROM acceptance_acceptedorder WHERE state = 'SETTLED' ORDER BY id LIMIT 1)
"""
CONVERSIONS = """
    SELECT state, count(*), sum(order_count), min(planned_at), min(COALESCE(filled_at, submitted_at, planned_at))
    FROM settlement_conversion WHERE state NOT IN ('BOOKED', 'MISSED', 'RELEASED') GROUP BY state
"""
TRANSFERS = """
    SELECT state, count(*), min(COALESCE(submitted_at, planned_at))
    FROM settlement_fundstransfer WHERE state IN ('PLANNED', 'SUBMITTED', 'UNKNOWN', 'MANUAL') GROUP BY state
"""
CONVERSION_STATES = ("PLANNED", "SUBMITTED", "UNKNOWN", "RETRY_WAIT", "FILLED", "MANUAL")
TRANSFER_STATES = ("PLANNED", "SUBMITTED", "UNKNOWN", "MANUAL")


@dataclass(frozen=True, slots=True)
class Stage:
    """One unfinished state: `kind` of row in `state`, how many, and how long the oldest has been in it."""

    kind: str
    state: str
    count: int
    oldest_seconds: float | None

    @property
    def url(self) -> str:
        """The list of such rows in the admin."""
        model, parameter = _LISTS[self.kind]
        return f"{reverse(f'admin:{model}_changelist')}{parameter.format(state=self.state)}"


_LISTS = {
    "counter_order": ("counter_syncorder", "?state__exact={state}"),
    "withdrawal": ("counter_withdrawal", "?state__exact={state}"),
    "desk_order": ("acceptance_acceptedorder", "?state={state}"),
    "conversion": ("settlement_conversion", "?state__exact={state}"),
    "funds_transfer": ("settlement_fundstransfer", "?state__exact={state}"),
}


def counter_stages(*, now: datetime) -> list[Stage]:
    """Orders that the desk has not stored, or not reported; withdrawals that the wallet has not ended."""
    [(pending, placed_at, synced, synced_at)] = rows_of("default", COUNTER_ORDERS)
    [(reserved, reserved_at)] = rows_of("default", WITHDRAWALS)
    return [
        Stage("counter_order", "PENDING", pending, _age_seconds(placed_at, now)),
        Stage("counter_order", "SYNCED", synced, _age_seconds(synced_at, now)),
        Stage("withdrawal", "RESERVED", reserved, _age_seconds(reserved_at, now)),
    ]


def desk_stages(*, now: datetime) -> list[Stage]:
    """Orders at the desk, then the conversions and the transfers that they wait for."""
    [(received, received_at, settled, settled_at)] = rows_of("desk", DESK_ORDERS, [list(settings.COINS)])
    conversions = rows_of("desk", CONVERSIONS)
    converting = sum(orders for _, _, orders, _, _ in conversions)
    planned_at = min((planned for _, _, _, planned, _ in conversions), default=None)
    by_state = {state: (count, since) for state, count, _, _, since in conversions}
    transfers = {state: (count, since) for state, count, since in rows_of("desk", TRANSFERS)}
    return [
        Stage("desk_order", "RECEIVED", received, _age_seconds(received_at, now)),
        Stage("desk_order", "CONVERTING", converting, _age_seconds(planned_at, now)),
        Stage("desk_order", "SETTLED", settled, _age_seconds(settled_at, now)),
        *_stages("conversion", CONVERSION_STATES, by_state, now),
        *_stages("funds_transfer", TRANSFER_STATES, transfers, now),
    ]


def _stages(
    kind: str, states: tuple[str, ...], found: dict[str, tuple[int, datetime]], now: datetime
) -> list[Stage]:
    rows = ((state, *found.get(state, (0, None))) for state in states)
    return [Stage(kind, state, count, _age_seconds(since, now)) for state, count, since in rows]


def _age_seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else age(since, now=now).total_seconds()
