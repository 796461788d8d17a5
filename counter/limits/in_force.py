"""Limits: the settings' defaults, those that a person sets for one customer or series, and what of each is used.

Guards against drift: what a customer has open is kept on the account by all that changes positions, and counted
anew from the positions now and then, for a program of an older release that still runs does not keep it.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import close_old_connections, connection, transaction

from counter.limits.customer import CustomerLimits
from counter.models import Account, LimitChange, SeriesLimit
from infra.coordination.leadership import LeadershipLost, Term
from infra.db.arrays import array
from infra.observability.troubles import Trouble

log = structlog.get_logger(__name__)

RECOUNTED_TOGETHER = 50
# Measuring the series reads every open position: milliseconds, with a million of them a second. So that it costs no
# more than 2 % of a core, it is done again after so many times as long as it took.
MEASURING_PAUSE_TIMES = 50
MEASURING_PAUSE_AT_MOST = timedelta(minutes=1)
# As PositionRow.open_cost has it: exact, then rounded down.
OPEN_COST = "coalesce(sum(div(p.cost * 1000000 * p.remaining, p.contracts)), 0) / 1000000"
# One statement, so of one moment: an order commits its position and its account together.
DRIFTED = f"""
    WITH held AS (
        SELECT customer_id, sum(remaining) AS contracts, {OPEN_COST} AS cost
        FROM counter_position AS p WHERE state = 'OPEN' GROUP BY customer_id
    )
    SELECT a.customer_id FROM counter_account AS a LEFT JOIN held AS h ON h.customer_id = a.customer_id
    WHERE a.customer_id IS NOT NULL
        AND (a.open_contracts <> coalesce(h.contracts, 0) OR a.open_cost <> coalesce(h.cost, 0))
    ORDER BY a.id
"""  # noqa: S608 - composed of our own
LOCK = "SELECT FROM counter_account WHERE customer_id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE"
RECOUNT = f"""
    UPDATE counter_account AS a SET open_contracts = v.contracts, open_cost = v.cost
    FROM (
        SELECT c.id, coalesce(sum(p.remaining), 0) AS contracts, {OPEN_COST} AS cost
        FROM unnest(%s::bigint[]) AS c(id)
        LEFT JOIN counter_position AS p ON p.customer_id = c.id AND p.state = 'OPEN' GROUP BY c.id
    ) AS v WHERE a.customer_id = v.id
"""  # noqa: S608
# An option's positions by its own index: those that are not open any more are not read.
MEASURE = """
    UPDATE counter_quote AS q SET contracts_left = v.contracts_left, notional_left = v.notional_left
    FROM (
        SELECT o.id, greatest(coalesce(l.contracts, %s) - h.contracts, 0) AS contracts_left,
               greatest(coalesce(l.notional, %s) - h.notional, 0) AS notional_left
        FROM counter_option AS o LEFT JOIN counter_serieslimit AS l ON l.option_id = o.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(p.remaining), 0) AS contracts,
                   coalesce(sum(trunc(p.cost * p.remaining / p.contracts, 6)), 0) AS notional
            FROM counter_position AS p WHERE p.option_id = o.id AND p.state = 'OPEN'
        ) AS h WHERE o.expires_at > %s
    ) AS v
    WHERE q.option_id = v.id AND (q.contracts_left IS DISTINCT FROM v.contracts_left
        OR q.notional_left IS DISTINCT FROM v.notional_left)
"""


class LimitRefused(ValueError):
    """The limit cannot be set like this."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Limits as a person sets them: None is the default; notional in USDT."""

    contracts: int | None
    notional: Decimal | None
    orders_per_s: int | None = None


def default_limits() -> CustomerLimits:
    """The limits of customers who have none of their own."""
    return CustomerLimits(
        contracts=settings.CUSTOMER_CONTRACTS,
        notional=settings.CUSTOMER_NOTIONAL_USDT,
        orders_per_s=settings.CUSTOMER_ORDERS_PER_S,
        burst_seconds=settings.CUSTOMER_BURST_SECONDS,
    )


