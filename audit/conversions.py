"""Invariant 4: every accepted order is settled by exactly one conversion or in flight, and shares add up to the fills.

A statement about the desk alone, true in every snapshot of it: planning, booking and giving back each move orders,
conversion, carry and legs in one transaction.
"""

from datetime import datetime
from decimal import Decimal

from audit import conversion_sql as sql
from audit.findings import Finding, Result
from audit.reading import Reading
from settlement.models import Conversion

OPEN_STATES = [str(state) for state in Conversion.OPEN_STATES]


def settled_once(reading: Reading, result: Result) -> None:
    """4: each order has its one conversion, each booked conversion closes to zero, the trading account is the carry."""
    desk = reading.desk

    def waiting(where: str, detail: str, since: datetime) -> Finding:
        return Finding("order waits for its settlement", where, detail, reading.age_s(since))

    result.checked = desk.row(sql.ACCEPTED)[0]
    result.broken.extend_from(desk.rows(sql.MISPLACED, [OPEN_STATES]), _misplaced)
    result.broken.extend_from(desk.rows_of_whole_tables(sql.UNEQUAL), _unequal)
    result.broken.extend_from(desk.rows(sql.CARRIED), _wrong_carry)
    result.in_flight.extend_from(desk.rows(sql.IN_FLIGHT), waiting)


def _misplaced(
    where: str, state: str | None, claimed_by: int | None, share_of: int | None, conversion_state: str | None
) -> Finding:
    detail = (
        f"{state or 'no order'}, claimed by {claimed_by}, share of {share_of}, which is {conversion_state}"
    )
    return Finding("order is not settled by exactly one conversion", where, detail)


def _unequal(conversion_id: int, figure: str, has: Decimal | None, should: Decimal | None) -> Finding:
    what = f"conversion does not add up: {figure}"
    return Finding(what, f"conversion {conversion_id}", f"{has}, not {should}")


def _wrong_carry(asset: str, trading: Decimal, carried: Decimal) -> Finding:
    detail = f"trading account {trading}, carry and open conversions {carried}"
    return Finding("trading account is not the carry", asset, detail)
