"""Invariant 6: counter's clearing account equals its mirror at the desk, up to exactly the orders in flight.

    clearing = mirror + opens and instant closes that the desk has not settled (at their fair value, + and -)
                      + payouts at fill that the desk has settled and counter has not paid
                      - what the desk has settled of orders younger than counter's snapshot
                      - payments that counter has booked and the desk has not yet
                      + payments younger than counter's snapshot

Every term is read from the same two snapshots, so this holds to the last digit while orders flow. That each settlement
says the same on both sides is checked order by order, by checksum.
"""

from decimal import Decimal

from django.conf import settings

from acceptance.models import AcceptedOrder
from audit.findings import Finding, Result
from audit.orders import SETTLEMENT, Difference, differing_fields
from audit.reading import Reading, where_order
from counter.money.chart import SystemAccount
from ledger import amounts
from settlement.book.chart import CASH, COUNTER, USDT
from settlement.models import ClearingPayment

CLEARING = """
    SELECT COALESCE(sum(amount * CASE credit_account_id WHEN %(clearing)s THEN 1 ELSE -1 END), 0)
    FROM counter_transfer WHERE %(clearing)s IN (credit_account_id, debit_account_id)
"""
MIRROR = """
    SELECT COALESCE(sum(t.amount * CASE t.debit_account_id WHEN a.id THEN 1 ELSE -1 END), 0)
    FROM settlement_deskaccount AS a
    JOIN settlement_desktransfer AS t ON a.id IN (t.debit_account_id, t.credit_account_id)
    WHERE a.code = %s AND a.asset = %s
"""
# Two queries, as the partial indexes are two.
UNSETTLED = """
    SELECT id, kind, payout, fair, placed_at FROM counter_syncorder WHERE state = 'PENDING'
    UNION ALL
    SELECT id, kind, payout, fair, placed_at FROM counter_syncorder WHERE state = 'SYNCED'
    ORDER BY placed_at
"""
PAID_AT_COUNTER = """
    SELECT reference, CASE direction WHEN 'to_desk' THEN amount ELSE -amount END, at
    FROM counter_clearingpayment WHERE asset = %s AND refusal = ''
"""
PAID_AT_DESK = """
    SELECT p.reference, CASE p.direction WHEN 'to_desk' THEN p.amount ELSE -p.amount END, p.state, p.booked_at,
           COALESCE(l.amount, 0), COALESCE(l.legs, 0)
    FROM settlement_clearingpayment AS p LEFT JOIN (
        SELECT t.clearing_payment_id, count(*) AS legs,
               sum(CASE WHEN d.code = %(cash)s AND c.code = %(mirror)s THEN t.amount
                        WHEN d.code = %(mirror)s AND c.code = %(cash)s THEN -t.amount END) AS amount
        FROM settlement_desktransfer AS t
        JOIN settlement_deskaccount AS d ON d.id = t.debit_account_id
        JOIN settlement_deskaccount AS c ON c.id = t.credit_account_id
        WHERE t.clearing_payment_id IS NOT NULL AND t.asset = %(asset)s GROUP BY 1
    ) AS l ON l.clearing_payment_id = p.id
    WHERE p.asset = %(asset)s AND p.state IN ('APPROVED', 'BOOKED') ORDER BY p.id
"""
DUES = """
    SELECT o.order_id, o.kind, a.due
    FROM unnest(%s::bigint[]) AS wanted (order_id)
    JOIN acceptance_acceptedorder AS o ON o.source = %s AND o.order_id = wanted.order_id
    JOIN settlement_allocation AS a ON a.order_id = o.id
"""


def clearing_and_mirror(reading: Reading, result: Result) -> None:
    """6: the two accounts differ by what is in flight and nothing else, and settlements are the same on both sides."""
    clearing = reading.counter.row(CLEARING, {"clearing": int(SystemAccount.CLEARING)})[0]
    mirror = reading.desk.row(MIRROR, [COUNTER, USDT])[0]
    in_flight = _unsettled(reading, result) - _too_young(reading) + _being_paid(reading, result)
    result.checked = reading.orders.counter_orders
    unexplained = clearing - mirror - in_flight
    if unexplained:
        rest = amounts.difference(unexplained)
        detail = f"counter {clearing}, desk {mirror}, in flight {in_flight}, unexplained {rest} {USDT}"
        result.broken.add(Finding("clearing is not its mirror", USDT, detail))
    for difference in reading.orders.differences:
        _judge(difference, reading, result)