def limits_of(account: Account) -> CustomerLimits:
    """The limits that hold for a customer's account."""
    default = default_limits()
    return CustomerLimits(
        contracts=default.contracts if account.contracts_limit is None else account.contracts_limit,
        notional=default.notional if account.notional_limit is None else account.notional_limit,
        orders_per_s=account.orders_limit or default.orders_per_s,
        burst_seconds=default.burst_seconds,
    )


def set_customer_limit(*, customer_id: int, to: Setting, reason: str, by: str, now: datetime) -> None:
    """Set all limits of a customer; they hold for the next batch.

    Raises: LimitRefused without a reason, for a limit below what has a meaning, or without an account.
    """
    values = {"contracts": to.contracts, "notional": to.notional, "orders_per_s": to.orders_per_s}
    _check(values, reason)
    with transaction.atomic():
        set_on = Account.objects.filter(customer_id=customer_id).update(
            contracts_limit=to.contracts, notional_limit=to.notional, orders_limit=to.orders_per_s
        )
        if not set_on:
            raise LimitRefused("this customer has no account")
        LimitChange.objects.create(customer_id=customer_id, reason=reason.strip(), by=by, at=now, **values)


def set_series_limit(*, option_id: int, to: Setting, reason: str, by: str, now: datetime) -> None:
    """Set the limits of a series; they hold once the feed has measured it again.

    Raises: LimitRefused without a reason, or for a limit below what has a meaning.
    """
    values = {"contracts": to.contracts, "notional": to.notional}
    _check(values, reason)
    with transaction.atomic():
        SeriesLimit.objects.update_or_create(option_id=option_id, defaults=values)
        LimitChange.objects.create(option_id=option_id, reason=reason.strip(), by=by, at=now, **values)


def _check(values: dict[str, Any], reason: str) -> None:
    if not reason.strip():
        raise LimitRefused("a reason is needed")
    for name, value in values.items():
        least = 1 if name == "orders_per_s" else 0
        if value is not None and value < least:
            raise LimitRefused(f"{name} has to be {least} at least")


def measure_series(*, now: datetime) -> None:
    """Measure what is open of each living option, and keep what is left of its limits."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE, [settings.SERIES_CONTRACTS, settings.SERIES_NOTIONAL_USDT, now])


class SeriesWatch:
    """Measures the series again and again, as the leader of the feed's `term`."""

    def __init__(self, *, started_at: datetime, term: Term) -> None:
        self._term = term
        self._due_at = started_at
        self._trouble = Trouble(log, "series not measured", over="series measured again")

    def tick(self, *, now: datetime) -> None:
        """`measure_series` if it is due, for a loop that goes on after any error."""
        if now < self._due_at <= now + MEASURING_PAUSE_AT_MOST:
            return
        started = time.monotonic()
        try:
            with transaction.atomic():
                self._term.fence()
                measure_series(now=now)
        except LeadershipLost:
            return
        except Exception as error:  # noqa: BLE001 - the feed outlives the database
            self._trouble.met(error)
            close_old_connections()
        else:
            self._trouble.passed()
        took = timedelta(seconds=time.monotonic() - started)
        self._due_at = now + min(MEASURING_PAUSE_TIMES * took, MEASURING_PAUSE_AT_MOST)


def recount() -> int:
    """Put right what accounts say to be open and is not; of how many customers."""
    with connection.cursor() as cursor:
        cursor.execute(DRIFTED)
        drifted = [customer_id for (customer_id,) in cursor.fetchall()]
    for first in range(0, len(drifted), RECOUNTED_TOGETHER):
        some = [array(drifted[first : first + RECOUNTED_TOGETHER])]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LOCK, some)
            cursor.execute(RECOUNT, some)
    if drifted:
        log.warning("open positions counted anew", customers=len(drifted))
    return len(drifted)
