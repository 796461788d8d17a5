"""How late webhooks are, for people and metrics."""

from datetime import datetime
from typing import NamedTuple

from counter.webhooks.waiting import USABLE, WAITING
from infra.db.rows import rows_of

BY_KIND = f"""
    {WAITING}
    SELECT e.customer_id IS NULL, e.failures > 0, count(*), min(d.happened_at)
    FROM waiting AS w JOIN counter_webhookendpoint AS e ON e.id = w.endpoint_id
    CROSS JOIN LATERAL (
        SELECT happened_at FROM counter_webhookdelivery
        WHERE endpoint_id = e.id AND due_at IS NOT NULL ORDER BY retry_until LIMIT 1
    ) AS d
    WHERE {USABLE} GROUP BY 1, 2
"""  # noqa: S608 - our own


class EndpointsWaiting(NamedTuple):
    """Endpoints in use, of the exchange or of customers, failing or not, that have something to be sent: how many, and
    since when the oldest of it waits."""

    is_exchange: bool
    is_failing: bool
    endpoints: int
    oldest_at: datetime | None


def endpoints_waiting() -> list[EndpointsWaiting]:
    """All four kinds of endpoints; of one that nothing waits for `oldest_at` is None."""
    found = {(row[0], row[1]): EndpointsWaiting(*row) for row in rows_of("default", BY_KIND)}
    kinds = [(is_exchange, is_failing) for is_exchange in (True, False) for is_failing in (False, True)]
    return [found.get(kind) or EndpointsWaiting(*kind, 0, None) for kind in kinds]