def _unsettled(reading: Reading, result: Result) -> Decimal:
    """What orders that counter has not settled make clearing and mirror differ by; lists those that do."""
    rows = reading.counter.rows(UNSETTLED)
    ids = [row[0] for row in rows]
    settled = {row[0]: row[2] for row in reading.desk.rows(DUES, [ids, settings.COUNTER_SOURCE])}
    total = Decimal(0)
    for order_id, kind, payout, fair, placed_at in rows:
        at_fill, at_desk = payout == "at_fill", order_id in settled
        if at_fill != at_desk:
            continue  # both sides have it, or neither
        amount = settled[order_id] if at_desk else _signed(kind, fair)
        total += amount
        detail = f"{amount} USDT, {'settled at the desk, not paid' if at_desk else 'not settled at the desk'}"
        age_s = reading.age_s(placed_at)
        result.in_flight.add(Finding("clearing is ahead of its mirror", where_order(order_id), detail, age_s))
    return total


def _too_young(reading: Reading) -> Decimal:
    """What the desk has settled of orders that counter's older snapshot does not show."""
    ids = [difference.order_id for difference in reading.orders.differences if difference.counter is None]
    dues = reading.desk.rows(DUES, [ids, settings.COUNTER_SOURCE]) if ids else []
    return sum((_signed(kind, due) for _, kind, due in dues), Decimal(0))


def _being_paid(reading: Reading, result: Result) -> Decimal:
    """What payments make clearing and mirror differ by; judges that both sides have the same, once each.

    Counter books a payment first, and its snapshot is the older one.
    """
    total = Decimal(0)
    theirs = {row[0]: row[1:] for row in reading.counter.rows(PAID_AT_COUNTER, [USDT])}
    asked = {"asset": USDT, "cash": CASH, "mirror": COUNTER}
    for reference, amount, state, booked_at, booked, legs in reading.desk.rows(PAID_AT_DESK, asked):
        where = f"clearing payment {reference}"
        at_counter = theirs.pop(reference, None)
        is_booked = state == ClearingPayment.State.BOOKED
        if (legs, booked) != ((1, amount) if is_booked else (0, 0)):
            detail = f"{state}, {amount} {USDT}; {legs} legs of {booked} in all"
            result.broken.add(Finding("clearing payment is not booked as it was made", where, detail))
        if at_counter is not None and at_counter[0] != amount:
            detail = f"{at_counter[0]} {USDT} at counter, {amount} at the desk"
            result.broken.add(Finding("clearing payment differs", where, detail))
        elif at_counter is not None and not is_booked:
            total -= amount
            age_s = reading.age_s(at_counter[1])
            result.in_flight.add(Finding("clearing payment is booked at counter only", where, state, age_s))
        elif at_counter is None and is_booked:
            if reading.too_young_for_counter(booked_at):
                total += amount
            else:
                result.broken.add(Finding("clearing payment was never booked at counter", where, str(amount)))
    for reference, (amount, at) in theirs.items():
        where, detail = f"clearing payment {reference}", f"{amount} {USDT}"
        result.broken.add(
            Finding("clearing payment is not at the desk", where, f"{detail} at {at.isoformat()}")
        )
    return total


def _signed(kind: str, amount: Decimal) -> Decimal:
    return amount if kind == "OPEN" else -amount


def _judge(difference: Difference, reading: Reading, result: Result) -> None:
    order_id, ours, theirs = difference
    where = where_order(order_id)
    if ours is None or theirs is None or ours.settlement == theirs.settlement:
        return  # who misses an order is the subject of invariant 3
    if ours.settlement is None:
        # Counter commits before the desk hears of it: REPORTED at the desk is only possible between the snapshots.
        if theirs.state == AcceptedOrder.State.REPORTED and not _reported_just_now(order_id, reading):
            result.broken.add(
                Finding("settlement was reported but not taken", where, f"{ours.state} at counter")
            )
    elif theirs.settlement is None:
        result.broken.add(Finding("settlement was never made", where, f"{theirs.state} at the desk"))
    else:
        detail = differing_fields(SETTLEMENT, ours.settlement, theirs.settlement)
        result.broken.add(Finding("settlement differs", where, detail))


def _reported_just_now(order_id: int, reading: Reading) -> bool:
    sql = "SELECT reported_at FROM acceptance_acceptedorder WHERE source = %s AND order_id = %s"
    (reported_at,) = reading.desk.row(sql, [settings.COUNTER_SOURCE, order_id])
    return reported_at is not None and reading.too_young_for_counter(reported_at)
