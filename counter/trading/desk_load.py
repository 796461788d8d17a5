"""How far the desk is behind, measured some times a second by the feed: what each process that takes orders goes by.

One statement counts what is unsettled and reads what the reports have counted, in one snapshot, so that what was
accepted meanwhile is their difference. A process that takes orders reads the share that follows with its next batch,
in the coin's `TradingStatus`. The control law is in `counter.trading.back_pressure`.
"""

import threading
import time
from datetime import datetime
from functools import partial

import structlog
from django.conf import settings
from django.db import close_old_connections, connection, connections, transaction

from counter.models import TradingStatus
from counter.trading.back_pressure import LOST_AFTER_SECONDS, WHOLE, DeskLoad, Pace, PaceBounds
from infra.coordination import clock
from infra.coordination.ages import age
from infra.coordination.leadership import LeadershipLost, Term

log = structlog.get_logger(__name__)

MEASURED_EVERY_SECONDS = 0.25
# Thousands of unsettled orders are counted in milliseconds, a hundred thousand in a tenth of a second: measuring takes
# no more of a core than one part in so many, unless the measurements would be too far apart to be compared: no share
# would ever change.
PAUSE_TIMES = 10
PAUSE_AT_MOST_SECONDS = LOST_AFTER_SECONDS / 2
ENDS_WITHIN_SECONDS = 5.0
MEASURE = """
    SELECT coalesce(u.underlying, p.underlying), coalesce(p.settled, 0), coalesce(u.waiting, 0),
           coalesce(u.behind, 0), u.oldest_at, coalesce(c.venue_ms, 0), coalesce(t.is_paced, true)
    FROM (
        SELECT o.underlying, count(*) AS waiting,
               count(*) FILTER (WHERE o.placed_at > coalesce(f.newest_at, '-infinity')) AS behind,
               min(o.placed_at) FILTER (WHERE o.placed_at > coalesce(f.newest_at, '-infinity')) AS oldest_at
        FROM (
            SELECT underlying, placed_at FROM counter_syncorder WHERE state = 'PENDING'
            UNION ALL
            SELECT underlying, placed_at FROM counter_syncorder WHERE state = 'SYNCED'
        ) AS o LEFT JOIN counter_deskprogress AS f ON f.underlying = o.underlying AND f.newest_at <= %s
        GROUP BY o.underlying
    ) AS u FULL JOIN counter_deskprogress AS p ON p.underlying = u.underlying
    LEFT JOIN counter_deskcondition AS c ON c.underlying = coalesce(u.underlying, p.underlying)
    LEFT JOIN counter_tradingstatus AS t ON t.underlying = coalesce(u.underlying, p.underlying)
"""


def read_loads(*, now: datetime) -> dict[str, DeskLoad]:
    """The load of each coin that ever had an order; overtaken are those placed before one that is settled."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE, [now])
        return {
            underlying: DeskLoad(
                settled=settled,
                waiting=waiting,
                behind=behind,
                behind_seconds=age(oldest_at, now=now).total_seconds() if oldest_at else 0.0,
                venue_seconds=venue_ms / 1000,
                is_paced=is_paced,
            )
            for underlying, settled, waiting, behind, oldest_at, venue_ms, is_paced in cursor.fetchall()
        }


class LoadWatch:
    """Measures every coin and stores the share of its orders that is admitted, as the leader of the feed's `term`."""

    def __init__(self, *, term: Term | None = None) -> None:
        self._term = term
        self._paces: dict[str, Pace] = {}
        self._stored: dict[str, int] = {}  # the shares that orders read

    def measure(self, *, now: datetime, at_seconds: float) -> dict[str, int]:
        """The shares after a measurement, stored where others are; `at_seconds` by a monotonic clock.

        A coin begins with the share that was stored, so a new leader goes on where the last one ended.

        Raises: LeadershipLost, database errors.
        """
        bounds = PaceBounds(
            wait_seconds=settings.DESK_BEHIND_AFTER_SECONDS, few_orders=settings.DESK_FEW_ORDERS
        )
        loads = read_loads(now=now)
        if new := loads.keys() - self._paces.keys():
            stored = TradingStatus.objects.filter(underlying__in=new)
            shares = dict(stored.values_list("underlying", "admitted_permille"))
            self._paces |= {coin: Pace(share=shares.get(coin, WHOLE)) for coin in new}
            self._stored |= {coin: self._paces[coin].share for coin in new}
        for coin, load in loads.items():
            pace = self._paces[coin]
            before = pace.share
            if pace.take(load, bounds, at=at_seconds) != before and WHOLE in (before, pace.share):
                log.warning(
                    "the desk is behind" if before == WHOLE else "the desk is not behind any more",
                    coin=coin,
                    waiting=load.waiting,
                    seconds=round(load.behind_seconds, 2),
                )
        shares = {coin: pace.share for coin, pace in self._paces.items()}
        # Also what could not be stored the last time: a share that stays as it is would never be stored otherwise.
        self._store({coin: share for coin, share in shares.items() if share != self._stored[coin]})
        self._stored = shares
        return shares

    def _store(self, shares: dict[str, int]) -> None:
        if not shares:
            return
        with transaction.atomic():
            if self._term is not None:
                self._term.fence()
            for coin in sorted(shares):
                TradingStatus.objects.filter(underlying=coin).update(admitted_permille=shares[coin])


def watching(term: Term, stopping: threading.Event) -> threading.Thread:
    """A thread that measures until the term is over or it is told to stop; it is started, and outlives the database."""
    thread = threading.Thread(target=partial(_watch, term, stopping), name="desk load", daemon=True)
    thread.start()
    return thread


def _watch(term: Term, stopping: threading.Event) -> None:
    watch = LoadWatch(term=term)
    is_failing = False
    try:
        while term.holds() and not stopping.is_set():
            began_at = time.monotonic()
            try:
                watch.measure(now=clock.of("default").now(), at_seconds=began_at)
                is_failing = False
            except LeadershipLost:
                return
            except Exception as error:  # noqa: BLE001 - the feed outlives the database
                if not is_failing:
                    log.warning("the desk's load was not measured", error=repr(error))
                is_failing = True
                close_old_connections()
            stopping.wait(pause_seconds(took_seconds=time.monotonic() - began_at))
    finally:
        connections.close_all()  # this thread's own


def pause_seconds(*, took_seconds: float) -> float:
    """How long to wait after a measurement that took so long."""
    pause = min((PAUSE_TIMES - 1) * took_seconds, PAUSE_AT_MOST_SECONDS)
    return max(MEASURED_EVERY_SECONDS - took_seconds, pause)
