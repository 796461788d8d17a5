"""What needs a human, from the figures: each with how much of it there is, since when, what to do next, and where."""

from collections.abc import Callable, Iterator

from cockpit.alerts import books, programs, trading
from cockpit.alerts.alert import Alert
from cockpit.snapshot import SystemSnapshot

__all__ = ["CODES", "Alert", "alerts"]

CODES = (
    "audit_broken",
    "audit_unchecked",
    "audit_old",
    "conversion_manual",
    "conversion_unknown",
    "conversion_filled",
    "funds_transfer_manual",
    "funds_transfer_unknown",
    "conflict_open",
    "intervention_waiting",
    "clearing_payment_waiting",
    "break_open",
    "reconciled_old",
    "index_missing",
    "expiry_late",
    "orders_stuck",
    "withdrawal_overdue",
    "withdrawal_contradicted",
    "venue_halted",
    "trading_stopped",
    "desk_database_down",
    "coin_contained",
    "book_risk_high",
    "index_rejected",
    "dead_letters",
    "day_waiting",
    "workers_silent",
    "leader_silent",
    "clock_wrong",
    "webhooks_late",
)
# What loses money first comes first, and last what only blinds us.
FINDERS: tuple[Callable[[SystemSnapshot], Iterator[Alert]], ...] = (
    books.audit,
    books.breaks,
    books.reconciled,
    books.manual,
    books.filled,
    books.requests,
    books.payments,
    books.conflicts,
    trading.expiries,
    trading.stuck,
    books.withdrawals,
    trading.venue,
    trading.stops,
    trading.coins,
    trading.book_limits,
    trading.rejections,
    books.days,
    programs.queues,
    programs.processes,
    programs.clocks,
    programs.webhooks,
)


def alerts(figures: SystemSnapshot) -> list[Alert]:
    """Everything that needs a human now, in the order of FINDERS."""
    return [alert for find in FINDERS for alert in find(figures)]
