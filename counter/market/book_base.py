"""Measuring the books that orders are charged by for their size, again and again, as the leader of the feed's term.

Book and flows are read in one snapshot, so an order is in both or in neither, and none is counted twice or left out.
What is old is only what moves without orders: the index, the volatilities, and the conversions that ended meanwhile.
"""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import structlog
from django.db import close_old_connections, connection, transaction
from django.db.models import Q

from counter.market.book import Book, read_book
from counter.models import TradingStatus
from counter.pricing.book_risk import Risk
from counter.pricing.impact import NOTHING, Measures
from counter.trading.unsettled import Unsettled, read_unsettled
from infra.coordination.leadership import LeadershipLost, Term
from infra.db.arrays import array, columns
from infra.db.rows import rows_of
from infra.db.snapshots import snapshot
from ledger.decimals import EXACT, quotient, rounded

log = structlog.get_logger(__name__)

ZERO = Decimal(0)
UNIT = Decimal("0.00000001")
# Measured again after so many times as long as it took, so that it costs no more than 2 % of a core.
PAUSE_TIMES = 50
PAUSE_AT_MOST = timedelta(seconds=10)
CHARGES = Q(delta_depth__gt=0) | Q(vega_depth__gt=0) | Q(premium_depth__gt=0)
FLOWS = "SELECT underlying, sum(delta), sum(vega), sum(premium) FROM counter_bookflow GROUP BY underlying"
# Sessions that have ended write no more: what is forgotten of them is added to what was measured.
STORE = """
    WITH ended AS (
        DELETE FROM counter_bookflow AS f
        WHERE NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = f.writer)
        RETURNING underlying, delta, vega, premium
    ), forgotten AS (
        SELECT underlying, sum(delta) AS delta, sum(vega) AS vega, sum(premium) AS premium
        FROM ended GROUP BY underlying
    )
    UPDATE counter_tradingstatus AS t SET
        delta_base = CASE WHEN t.delta_depth > 0 THEN v.delta + coalesce(e.delta, 0) END,
        vega_base = CASE WHEN t.vega_depth > 0 THEN v.vega + coalesce(e.vega, 0) END,
        premium_base = CASE WHEN t.premium_depth > 0 THEN v.premium + coalesce(e.premium, 0) END
    FROM unnest(%s::varchar[], %s::numeric[], %s::numeric[], %s::numeric[])
        AS v(underlying, delta, vega, premium) LEFT JOIN forgotten AS e USING (underlying)
    WHERE t.underlying = v.underlying
"""


class BookBase:
    """Measures the books of the coins that charge for size; `coins` are those, measured or not."""

    def __init__(self, *, term: Term) -> None:
        self.coins: frozenset[str] = frozenset()
        self._term = term
        self._due_at: datetime | None = None

    def begin(self) -> None:
        """Learn the coins before the first quotes: without their greeks orders would pay for premiums only.

        Raises: database errors.
        """
        self.coins = _charging()

    def tick(self, *, now: datetime) -> None:
        """`measure` if it is due, for a loop that goes on after any error: until it succeeds the old measure holds."""
        try:
            before, self.coins = self.coins, _charging()
            is_due = self._due_at is None or not now < self._due_at <= now + PAUSE_AT_MOST
            if self.coins and (is_due or self.coins != before):
                self._due_at = None  # if it fails
                started = time.monotonic()
                self.measure(self.coins, now=now)
                took = timedelta(seconds=time.monotonic() - started)
                self._due_at = now + min(PAUSE_TIMES * took, PAUSE_AT_MOST)
        except LeadershipLost:
            return
        except Exception as error:  # noqa: BLE001 - the feed outlives the database
            log.warning("books not measured", error=repr(error))
            close_old_connections()

    def measure(self, coins: Iterable[str], *, now: datetime) -> None:
        """Measure the books of these coins at `now` and keep them.

        Raises: LeadershipLost, database errors; nothing is changed then.
        """
        with snapshot("default"):
            flows = {coin: Measures(*sums) for coin, *sums in rows_of("default", FLOWS)}
            book = read_book(now=now)
            unsettled = read_unsettled(overdue_before=now)
        bases = {
            coin: Measures(*map(EXACT.subtract, measured, flows.get(coin, NOTHING)))
            for coin, measured in _measured(coins, book, unsettled).items()
        }
        with transaction.atomic():
            self._term.fence()
            with connection.cursor() as cursor:
                cursor.execute(STORE, [array(list(bases)), *columns(list(bases.values()), Measures._fields)])


def _charging() -> frozenset[str]:
    return frozenset(TradingStatus.objects.filter(CHARGES).values_list("underlying", flat=True))


def _measured(coins: Iterable[str], book: Book, unsettled: Mapping[str, Unsettled]) -> dict[str, Measures]:
    risks = book.by_coin()
    found = {}
    for coin in coins:
        risk, index = risks.get(coin, Risk()), book.index.get(coin)
        delta, vega = Decimal(repr(risk.delta)), Decimal(repr(risk.vega))
        found[coin] = Measures(
            ZERO if index is None else quotient(delta, index, unit=UNIT, rounding=ROUND_HALF_EVEN),
            rounded(vega, UNIT, ROUND_HALF_EVEN),
            unsettled[coin].coin if coin in unsettled else ZERO,
        )
    return found
