"""Between counter's clearing and the desk's orders: what each order moved there is what the desk has it for.

Counter adds up runs of orders and the desk adds up the same; only where two sums differ is counter asked for each order
of the run. Before that the desk is read: what counter has paid, the desk had settled before.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connections

from acceptance import counter_client
from counter.contracts import ClearingSums
from infra.db.rows import rows_of
from settlement.book.chart import COUNTER, USDT
from settlement.reconciliation.findings import Finding, Result, Trace

WIDTH = 1000  # orders in a run
RUNS = 200  # in one call: a fraction of a second at counter
DRILLED = 20  # runs whose orders are asked for one by one in one go
NOT_HERE = "order with clearing at counter is not at the desk"
NO_CLEARING = "order of the desk has no clearing at counter"
DIFFERS = "clearing of an order differs"
OF_NO_ORDER = "clearing of no order"

# What counter should have in clearing for an order. A payout at fill is paid by the report, hence certainly once the
# order is REPORTED, and perhaps while it is SETTLED: then `maybe` is as good.
ORDERS = """
    SELECT o.order_id, o.state, o.placed_at, o.conversion_id,
           CASE WHEN o.kind = 'OPEN' THEN COALESCE(a.due, o.fair)
                WHEN o.payout <> 'at_fill' THEN -COALESCE(a.due, o.fair)
                WHEN o.state = 'REPORTED' THEN -a.due ELSE 0 END AS amount,
           CASE WHEN o.kind <> 'OPEN' AND o.payout = 'at_fill' AND o.state = 'SETTLED' THEN -a.due END AS maybe
    FROM acceptance_acceptedorder AS o LEFT JOIN settlement_allocation AS a ON a.order_id = o.id
    WHERE o.source = %(source)s AND o.order_id > %(after)s AND o.order_id <= %(until)s
"""
SUMS = f"""
    SELECT (order_id - %(after)s - 1) / %(width)s, sum(amount), min(order_id) FILTER (WHERE state <> 'REPORTED')
    FROM ({ORDERS}) AS orders GROUP BY 1
"""  # noqa: S608 - our own text


# What people have booked of breaks between the mirror and suspense: the desk has so much more, or less, for the order.
CORRECTIONS = """
    SELECT order_id, sum(corrected) FROM settlement_reconciliationbreak
    WHERE what = ANY(%s) AND corrected <> 0 AND order_id > %s AND order_id <= %s GROUP BY 1
"""
# What was paid is clearing of no order: counter books it before the desk does. So counter may have what is approved,
# and may not have shown yet what the desk has just booked. In one query, as a payment is in one of the two. USDT only.
PAID = """
    SELECT COALESCE(sum(signed) FILTER (WHERE is_booked), 0),
           array_agg(CASE WHEN is_booked THEN signed ELSE -signed END) FILTER (WHERE is_moving),
           min(decided_at) FILTER (WHERE is_moving)
    FROM (
        SELECT CASE direction WHEN 'to_desk' THEN amount ELSE -amount END AS signed, state = 'BOOKED' AS is_booked,
               state = 'APPROVED' OR booked_at > %s AS is_moving, decided_at
        FROM settlement_clearingpayment WHERE asset = %s AND state IN ('APPROVED', 'BOOKED')
    ) AS payments
"""
CORRECTED_OF_NONE = """
    SELECT COALESCE(sum(corrected), 0) FROM settlement_reconciliationbreak WHERE what = %s AND corrected <> 0
