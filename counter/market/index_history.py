"""The index of a coin in the past, as few points as a chart can show.

The feed records the index every second and keeps it for INDEX_KEPT_DAYS, so nothing more is stored: each point is one
look into the index of that table, however many samples lie between two of them, and all are asked for at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.db import connection

from infra.db.rows import rows_of
from ledger.decimals import quotient

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
# What can be asked for, and how far apart its points are.
SPANS: Mapping[str, tuple[timedelta, timedelta]] = {
    "1h": (timedelta(hours=1), MINUTE),
    "1d": (DAY, timedelta(minutes=15)),
    "1w": (timedelta(weeks=1), timedelta(hours=2)),
}
# The newest sample before each moment, and not longer before it than given; none where the feed was down.
NEWEST = """
    SELECT moment.at, newest.price
    FROM unnest(%(moments)s::timestamptz[], %(within)s::interval[]) AS moment (at, within)
    CROSS JOIN LATERAL (
        SELECT price FROM counter_indexprice
        WHERE underlying = %(coin)s AND at > moment.at - moment.within AND at <= moment.at
        ORDER BY at DESC LIMIT 1
    ) AS newest ORDER BY moment.at
"""
CHANGE_UNIT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Point:
    """The index, USDT for one coin, at the end of a step."""

    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class History:
    """Points of a span, oldest first; `now` is the index of now, and `change` the fraction that this is more or less
    than a day before.

    They are None where what they need was not recorded within a minute.
    """

    points: list[Point]
    now: Decimal | None
    change: Decimal | None


def history(*, coin: str, span: str, now: datetime) -> History:
    """The last `span` (a key of SPANS) of a coin's index at round times, and at `now`, by one statement.

    Raises: KeyError.
    """
    length, every = SPANS[span]
    last = EPOCH + (now - EPOCH) // every * every
    steps = [last - length + (step + 1) * every for step in range(length // every)]
    # Now and a day ago are asked for within a minute, at any step: an older one is not the index of then, and
    # the change is told to the hundredth of a percent.
    asked = {**dict.fromkeys(steps, every), now - DAY: MINUTE, now: MINUTE}
    parameters = {"coin": coin, "moments": list(asked), "within": list(asked.values())}
    found = {row[0]: row[1] for row in rows_of(connection.alias, NEWEST, parameters)}
    points = [Point(at, found[at]) for at in dict.fromkeys((*steps, now)) if at in found]
    return History(points, found.get(now), _change(found.get(now - DAY), found.get(now)))


def _change(before: Decimal | None, after: Decimal | None) -> Decimal | None:
    if before is None or after is None:
        return None
    return quotient(after - before, before, unit=CHANGE_UNIT, rounding=ROUND_HALF_EVEN)
