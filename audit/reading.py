"""One look at both systems: a snapshot of each, and what several invariants read from them, read once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings

from audit.orders import OrderComparison, compare
from infra.db.snapshots import Snapshot, snapshot


@dataclass(frozen=True)
class Reading:
    """Both snapshots, counter's older than the desk's, and the time that ages are counted from."""

    counter: Snapshot
    desk: Snapshot
    now: datetime
    tolerance: timedelta = field(
        default_factory=lambda: timedelta(seconds=settings.AUDIT_CLOCK_TOLERANCE_SECONDS)
    )

    @cached_property
    def orders(self) -> OrderComparison:
        """Every order as each side holds it, compared."""
        return compare(counter=self.counter, desk=self.desk, source=settings.COUNTER_SOURCE)

    def age_s(self, since: datetime) -> float:
        """Seconds from `since` to now, never negative."""
        return max(0.0, (self.now - since).total_seconds())

    def too_young_for_counter(self, at: datetime) -> bool:
        """Whether something of that time may have reached counter only after its snapshot was taken."""
        return at >= self.counter.at - self.tolerance


@contextmanager
def reading(*, now: datetime) -> Iterator[Reading]:
    """Take both snapshots and keep them for the block; make no call to the outside within it."""
    with snapshot("default") as counter, snapshot("desk") as desk:
        yield Reading(counter=counter, desk=desk, now=now)


def where_order(order_id: Any) -> str:
    """How findings name a customer's order."""
    return f"order {order_id}"
