"""Measuring the books that orders are charged by for their size, again and again, as the leader of the feed's term.

Book and flows are read in one snapshot, so an order is in both or in neither, and none is counted twice or left out.
What is old is only what moves without orders: the index, the volatilities, and the conversions that ended meanwhile.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

import structlog
from django.db import close_old_connections, connection, transaction

from counter.market.book_reader import BookReader, Reading
from counter.pricing.book_risk import Risk
from counter.pricing.impact import NOTHING, Measures
from infra.coordination.leadership import LeadershipLost, Term
from infra.db.arrays import array, columns
from infra.db.rows import rows_of
from infra.observability.troubles import Trouble
from ledger.decimals import EXACT, quotient, rounded

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
UNIT = Decimal("0.00000001")
CHARGING = """
    SELECT underlying, (SELECT max(id) FROM counter_depthchange) FROM counter_tradingstatus
    WHERE delta_depth > 0 OR vega_depth > 0 OR premium_depth > 0
"""
# Sessions that have ended write no more: what is forgotten of them is added to what was measured. All three measures
# are kept, those without a depth too: a person may set one at any moment, and the next order is charged by it.
STORE = """
    WITH ended AS (
        DELETE FROM counter_bookflow AS f
        WHERE f.underlying = ANY(%(underlying)s::varchar[])
          AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = f.writer)
        RETURNING underlying, delta, vega, premium
    ), forgotten AS (
        SELECT underlying, sum(delta) AS delta, sum(vega) AS vega, sum(premium) AS premium
        FROM ended GROUP BY underlying
    )
    UPDATE counter_tradingstatus AS t SET
        delta_base = v.delta + coalesce(e.delta, 0), vega_base = v.vega + coalesce(e.vega, 0),
        premium_base = v.premium + coalesce(e.premium, 0)
    FROM unnest(%(underlying)s::varchar[], %(delta)s::numeric[], %(vega)s::numeric[], %(premium)s::numeric[])
        AS v(underlying, delta, vega, premium) LEFT JOIN forgotten AS e USING (underlying)
    WHERE t.underlying = v.underlying
"""


class _Charging(NamedTuple):
    """The coins that charge for size, and the last time, by its number, that a depth was set."""

    coins: frozenset[str]
    newest_change: int


class BookBase:
    """Measures the books of the coins that charge for size; `coins` are those, measured or not."""

    def __init__(self, *, term: Term, reader: BookReader | None = None) -> None:
        self.coins: frozenset[str] = frozenset()
        self._term = term
        self._reader = reader or BookReader()
        self._kept: Reading | None = None
        self._kept_for: _Charging | None = None
        self._trouble = Trouble(log, "books not measured", over="books measured again")

    def begin(self) -> None:
        """Learn the coins before the first quotes: without their greeks orders would pay for premiums only.

        Raises: database errors.
        """
        self.coins = _charging().coins

    def tick(self, *, now: datetime) -> None:
        """Measure if it is due, for a loop that goes on after any error: until it succeeds the old measure holds."""
        try:
            charging = _charging()
            self.coins = charging.coins
            self._reader.charging = bool(self.coins)
            if self.coins:
                self._measure(charging, now)
        except LeadershipLost:
            return
        except Exception as error:  # noqa: BLE001 - the feed outlives the database
            self._trouble.met(error)
            close_old_connections()
        else:
            self._trouble.passed()

    def _measure(self, wanted: _Charging, now: datetime) -> None:
        """Keep the newest reading of the book, at once where depths were set since the last one.

        Raises: LeadershipLost, database errors; then a new one is kept next time, since this one may be or not.
        """
        reading = self._reader.read(now, anew=wanted != self._kept_for)
        if reading is not self._kept:
            self._kept_for = None
            self._keep(_measured(wanted.coins, reading))
            self._kept, self._kept_for = reading, wanted

    def _keep(self, bases: Mapping[str, Measures]) -> None:
        with transaction.atomic():
            self._term.fence()
            with connection.cursor() as cursor:
                values = columns(list(bases.values()), Measures._fields)
                cursor.execute(
                    STORE,
                    {"underlying": array(list(bases)), **dict(zip(Measures._fields, values, strict=True))},
                )


def _charging() -> _Charging:
    rows = rows_of("default", CHARGING)
    return _Charging(frozenset(coin for coin, _ in rows), max((newest or 0 for _, newest in rows), default=0))


def _measured(coins: Iterable[str], reading: Reading) -> dict[str, Measures]:
    """What was measured of each coin, less the flows of that moment."""
    bases = {}
    for coin in coins:
        risk, index = reading.risks.get(coin, Risk()), reading.book.index.get(coin)
        delta, vega = Decimal(repr(risk.delta)), Decimal(repr(risk.vega))
        measured = Measures(
            ZERO if index is None else quotient(delta, index, unit=UNIT, rounding=ROUND_HALF_EVEN),
            rounded(vega, UNIT, ROUND_HALF_EVEN),
            reading.unsettled[coin].coin if coin in reading.unsettled else ZERO,
        )
        bases[coin] = Measures(*map(EXACT.subtract, measured, reading.flows.get(coin, NOTHING)))
    return bases