"""


class ReconciledOrder(NamedTuple):
    """One order as the desk has it."""

    order_id: int
    state: str
    placed_at: datetime
    conversion_id: int | None
    amount: Decimal
    maybe: Decimal | None


@dataclass(slots=True)
class Progress:
    """How far orders are known to agree: `until` is the last before the first that is unfinished or broken."""

    until: int
    stopped: bool = False
    drilled: int = 0

    def stop_before(self, order_id: int) -> None:
        """Nothing from this order on is reconciled yet."""
        self.until = order_id - 1 if not self.stopped else min(self.until, order_id - 1)
        self.stopped = True


def compare_clearing(*, after_id: int, now: datetime, result: Result) -> int:
    """Compare every order after one that is older than RECONCILE_GRACE_SECONDS; the id up to which all is settled.

    Raises: CounterUnavailable, CounterRefused.
    """
    placed_before = now - timedelta(seconds=settings.RECONCILE_GRACE_SECONDS)
    progress, after = Progress(after_id), after_id
    while True:
        theirs = counter_client.clearing(after_id=after, placed_before=placed_before, width=WIDTH, runs=RUNS)
        _compare_page(after, theirs, placed_before, progress, result, now)
        after = theirs.until_id
        if theirs.is_all:
            break
    _compare_of_no_order(theirs, result, now)
    return progress.until


def _compare_of_no_order(theirs: ClearingSums, result: Result, now: datetime) -> None:
    """What payments under way explain is in flight, the rest is broken.

    Where they do not explain all of it nobody can tell which of them counter has shown: the least rest is taken.
    """
    unbooked, moving, since = _of_no_order(theirs, now)
    on_its_way = min(_sums_of_any(moving), key=lambda total: abs(unbooked - total))
    if on_its_way:
        age_s = max(0.0, (now - since).total_seconds()) if since else 0.0
        result.in_flight.add(Finding("clearing is being paid", "counter", f"{on_its_way} USDT", age_s))
    rest = unbooked - on_its_way
    if rest:
        trace = Trace(asset=USDT, amount=rest, account=COUNTER, effect=((COUNTER, USDT, rest),))
        result.broken.add(Finding(OF_NO_ORDER, "counter", f"{rest} USDT", trace=trace))


def _sums_of_any(amounts: Iterable[Decimal]) -> set[Decimal]:
    """What any of these come to together, none of them (0) included. Few: two people decide each payment."""
    sums = {Decimal(0)}
    for amount in amounts:
        sums |= {total + amount for total in sums}
    return sums


def _of_no_order(theirs: ClearingSums, now: datetime) -> tuple[Decimal, list[Decimal], datetime | None]:
    """What counter has in clearing without an order, less what was paid, and what people have booked of it.

    Then what each payment under way adds to it if only one side has shown it, and since when the first is under way.
    """
    with connections["desk"].cursor() as cursor:
        cursor.execute(CORRECTED_OF_NONE, [OF_NO_ORDER])
        (corrected,) = cursor.fetchone()
        cursor.execute(PAID, [now - timedelta(seconds=settings.RECONCILE_GRACE_SECONDS), USDT])
        paid, moving, since = cursor.fetchone()
    return theirs.of_no_order + paid - corrected, moving or [], since


def differs_now(order_id: int | None, now: datetime) -> Decimal:
    """What counter has in clearing above what the desk has, for one order or, None, for no order.

    Raises: CounterUnavailable, CounterRefused.
    """
    after = order_id - 1 if order_id else 0
    theirs = counter_client.clearing(after_id=after, placed_before=now, width=1, runs=1)
    if order_id is None:
        return _of_no_order(theirs, now)[0]
    amounts = {entry.first_id: entry.amount for entry in theirs.sums}
    held = [ReconciledOrder(*row) for row in _rows(ORDERS, after, order_id)]
    expected = sum((order.amount for order in held), _corrections(after, order_id).get(order_id, Decimal(0)))
    return amounts.get(order_id, Decimal(0)) - expected


def _compare_page(
    after: int,
    theirs: ClearingSums,
    placed_before: datetime,
    progress: Progress,
    result: Result,
    now: datetime,
) -> None:
    if not progress.stopped:
        progress.until = theirs.until_id
    their_sums = {(entry.first_id - after - 1) // WIDTH: entry.amount for entry in theirs.sums}
    ours = _our_sums(after, theirs.until_id)
    for run in sorted(their_sums.keys() | ours.keys()):
        amount, unfinished = ours.get(run, (Decimal(0), None))
        if unfinished is not None:
            progress.stop_before(unfinished)
        if amount == their_sums.get(run, Decimal(0)):
            continue
        first = after + run * WIDTH  # the id before the run's first
        progress.drilled += 1
        if progress.drilled > DRILLED:
            progress.stop_before(first + 1)
            continue
        for order_id, finding, is_broken in _drill(
            first, min(first + WIDTH, theirs.until_id), placed_before, now
        ):
            (result.broken if is_broken else result.in_flight).add(finding)
            progress.stop_before(order_id)
    result.checked += theirs.until_id - after


def _rows(sql: str, after: int, until: int) -> list[tuple[Any, ...]]:
    parameters: dict[str, Any] = {
        "source": settings.COUNTER_SOURCE,
        "after": after,
        "until": until,
        "width": WIDTH,
    }
    return rows_of("desk", sql, parameters)


def _our_sums(after: int, until: int) -> dict[int, tuple[Decimal, int | None]]:
    sums = {run: (amount, unfinished) for run, amount, unfinished in _rows(SUMS, after, until)}
    for order_id, corrected in _corrections(after, until).items():
        run = (order_id - after - 1) // WIDTH
        amount, unfinished = sums.get(run, (Decimal(0), None))
        sums[run] = amount + corrected, unfinished
    return sums


def _corrections(after: int, until: int) -> Mapping[int, Decimal]:
    """What was booked of breaks of these orders, by counter's id."""
    with connections["desk"].cursor() as cursor:
        cursor.execute(CORRECTIONS, [[NOT_HERE, NO_CLEARING, DIFFERS], after, until])
        return dict(cursor.fetchall())


def _drill(
    after: int, until: int, placed_before: datetime, now: datetime
) -> Iterator[tuple[int, Finding, bool]]:
    """(order id, finding, whether it is broken) of each order of a run that differs."""
    ours = {row[0]: ReconciledOrder(*row) for row in _rows(ORDERS, after, until)}
    theirs, corrections = _one_by_one(after, placed_before), _corrections(after, until)
    for order_id in sorted(ours.keys() | theirs.keys() | corrections.keys()):
        if order_id > until:
            continue
        held, amount = ours.get(order_id), theirs.get(order_id)
        corrected = corrections.get(order_id, Decimal(0))
        expected = (held.amount if held else Decimal(0)) + corrected
        if (amount or Decimal(0)) == expected:
            continue
        where = f"order {order_id}"
        detail = (
            f"counter {amount or 'nothing'} USDT, desk {expected if held or corrected else 'nothing'} USDT"
        )
        if held is not None and held.maybe is not None and amount == held.maybe + corrected:
            age_s = max(0.0, (now - held.placed_at).total_seconds())
            yield order_id, Finding("payout is paid, its report on its way", where, detail, age_s), False
            continue
        what = NOT_HERE if held is None else NO_CLEARING if amount is None else DIFFERS
        trace = Trace(
            asset=USDT,
            amount=(amount or Decimal(0)) - expected,
            order_id=order_id,
            conversion_id=held.conversion_id if held else None,
            account=COUNTER,
            since=held.placed_at if held else None,
            effect=((COUNTER, USDT, (amount or Decimal(0)) - expected),),
        )
        yield order_id, Finding(what, where, detail, trace=trace), True


def _one_by_one(after: int, placed_before: datetime) -> Mapping[int, Decimal]:
    answer = counter_client.clearing(after_id=after, placed_before=placed_before, width=1, runs=WIDTH)
    return {entry.first_id: entry.amount for entry in answer.sums}
