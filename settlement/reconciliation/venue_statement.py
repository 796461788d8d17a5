"""The venue's statement of a day: asked for page by page, and kept.

Guards the close of a day: what the venue has told is kept by the ids of its trades, so asking again changes nothing
that the venue does not tell otherwise. No question is asked in a transaction, and one page is held at a time. How the
desk's fills stand against it: `venue_differences`.
"""

from datetime import UTC, date, datetime, time, timedelta

import structlog
from django.conf import settings
from django.db import transaction

from settlement.funds import venue_account
from settlement.models import VenueStatement, VenueTrade
from settlement.venues.protocol import Trade, Venue, VenueError
from settlement.venues.trade_pages import all_pages

log = structlog.get_logger(__name__)

Outcome = VenueStatement.Outcome
FIELDS = ("venue_order_id", "side", "price", "coin", "usdt", "fee", "fee_asset", "traded_at")
# A venue that refuses the question has no answer to it tomorrow either.
REFUSALS = frozenset({"BadRequest", "BadSymbol", "NotSupported", "ArgumentsRequired"})


def ask(day: date, *, venue: Venue, now: datetime) -> None:
    """Ask the venue for each coin's trades of a day, and keep what it says, or that it does not.

    What it has told to the end before stays where it does not answer now.

    Raises: DatabaseError.
    """
    for coin in settings.COINS:
        outcome, why = _answer(day, coin, venue, now)
        _keep_outcome(day, coin, outcome, why, now)


def span_of(day: date) -> tuple[datetime, datetime]:
    """When a day (UTC) begins and ends."""
    begins = datetime.combine(day, time.min, UTC)
    return begins, begins + timedelta(days=1)


def _answer(day: date, coin: str, venue: Venue, now: datetime) -> tuple[Outcome, str]:
    """Done, not done, or not to be done any more; of what was told, each page is kept."""
    begins, ends = span_of(day)
    changed_at = venue_account.changed_at()
    if changed_at is not None and changed_at > begins:
        return Outcome.GONE, f"the books are of another account since {changed_at:%Y-%m-%d %H:%M:%S} UTC"
    try:
        venue_account.require(venue, now=now)
        kept = _Kept(settings.COINS[coin], begins)
        for page in all_pages(venue, underlying=coin, since=begins, until=ends):
            kept.add(page.trades, until=ends if page.is_last else None)
    except VenueError as error:
        log.warning("no statement of the venue", coin=coin, day=str(day), error=str(error))
        return Outcome.GONE if error.kind in REFUSALS else Outcome.SILENT, str(error)[:500]
    return Outcome.TOLD, ""


class _Kept:
    """The pages of a coin's day, kept up to a moment: what was kept before it and is not told again is gone."""

    def __init__(self, symbol: str, begins: datetime) -> None:
        self._symbol = symbol
        self._until = begins
        self._at_the_edge: set[str] = (
            set()
        )  # ids told of just that moment, of which the next page may have more

    def add(self, trades: tuple[Trade, ...], *, until: datetime | None) -> None:
        """Keep the next page, which is the last one where it tells all `until` a moment."""
        told = {trade.venue_trade_id: trade for trade in trades}
        edge = until or max([self._until, *(trade.traded_at for trade in told.values())])
        with transaction.atomic(using="desk"):
            VenueTrade.objects.bulk_create(
                [
                    VenueTrade(
                        symbol=self._symbol,
                        venue_trade_id=trade_id,
                        **{name: getattr(trade, name) for name in FIELDS},
                    )
                    for trade_id, trade in told.items()
                ],
                update_conflicts=True,
                unique_fields=["symbol", "venue_trade_id"],
                update_fields=list(FIELDS),
            )
            before = VenueTrade.objects.filter(
                symbol=self._symbol, traded_at__gte=self._until, traded_at__lt=edge
            )
            before.exclude(venue_trade_id__in=[*told, *self._at_the_edge]).delete()
        if edge > self._until:
            self._at_the_edge.clear()
        self._at_the_edge.update(trade_id for trade_id, trade in told.items() if trade.traded_at == edge)
        self._until = edge


def _keep_outcome(day: date, coin: str, outcome: Outcome, why: str, now: datetime) -> None:
    begins, ends = span_of(day)
    with transaction.atomic(using="desk"):
        kept = VenueStatement.objects.select_for_update().filter(day=day, underlying=coin).first()
        if outcome is not Outcome.TOLD:
            if kept is not None and kept.outcome == Outcome.TOLD:
                return
            # Half a statement is none, in the day's file as well.
            VenueTrade.objects.filter(
                symbol=settings.COINS[coin], traded_at__gte=begins, traded_at__lt=ends
            ).delete()
        VenueStatement.objects.update_or_create(
            day=day, underlying=coin, defaults={"outcome": outcome, "why": why, "asked_at": now}
        )
